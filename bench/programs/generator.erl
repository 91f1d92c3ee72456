-module(generator).
-export([main/0]).

numbers(To, 100000) -> To ! done;
numbers(To, I) ->
    receive next -> To ! {value, I} end,
    numbers(To, I + 1).

sum(From, Sum) ->
    From ! next,
    receive
        {value, X} -> sum(From, Sum + X);
        done -> Sum
    end.

main() ->
    To = self(),
    sum(spawn_link(fun() -> numbers(To, 0) end), 0).

-module(run).
-export([start/1]).

%% Runs one program a few times; prints its answer, then the processor time of each run in milliseconds.
start([Name, Runs]) ->
    Module = list_to_atom(Name),
    io:format("~p~n", [Module:main()]),
    lists:foreach(fun(_) -> once(Module) end, lists:seq(1, list_to_integer(Runs))),
    halt().

once(Module) ->
    {Before, _} = erlang:statistics(runtime),
    Module:main(),
    {After, _} = erlang:statistics(runtime),
    io:format("~p~n", [After - Before]).

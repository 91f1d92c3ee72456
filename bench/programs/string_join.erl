-module(string_join).
-export([main/0]).

main() ->
    iolist_size(lists:join(<<",">>, [integer_to_binary(I) || I <- lists:seq(0, 99999)])).

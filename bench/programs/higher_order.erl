-module(higher_order).
-export([main/0]).

main() ->
    Even = lists:filter(fun(X) -> X rem 2 =:= 0 end, lists:seq(0, 999999)),
    lists:foldl(fun(X, Sum) -> X + Sum end, 0, lists:map(fun(X) -> X * 3 end, Even)).

-module(vector).
-export([main/0]).

fill(1000000, V) -> V;
fill(I, V) -> fill(I + 1, array:set(I, I, V)).

main() -> array:foldl(fun(_, X, Sum) -> X + Sum end, 0, fill(0, array:new())).

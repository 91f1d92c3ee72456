-module(deep_recursion).
-export([main/0]).

down(0) -> 0;
down(N) -> 1 + down(N - 1).

main() -> lists:sum([down(100000) || _ <- lists:seq(1, 10)]).

-module(map).
-export([main/0]).

scattered(I) -> I * 7919 rem 1000003.

fill(100000, M) -> M;
fill(I, M) -> fill(I + 1, M#{scattered(I) => I * 2}).

sum(100000, _, Sum) -> Sum;
sum(I, M, Sum) -> sum(I + 1, M, Sum + maps:get(scattered(I), M)).

main() -> sum(0, fill(0, #{}), 0).

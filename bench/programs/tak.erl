-module(tak).
-export([main/0]).

tak(X, Y, Z) when Y < X -> tak(tak(X - 1, Y, Z), tak(Y - 1, Z, X), tak(Z - 1, X, Y));
tak(_, _, Z) -> Z.

main() -> lists:sum([tak(18, 12, 6) || _ <- lists:seq(1, 10)]).

-module(nqueens).
-export([main/0]).

safe(_, _, []) -> true;
safe(Row, D, [Q | _]) when Q =:= Row; Q =:= Row + D; Q =:= Row - D -> false;
safe(Row, D, [_ | Queens]) -> safe(Row, D + 1, Queens).

solutions(Size, _, Size) -> 1;
solutions(Size, Queens, Placed) -> rows(1, Size, Queens, Placed, 0).

rows(Row, Size, _, _, Found) when Row > Size -> Found;
rows(Row, Size, Queens, Placed, Found) ->
    case safe(Row, 1, Queens) of
        true -> rows(Row + 1, Size, Queens, Placed, Found + solutions(Size, [Row | Queens], Placed + 1));
        false -> rows(Row + 1, Size, Queens, Placed, Found)
    end.

main() -> lists:sum([solutions(8, [], 0) || _ <- lists:seq(1, 10)]).

-module(mandelbrot).
-export([main/0]).

inside(_, _, _, _, 50) -> 1;
inside(Cr, Ci, Zr, Zi, N) ->
    Rr = Zr * Zr,
    Ii = Zi * Zi,
    if
        Rr + Ii > 4.0 -> 0;
        true -> inside(Cr, Ci, Rr - Ii + Cr, 2.0 * (Zr * Zi) + Ci, N + 1)
    end.

row(_, 200, Count) -> Count;
row(Y, X, Count) -> row(Y, X + 1, Count + inside(X * 0.015 - 2.0, Y * 0.015 - 1.5, 0.0, 0.0, 0)).

rows(200, Count) -> Count;
rows(Y, Count) -> rows(Y + 1, row(Y, 0, Count)).

main() -> rows(0, 0).

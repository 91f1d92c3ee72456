-module(loop).
-export([main/0]).

loop(I, Sum) when I < 10000000 -> loop(I + 1, Sum + I);
loop(_, Sum) -> Sum.

main() -> loop(0, 0).

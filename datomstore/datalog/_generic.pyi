from collections.abc import Sequence

from datomstore.intern import Ids

class Trie:
    depth: int
    count: int
    size: int
    def __init__(self, columns: Sequence[Ids]) -> None: ...
    def width(self, level: int) -> int: ...

def paired_rows(left: Trie, right: Trie) -> float: ...

class GenericJoin:
    running: bool
    visited: int
    matched: int
    def __init__(
        self,
        tries: Sequence[Trie],
        levels: Sequence[Sequence[tuple[int, int]]],
        keeps: Sequence[bool],
    ) -> None: ...
    def run(self, rows_max: int, visits_max: int) -> tuple[list[Ids], int]: ...

"""What a stream has to know of every transaction, as arrays: where its rows end, and the root after it.

Is:     the names of two growing sequences, whose parts are what is stored, and of such a part.
Is not: the sequences themselves, which the writer appends to (`datomstore._transact`), nor aware of segments.
Fits:   the writer appends, database values read; transactions are numbered 1, 2, 3, ... without a gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, TypeVar, overload

from numpy.typing import NDArray

from datomstore._transact import Ends, Roots

__all__ = ["ROOT_SIZE", "Appendable", "Ends", "EndsPart", "Roots"]

ROOT_SIZE = 32
T = TypeVar("T")


class Appendable(Protocol[T]):
    """What a list of transactions' properties has to have: a list will do."""

    def append(self, item: T, /) -> None:
        """Add an item."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[T]: ...
    @overload
    def __getitem__(self, index: int, /) -> T: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[T]: ...


class EndsPart(NamedTuple):
    """Ends of adjacent transactions: offsets from a row."""

    start: int
    offsets: NDArray[Any]

"""What a stream has to know of every transaction, as arrays: where its rows end, and the root after it.

Is:     two growing sequences that look like lists: what is stored as mapped arrays, the newest as a list.
Is not: aware of segments: arrays come from anywhere.
Fits:   the writer appends, database values read; transactions are numbered 1, 2, 3, ... without a gap.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

ROOT_SIZE = 32
T = TypeVar("T")


class EndsPart(NamedTuple):
    """Ends of adjacent transactions: offsets from a row."""

    start: int
    offsets: NDArray[Any]


class _Growing(Sequence[T], Generic[T]):
    """Parts of arrays, then a list. Items are only ever appended, in one thread; others may read meanwhile."""

    def __init__(self, firsts: list[int]) -> None:
        self._firsts = firsts  # of each part, and the number of items in all of them
        self._more: list[T] = []

    def _stored(self, part: int, place: int) -> T:
        raise NotImplementedError

    def _stored_slice(self, start: int, end: int) -> Iterator[T]:
        for index in range(start, end):
            part = bisect_right(self._firsts, index) - 1
            yield self._stored(part, index - self._firsts[part])

    def append(self, item: T) -> None:
        """Add an item."""
        self._more.append(item)

    def __len__(self) -> int:
        return self._firsts[-1] + len(self._more)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        stored = self._firsts[-1]
        if isinstance(index, slice):
            start, end, step = index.indices(len(self))
            assert step == 1, "every item of a range"
            before = list(self._stored_slice(start, min(end, stored))) if start < stored else []
            return before + self._more[max(start - stored, 0) : max(end - stored, 0)]
        place = index + len(self) if index < 0 else index
        if place >= stored:
            return self._more[place - stored]
        if place < 0:
            raise IndexError(index)
        part = bisect_right(self._firsts, place) - 1
        return self._stored(part, place - self._firsts[part])

    def __iter__(self) -> Iterator[T]:
        yield from self._stored_slice(0, self._firsts[-1])
        yield from self._more

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Sequence)
            and len(self) == len(other)
            and all(mine == theirs for mine, theirs in zip(self, other, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]


class Ends(_Growing[tuple[int, int]]):
    """(t, row after it) of every transaction."""

    def __init__(
        self, parts: Sequence[EndsPart] = (), more: Sequence[tuple[int, int]] = ()
    ) -> None:
        firsts = np.cumsum([0, *(len(part.offsets) for part in parts)]).tolist()
        super().__init__(firsts)
        self._parts = parts
        self._more = list(more)

    def _stored(self, part: int, place: int) -> tuple[int, int]:
        start, offsets = self._parts[part]
        return self._firsts[part] + place + 1, start + int(offsets[place])


class Roots(_Growing[bytes]):
    """The root after every transaction."""

    def __init__(self, parts: Sequence[NDArray[np.uint8]] = (), more: Sequence[bytes] = ()) -> None:
        firsts = np.cumsum([0, *(len(part) // ROOT_SIZE for part in parts)]).tolist()
        super().__init__(firsts)
        self._parts = parts
        self._more = list(more)

    def _stored(self, part: int, place: int) -> bytes:
        return self._parts[part][ROOT_SIZE * place : ROOT_SIZE * (place + 1)].tobytes()

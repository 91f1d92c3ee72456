"""A persistent map in order of insertion, as the machine's maps and sets walk.

Is:     the order, and what removal does to it.
Is not: how keys are compared (`reference_values.key_of`).
Fits:   the entries of the reference machine's hash maps and hash sets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from pyrsistent import PMap, PVector, pmap, pvector

Item = TypeVar("Item")
SHIFTED_MAX = 8  # entries; a map that never had more keeps its order when one is removed


class Ordered(Generic[Item]):
    """From keys to items. A removal closes the gap; once there were more than eight, the last one moves into it.

    With the ninth entry the machine makes an index, which it keeps until nothing is left.
    """

    __slots__ = ("_indexed", "_places", "_rows")

    def __init__(
        self, places: PMap[Any, int], rows: PVector[tuple[Any, Item]], *, indexed: bool = False
    ) -> None:
        self._places = places
        self._rows = rows
        self._indexed = len(rows) > SHIFTED_MAX or (indexed and len(rows) > 0)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return (key for key, _ in self._rows)

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def get(self, key: object, default: Any = None) -> Any:
        """Return the item of a key."""
        place = self._places.get(key)
        return default if place is None else self._rows[place][1]

    def items(self) -> Iterator[tuple[Any, Item]]:
        """Return keys and items in order."""
        return iter(self._rows)

    def values(self) -> Iterator[Item]:
        """Return the items in order."""
        return (item for _, item in self._rows)

    def set(self, key: Any, item: Item) -> Ordered[Item]:
        """Return the map with an item; a key that is there keeps its place."""
        place = self._places.get(key)
        if place is not None:
            rows = self._rows.set(place, (key, item))
            return Ordered(self._places, rows, indexed=self._indexed)
        places = self._places.set(key, len(self._rows))
        return Ordered(places, self._rows.append((key, item)), indexed=self._indexed)

    def discard(self, key: Any) -> Ordered[Item]:
        """Return the map without a key."""
        place = self._places.get(key)
        if place is None:
            return self
        places, rows = self._places.remove(key), self._rows
        if self._indexed:
            last = rows[-1]
            if last[0] != key:
                places, rows = places.set(last[0], place), rows.set(place, last)
            return Ordered(places, rows[:-1], indexed=True)
        left = [row for row in rows if row[0] != key]
        return Ordered(pmap({row[0]: number for number, row in enumerate(left)}), pvector(left))


NOTHING: Ordered[Any] = Ordered(pmap(), pvector())

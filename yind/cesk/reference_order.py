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
SHIFTED_MAX = 8  # entries up to which a removal leaves the others in order


class Ordered(Generic[Item]):
    """From keys to items. Up to eight entries a removal closes the gap; of more, the last one moves into it."""

    __slots__ = ("_places", "_rows")

    def __init__(self, places: PMap[Any, int], rows: PVector[tuple[Any, Item]]) -> None:
        self._places = places
        self._rows = rows

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
            return Ordered(self._places, self._rows.set(place, (key, item)))
        return Ordered(self._places.set(key, len(self._rows)), self._rows.append((key, item)))

    def discard(self, key: Any) -> Ordered[Item]:
        """Return the map without a key."""
        place = self._places.get(key)
        if place is None:
            return self
        places, rows = self._places.remove(key), self._rows
        if len(rows) > SHIFTED_MAX:
            last = rows[-1]
            if last[0] != key:
                places, rows = places.set(last[0], place), rows.set(place, last)
            return Ordered(places, rows[:-1])
        left = [row for row in rows if row[0] != key]
        return Ordered(pmap({row[0]: number for number, row in enumerate(left)}), pvector(left))


NOTHING: Ordered[Any] = Ordered(pmap(), pvector())

"""In which order a join of many tables at once goes through its variables.

Is:     a greedy order from each first variable, and the cheapest of these by what is counted.
Is not: the join (`_generic`), or an order of clauses (`plan`).
Fits:   `cyclic` asks it once for each join.

What a step of the join visits is, for each row so far, the least of the ranges of the next variable. How large these
are on average is counted exactly for two tables: of the ids of the variable between them, the rows of the one times
those of the other. A node with many edges counts as often as it is come through, which an average of degrees would not
tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from datomstore.datalog._generic import Trie, paired_rows
from datomstore.value import Symbol

TAIL_WORTH = 2.0  # times the cost that an order may have whose last variables are not kept: they are asked only once


class Atom(NamedTuple):
    """A table of the join: its variables, about how many rows it has, and these as a trie by an order of variables."""

    names: tuple[Symbol, ...]
    rows: int
    trie: Callable[[tuple[Symbol, ...]], Trie]


def chosen(atoms: Sequence[Atom], kept: AbstractSet[Symbol]) -> list[Symbol]:
    """Return all variables of some tables, in a good order. Those not kept come last where that costs about the same."""
    names = list(dict.fromkeys(name for atom in atoms for name in atom.names))
    counted = _Counted(atoms)
    ways = [_way(counted, first, names) for first in names]
    tails = [_way(counted, first, names, late=kept) for first in names if first in kept]
    best = min(ways, key=lambda way: way.cost)
    tail = min(tails, key=lambda way: way.cost, default=best)
    return tail.order if tail.cost <= TAIL_WORTH * best.cost else best.order


class _Way(NamedTuple):
    order: list[Symbol]
    cost: float


class _Counted:
    """Sizes of tables by their first variable, counted when they are asked for."""

    def __init__(self, atoms: Sequence[Atom]) -> None:
        self.atoms = atoms
        self._tries: dict[tuple[int, Symbol], Trie] = {}
        self._pairs: dict[tuple[int, int], float] = {}

    def trie(self, number: int, first: Symbol) -> Trie:
        """Return a table in an order that begins with a variable, and has the others as the atom has them."""
        found = self._tries.get((number, first))
        if found is None:
            atom = self.atoms[number]
            others = tuple(name for name in atom.names if name is not first)
            found = self._tries[number, first] = atom.trie((first, *others))
        return found

    def width(self, number: int, name: Symbol) -> int:
        """Return how many ids a variable has in a table."""
        return self.trie(number, name).width(0)

    def fan_out(self, number: int, name: Symbol, via: int | None) -> float:
        """Return how many rows of a table a row has on average that came to a variable by another table."""
        trie = self.trie(number, name)
        if via is None:
            return trie.count / max(1, trie.width(0))
        other = self.trie(via, name)
        key = (id(trie), id(other))
        if key not in self._pairs:
            self._pairs[key] = paired_rows(trie, other)
        return self._pairs[key] / max(1, other.count)


def _way(
    counted: _Counted,
    first: Symbol,
    names: Sequence[Symbol],
    late: AbstractSet[Symbol] | None = None,
) -> _Way:
    """Return the order that begins with a variable and goes on with what costs least. `late`: the others come last."""
    among = [number for number, atom in enumerate(counted.atoms) if first in atom.names]
    rows = cost = float(min(counted.width(number, first) for number in among))
    via: dict[Symbol, int | None] = {first: None}
    order = [first]
    while len(order) < len(names):
        left = [name for name in names if name not in via]
        if late is not None:
            left = [name for name in left if name in late] or left
        visits, after, name, by, at = min(
            (_move(counted, name, rows, via) for name in left), key=lambda move: move[:2]
        )
        cost += visits
        rows = after
        order.append(name)
        via[name] = by
        if at is not None:
            via[at] = by
    return _Way(order, cost)


_Move = tuple[float, float, Symbol, int, Symbol | None]


def _move(counted: _Counted, name: Symbol, rows: float, via: dict[Symbol, int | None]) -> _Move:
    """Return what the next variable costs: visits, rows after it, itself, the table that leads, and from where."""
    ranges: list[tuple[float, int, Symbol | None]] = []
    widest = 1
    for number, atom in enumerate(counted.atoms):
        if name not in atom.names:
            continue
        widest = max(widest, counted.width(number, name))
        known = [other for other in atom.names if other in via]
        fans = [(counted.fan_out(number, other, via[other]), number, other) for other in known]
        ranges.append(min(fans, default=(float(counted.width(number, name)), number, None)))
    fan, number, at = min(ranges, key=lambda one: one[0])
    after = rows * fan
    for other, which, _ in ranges:
        if which != number:
            after *= min(1.0, other / widest)
    return rows * fan, after, name, number, at

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
from math import log2
from typing import NamedTuple

from datomstore.datalog._generic import Trie, paired_rows
from datomstore.value import Symbol

ROW_WORTH = 8.0  # ids that are visited in the time of going on with one of them
TAIL_WORTH = 2.0  # times the cost that an order may have whose last variables are not kept: they are asked only once


class Atom(NamedTuple):
    """A table of the join: its variables, about how many rows it has, and these as a trie by an order of variables.

    `most` tells how many rows the commonest id of any of its variables has.
    """

    names: tuple[Symbol, ...]
    rows: int
    trie: Callable[[tuple[Symbol, ...]], Trie]
    most: Callable[[], int]


def chosen(atoms: Sequence[Atom], kept: AbstractSet[Symbol]) -> list[Symbol]:
    """Return all variables of some tables, in a good order. Those not kept come last where that costs about the same."""
    names = list(dict.fromkeys(name for atom in atoms for name in atom.names))
    counted = _Counted(atoms)
    ways = [_way(counted, first, names) for first in names]
    tails = [_way(counted, first, names, late=kept) for first in names if first in kept]
    best = min(ways, key=lambda way: way.cost)
    tail = min(tails, key=lambda way: way.cost, default=best)
    return tail.order if tail.cost <= TAIL_WORTH * best.cost else best.order


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


class _Side(NamedTuple):
    """A table that has the next variable: ids it has there for each row, and the variable it is come to by, if any."""

    fan: float
    number: int
    by: Symbol | None


class _Walk:
    """An order as far as it goes."""

    def __init__(self, counted: _Counted, first: Symbol) -> None:
        self.counted = counted
        among = [number for number, atom in enumerate(counted.atoms) if first in atom.names]
        self.rows = float(min(counted.width(number, first) for number in among))
        self.cost = ROW_WORTH * self.rows
        self.order = [first]
        self._rows_at = {first: self.rows}
        self._came: dict[Symbol, int | None] = {first: None}  # by which table
        self._via = dict(self._came)  # ... or gone on from by

    def move(self, name: Symbol) -> _Move:
        """Return what it is to go on with a variable."""
        sides = [
            self._side(number, name)
            for number, atom in enumerate(self.counted.atoms)
            if name in atom.names
        ]
        widest = max(self.counted.width(side.number, name) for side in sides)
        leader = min(sides, key=lambda side: side.fan)
        visits = self.rows * leader.fan
        after, asked = visits, 0.0
        for side in sides:
            if side is not leader:
                after *= min(1.0, side.fan / max(1, widest))
                asked += self._asked(side, leader, visits)
        return _Move(visits + asked + ROW_WORTH * after, after, name, leader)

    def _side(self, number: int, name: Symbol) -> _Side:
        """Return how a table is come to by the variable that leaves least of it."""
        names = self.counted.atoms[number].names
        whole = _Side(float(self.counted.width(number, name)), number, None)
        known = [other for other in self.order if other in names]
        ways = [_Side(self.counted.fan_out(number, o, self._via[o]), number, o) for o in known]
        return min(ways, default=whole, key=lambda side: side.fan)

    def _asked(self, side: _Side, leader: _Side, visits: float) -> float:
        """Return what it costs to ask a side for the ids of another: a search, or marks that are made for each range."""
        if side.by is None:  # it has addresses
            return 0.0
        searched = visits * log2(1 + side.fan)
        if side.by is self.order[-1] or leader.by is not self.order[-1]:
            return searched
        range_ = self.counted.fan_out(side.number, side.by, self._came[side.by])
        return min(searched, self._rows_at[side.by] * range_)

    def take(self, move: _Move) -> None:
        """Go on."""
        name, leader = move.name, move.leader
        self.cost += move.cost
        self.rows = move.after
        self.order.append(name)
        self._rows_at[name] = move.after
        self._came[name] = self._via[name] = leader.number
        if leader.by is not None:
            self._via[leader.by] = (
                leader.number
            )  # what has many edges has been come through more often


class _Move(NamedTuple):
    cost: float
    after: float
    name: Symbol
    leader: _Side


def _way(
    counted: _Counted,
    first: Symbol,
    names: Sequence[Symbol],
    late: AbstractSet[Symbol] | None = None,
) -> _Walk:
    """Return the order that begins with a variable and goes on with what costs least. `late`: the others come last."""
    walk = _Walk(counted, first)
    while len(walk.order) < len(names):
        left = [name for name in names if name not in walk.order]
        if late is not None:
            left = [name for name in left if name in late] or left
        walk.take(min(map(walk.move, left), key=lambda move: move.cost))
    return walk

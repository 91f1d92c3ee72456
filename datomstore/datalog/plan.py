"""The order in which a body's clauses are answered.

Is:     a greedy order by what is bound and by counted sizes, and the steps for it.
Is not: a search through all orders.
Fits:   `rules` plans bodies of rules, `query` the query's own.

A clause is ready when what it needs is bound. Of the ready ones the cheapest goes first: filters, then look-ups that
give about one row for each row, then larger ones by size; what shares no variable with the rows so far comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from math import sqrt
from typing import Generic, Protocol, TypeVar

from datomstore.datalog._kernel import Table
from datomstore.datalog.builtins import SOURCE_FUNCTIONS
from datomstore.datalog.check import (
    Program,
    produces,
    shared_variables,
    unbound,
    waits_for,
)
from datomstore.datalog.cyclic import Cyclic
from datomstore.datalog.errors import QueryError
from datomstore.datalog.hypergraph import cyclic_core
from datomstore.datalog.limits import ORDERS_MAX
from datomstore.datalog.sources import DatabaseSource, Source
from datomstore.datalog.steps import (
    FLIPPED,
    Compute,
    Delta,
    DemandCall,
    Keep,
    LookUp,
    Match,
    Step,
    Without,
    interval,
    is_bound,
)
from datomstore.datalog.syntax import (
    BLANK,
    DEFAULT_SOURCE,
    Apply,
    Call,
    Clause,
    Constant,
    Not,
    Pattern,
    Term,
    all_variables,
    is_source,
    is_variable,
)
from datomstore.intern import Ids
from datomstore.value import Symbol

UNKNOWN_SIZE = 1_000  # rows of a table that is still being derived
SIZE_BITS = 3  # sizes are alike if they differ by less than a factor of about eight


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """Rows of a table of the same fixpoint."""

    table: Table
    terms: tuple[Term, ...]
    form: object


Part = Clause | Stored


P = TypeVar("P", bound=Part)


class _Waiting(Generic[P]):
    """A clause that is not in the order yet."""

    __slots__ = ("needs", "part", "size", "variables")

    def __init__(self, part: P, needs: Set[Symbol]) -> None:
        self.part = part
        self.needs = needs
        self.variables = _seen(part)
        self.size: int | None = None


class Answers(Protocol):
    """Where a planner gets the answers of rules from."""

    program: Program
    sources: dict[Symbol, Source]
    cautious: bool

    def complete(self, name: str, source: Symbol) -> Table:
        """Return all answers of a rule that needs nothing bound."""

    def whole(self, name: str, source: Symbol, *, eager: bool) -> Table | None:
        """Return all answers of a rule if they are there, or, if `eager`, can be had without too much work."""

    def size(self, name: str, source: Symbol) -> int:
        """Return about how many answers a rule has."""

    def forget_asked(self) -> None:
        """Ask rules anew from now on: some may have been left in the middle."""

    def places(self, name: str, bound: Sequence[int]) -> tuple[int, ...]:
        """Return which of the bound arguments a call tells its rule."""

    def demanded(
        self, name: str, source: Symbol, places: tuple[int, ...]
    ) -> Callable[[list[Ids], int], Table]:
        """Return what answers a rule for given arguments."""


class Planner:
    """Plans bodies whose default source is `source`."""

    def __init__(self, answers: Answers, source: Symbol) -> None:
        self.answers = answers
        self.source = source

    def order(
        self, body: Sequence[P], bound: Iterable[Symbol], outside: Iterable[Symbol]
    ) -> list[P]:
        """Return the clauses in the order in which they are answered. Raises QueryError if one never can be.

        An order is kept with its program and used again where all sizes are alike.
        """
        if len(body) < 2 and all(isinstance(part, (Stored, Pattern)) for part in body):
            return list(body)  # these need nothing bound
        names, around = frozenset(bound), frozenset(outside)
        kept = self.answers.program.orders
        sizes = self._ranges(body)
        alike = tuple(self._alike(part, place, sizes) for place, part in enumerate(body))
        key = (alike, names, around, self.answers.cautious)
        places = kept.get(key)
        if places is None:
            ordered = self._ordered(body, names, around)
            if len(kept) >= ORDERS_MAX:
                kept.clear()
            kept[key] = tuple(body.index(part) for part in ordered)
            return ordered
        return [body[place] for place in places]

    def _ranges(self, body: Sequence[Part]) -> dict[int, int]:
        """Return sizes of patterns whose value is compared with integers, by place in the body."""
        bounds: dict[Symbol, list[tuple[str, int]]] = {}
        for part in body:
            if isinstance(part, Apply) and part.binding is None and part.function in FLIPPED:
                for name, variable, bound in _compared(part):
                    bounds.setdefault(variable, []).append((name, bound))
        found: dict[int, int] = {}
        for place, part in enumerate(body if bounds else ()):
            if not isinstance(part, Pattern) or len(part.terms) < 3:
                continue
            value, source = part.terms[2], self.find(part.source, part.form)
            if isinstance(source, DatabaseSource) and is_variable(value) and value in bounds:
                size = source.between(source.key_of(part), *interval(bounds[value]))
                if size is not None:
                    found[place] = size
        return found

    def _alike(self, part: Part, place: int, sizes: Mapping[int, int]) -> object:
        """Return the clause and about how large it is: what decides its place."""
        if place in sizes:
            return part, sizes[place].bit_length() // SIZE_BITS
        if isinstance(part, Stored):
            return part.terms, part.table.count.bit_length() // SIZE_BITS
        if isinstance(part, (Pattern, Call)):
            return part, self.size(part).bit_length() // SIZE_BITS
        return part

    def written(
        self, body: Sequence[P], bound: Iterable[Symbol], outside: Iterable[Symbol]
    ) -> list[P]:
        """Return the clauses as they are written, but for those that have to wait for others."""
        return self._ordered(body, bound, outside, cautious=True)

    def _ordered(
        self,
        body: Sequence[P],
        bound: Iterable[Symbol],
        outside: Iterable[Symbol],
        *,
        cautious: bool = False,
    ) -> list[P]:
        names = set(bound)
        clauses = [part for part in body if not isinstance(part, Stored)]
        visible = set(outside) | {
            n for part in body if isinstance(part, Stored) for n in _variables(part)
        }
        waiting = [_Waiting(part, self._needs(part, clauses, visible)) for part in body]
        for place, size in self._ranges(body).items():
            waiting[place].size = size
        ordered: list[P] = []
        while waiting:
            ready = [item for item in waiting if item.needs <= names]
            if not ready:
                stuck = next(i.part for i in waiting if not isinstance(i.part, Stored))
                raise unbound(stuck, names, self.answers.program.required, clauses)
            # A function may rely on the clauses written before it, so after a failure they do go first.
            one = len(ready) == 1 or cautious or self.answers.cautious
            best = ready[0] if one else min(ready, key=lambda item: self._cost(item, names))
            waiting.remove(best)
            ordered.append(best.part)
            names |= _names(best.part)
        return ordered

    def _needs(self, part: Part, body: Sequence[Clause], visible: set[Symbol]) -> Set[Symbol]:
        if isinstance(part, (Stored, Pattern)):
            return set()
        return waits_for(part, self.answers.program.required, body, visible)

    def _cost(self, item: _Waiting[P], names: set[Symbol]) -> float:
        part = item.part
        if isinstance(part, Apply):
            return 0.0 if part.binding is None else 0.1
        if isinstance(part, Not):
            return 0.2
        if item.variables <= names:
            return 0.4 if isinstance(part, Call) else 0.3
        if item.size is None:
            item.size = self.size(part)
        size = item.size
        if not item.variables & names:
            return float(size) if not names else 1e6 + size
        if isinstance(part, Pattern) and is_bound(part.terms[0], names):
            return 1.0
        return 2.0 + sqrt(size)

    def size(self, part: Part) -> int:
        """Return about how many rows a clause has by itself."""
        if isinstance(part, Stored):
            return part.table.count or UNKNOWN_SIZE
        if isinstance(part, Pattern):
            return self.find(part.source, part.form).size(part)
        assert isinstance(part, Call), part
        return self.answers.size(part.name, self.source_of(part))

    # -- steps --

    def steps(
        self,
        ordered: Sequence[Part],
        bound: Iterable[Symbol],
        keep: Iterable[Symbol],
        outside: Iterable[Symbol],
        *,
        delta: bool = False,
        pairwise: bool = False,
    ) -> list[Step]:
        """Return the operators of ordered clauses; `delta`: the first reads new rows only.

        There is one for each clause, but for those from the first to the last that form a cycle, unless `pairwise`.
        """
        made = self._pairwise(ordered, bound, keep, outside, delta=delta)
        if delta or pairwise or self.answers.cautious:
            return made
        return self._with_cycle(made, ordered, bound, outside)

    def _pairwise(
        self,
        ordered: Sequence[Part],
        bound: Iterable[Symbol],
        keep: Iterable[Symbol],
        outside: Iterable[Symbol],
        *,
        delta: bool = False,
    ) -> list[Step]:
        clauses = [part for part in ordered if not isinstance(part, Stored)]
        visible = set(outside) | {
            n for part in ordered if isinstance(part, Stored) for n in _variables(part)
        }
        kept = _kept_after(ordered, keep)
        names = set(bound)
        made: list[Step] = []
        for place, part in enumerate(ordered):
            made.append(
                self._step(part, kept[place], names, clauses, visible, delta=delta and place == 0)
            )
            names |= _names(part)
        return made

    def _with_cycle(
        self,
        steps: list[Step],
        ordered: Sequence[Part],
        bound: Iterable[Symbol],
        outside: Iterable[Symbol],
    ) -> list[Step]:
        """Return steps with those of clauses that form a cycle, and of what stands between them, as one."""
        joined = [place for place, part in enumerate(ordered) if self._can_be_joined(part)]
        core = cyclic_core([_names(ordered[place]) for place in joined])
        if not core:
            return steps
        places = [joined[number] for number in core]
        first, past = places[0], places[-1] + 1
        members = [ordered[place] for place in places]
        others = [ordered[place] for place in range(first, past) if place not in places]
        after = steps[past - 1].keep
        known = {name for part in members for name in _names(part)}
        known.update(bound, *(_names(part) for part in ordered[:first]))
        cyclic = Cyclic(
            steps[first:past],
            [steps[place] for place in places],
            self._pairwise(others, known, after, outside),
            _kept_before(others, after),
            tuple(part.form for part in members),
            sum(self.size(part) for part in members),
            self.answers.forget_asked,
        )
        return [*steps[:first], cyclic, *steps[past:]]

    def _can_be_joined(self, part: Part) -> bool:
        """Return whether all rows of a clause can be had without knowing anything."""
        if isinstance(part, Call):
            return not self.answers.program.required[part.name]
        return isinstance(part, Pattern)

    def _step(
        self,
        part: Part,
        keep: Keep,
        names: set[Symbol],
        body: Sequence[Clause],
        visible: set[Symbol],
        *,
        delta: bool,
    ) -> Step:
        if isinstance(part, Stored):
            table = part.table
            return (Delta if delta else LookUp)(lambda: table, part.terms, part.form, keep)
        if isinstance(part, Pattern):
            return self._pattern(part, keep)
        if isinstance(part, Apply):
            return self._apply(part, keep)
        if isinstance(part, Not):
            return self._not(part, keep, names, body, visible)
        assert isinstance(part, Call), part
        name, source = part.name, self.source_of(part)
        places = self.answers.places(name, bound_places(part, names))
        if places:
            answer = self.answers.demanded(name, source, places)
            whole = partial(self.answers.whole, name, source)
            return DemandCall(answer, whole, places, part.arguments, part.form, keep)
        return LookUp(lambda: self.answers.complete(name, source), part.arguments, part.form, keep)

    def _pattern(self, part: Pattern, keep: Keep) -> Step:
        source = self.find(part.source, part.form)
        return Match(source, source.key_of(part), blanked(part.terms), part.form, keep)

    def _apply(self, part: Apply, keep: Keep) -> Step:
        if part.function not in SOURCE_FUNCTIONS:
            return Compute(part, None, keep)
        named = part.arguments[0] if part.arguments else None
        if not is_source(named):
            raise QueryError("query/arity", f"{part.function} takes a source first", part.form)
        source = self.find(named, part.form)
        if not isinstance(source, DatabaseSource):
            raise QueryError("query/input", f"{named.name} is not a database", part.form)
        return Compute(part, source, keep)

    def _not(
        self,
        part: Not,
        keep: Keep,
        names: set[Symbol],
        body: Sequence[Clause],
        visible: set[Symbol],
    ) -> Step:
        shared = sorted(shared_variables(part, body, visible | names) & names)
        ordered = self.order(part.body, shared, shared)
        steps = self.steps(ordered, shared, shared, shared, pairwise=True)
        return Without(steps, shared, part.form, keep)

    # -- sources --

    def source_of(self, part: Call) -> Symbol:
        """Return the source that is the default inside of a called rule."""
        return self.source if part.source is DEFAULT_SOURCE else part.source

    def find(self, name: Symbol, form: object) -> Source:
        """Return a source by the name it has in this body."""
        wanted = self.source if name is DEFAULT_SOURCE else name
        found = self.answers.sources.get(wanted)
        if found is None:
            raise QueryError("query/unknown-source", f"no source {wanted.name}", form)
        return found


def _compared(part: Apply) -> Iterator[tuple[str, Symbol, int]]:
    """Yield the comparison of a variable with an integer that a predicate is, if it is one."""
    if len(part.arguments) != 2:
        return
    left, right = part.arguments
    for name, variable, bound in (
        (part.function, left, right),
        (FLIPPED[part.function], right, left),
    ):
        if is_variable(variable) and isinstance(bound, Constant) and type(bound.value) is int:
            yield name, variable, bound.value


def bound_places(call: Call, names: Collection[Symbol]) -> tuple[int, ...]:
    """Return the places of the arguments that have a value once these variables have."""
    return tuple(place for place, term in enumerate(call.arguments) if is_bound(term, names))


def _variables(part: Stored) -> set[Symbol]:
    return {term for term in part.terms if is_variable(term)}


def _names(part: Part) -> Set[Symbol]:
    return _variables(part) if isinstance(part, Stored) else produces(part)


def blanked(terms: Sequence[Term]) -> list[Term]:
    """Return terms without constants: the table holds only facts that have them."""
    return [BLANK if isinstance(term, Constant) else term for term in terms]


def _kept_after(ordered: Sequence[Part], keep: Iterable[Symbol]) -> list[Keep]:
    """Return for each clause the variables that are still needed after it."""
    needed = set(keep)
    kept: list[Keep] = []
    for part in reversed(ordered):
        kept.append(frozenset(needed))
        needed |= _seen(part)
    return kept[::-1]


def _kept_before(parts: Sequence[Part], keep: Keep) -> Keep:
    """Return the variables that are needed before some clauses."""
    return keep.union(*(_seen(part) for part in parts))


def _seen(part: Part) -> Set[Symbol]:
    return _variables(part) if isinstance(part, Stored) else all_variables(part)

"""An evaluator that does what queries mean, one row at a time, and shares no code with the engine.

Is:     nested loops in the order of the text; rules by asking again until no answer is new.
Is not: fast, or a checker: what it cannot answer is Stuck.
Fits:   the oracle of the tests in this folder; it reads forms, not the engine's parsed queries.

A function or `not` waits until its variables are bound, a rule until the arguments it must be told are (`required`).
Two equalities: variables join what nothing tells apart, so 0.0 does not meet -0.0, and NaN meets NaN (`identical`);
the function `=` takes more values for the same (`same`), and so do the keys of `grouped` rows.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from datomstore.value import List, Set, Symbol, exact_key, hash_key

Row = tuple[object, ...]
Env = dict[str, object]
UNBOUND = object()


class Stuck(Exception):
    """Nothing binds what a clause needs."""


class Failed(Exception):
    """A function does not take its arguments."""


def is_variable(term: object) -> bool:
    return isinstance(term, Symbol) and term.name.startswith("?")


def identical(left: object, right: object) -> bool:
    return exact_key(left) == exact_key(right)


def same(left: object, right: object) -> bool:
    return identical(left, right) or hash_key(left) == hash_key(right)


# -- variables of forms --


def positive(clause: object) -> set[str]:
    """Variables outside of any `not`."""
    assert isinstance(clause, tuple)
    if not isinstance(clause, List):
        head = clause[0]
        if isinstance(head, List):
            return terms_of(head[1:]) | (
                pattern_names(clause[1]) if len(clause) > 1 else set[str]()
            )
        return terms_of(clause)
    kind, rest = opened(clause)
    if kind in ("not", "not-join"):
        return set()
    if kind == "or-join":
        assert isinstance(rest[0], tuple)
        return pattern_names(rest[0])
    if kind in ("or", "and"):
        return set[str]().union(*(positive(part) for part in rest))
    return terms_of(rest)


def seen(clause: object) -> set[str]:
    """Variables that the neighbours of a clause can see, those inside of `not` included."""
    assert isinstance(clause, tuple)
    if isinstance(clause, List):
        kind, rest = opened(clause)
        if kind in ("not-join", "or-join"):
            return pattern_names(rest[0])
        if kind in ("not", "or", "and"):
            return set[str]().union(*(seen(part) for part in rest))
    return positive(clause)


def terms_of(terms: Sequence[object]) -> set[str]:
    return {term.name for term in terms if isinstance(term, Symbol) and is_variable(term)}


def pattern_names(form: object) -> set[str]:
    """Variables of a binding form or of a rule's parameters."""
    if isinstance(form, tuple):
        return set[str]().union(*(pattern_names(part) for part in form))
    return terms_of([form])


def opened(clause: List) -> tuple[str, Sequence[object]]:
    """The name and the rest of a clause in parentheses, without its source."""
    rest: Sequence[object] = clause
    if isinstance(rest[0], Symbol) and rest[0].name.startswith("$"):
        rest = rest[1:]
    assert isinstance(rest[0], Symbol)
    return rest[0].name, rest[1:]


def source_in(clause: tuple[object, ...], source: str) -> str:
    first = clause[0]
    named = isinstance(first, Symbol) and first.name.startswith("$") and len(first.name) > 1
    return first.name if isinstance(first, Symbol) and named else source


# -- functions --


def number(value: object) -> int | float | Fraction:
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction)):
        raise Failed(value)
    return value


def compared(test: Callable[[Any, Any], bool]) -> Callable[..., object]:
    def apply(left: object, right: object) -> object:
        if isinstance(left, str) and isinstance(right, str):
            return test(left, right)
        return test(number(left), number(right))

    return apply


def text(*values: object) -> object:
    parts = []
    for value in values:
        if isinstance(value, str):
            parts.append(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            parts.append(str(value))
        else:
            raise Failed(value)
    return "".join(parts)


FUNCTIONS: dict[str, Callable[..., object]] = {
    "+": lambda a, b: number(a) + number(b),
    "-": lambda a, b: number(a) - number(b),
    "*": lambda a, b: number(a) * number(b),
    "inc": lambda a: number(a) + 1,
    "dec": lambda a: number(a) - 1,
    "max": lambda a, b: b if number(b) > number(a) else a,
    "<": compared(operator.lt),
    "<=": compared(operator.le),
    ">": compared(operator.gt),
    ">=": compared(operator.ge),
    "=": same,
    "not=": lambda a, b: not same(a, b),
    "!=": lambda a, b: not same(a, b),
    "==": lambda a, b: number(a) == number(b),
    "str": text,
    "identity": lambda a: a,
    "ground": lambda a: a,
    "tuple": lambda *a: a,
    "untuple": lambda a: a,
}


class Naive:
    """One query's sources and rules; `required[name]` are the places of arguments a rule must be told."""

    def __init__(
        self,
        sources: Mapping[str, Sequence[Row]],
        rules: Sequence[tuple[object, ...]] = (),
        required: Mapping[str, frozenset[int]] | None = None,
    ) -> None:
        self.sources = sources
        self.rules: dict[str, list[tuple[object, ...]]] = {}
        for rule in rules:
            head = rule[0]
            assert isinstance(head, List)
            assert isinstance(head[0], Symbol)
            self.rules.setdefault(head[0].name, []).append(rule)
        self.required = required or {}
        self.memo: dict[tuple[object, ...], dict[object, Row]] = {}
        self.asked: dict[tuple[object, ...], tuple[str, str, Row]] = {}
        self.changed = False

    # -- whole answers --

    def answers(self, where: Sequence[object], env: Env, visible: set[str]) -> list[Env]:
        """Every row of a body, rules complete."""
        while True:
            self.changed = False
            found = list(self.solve(where, env, "$", visible))
            for name, source, arguments in list(self.asked.values()):
                self.update(name, source, arguments)
            if not self.changed:
                return found

    def update(self, name: str, source: str, arguments: Row) -> None:
        known = self.memo[self.key(name, source, arguments)]
        for rule in self.rules[name]:
            head = rule[0]
            assert isinstance(head, List)
            parameters = [part for item in head[1:] for part in flat(item)]
            env: Env = {
                name: value
                for name, value in zip(parameters, arguments, strict=True)
                if value is not UNBOUND
            }
            for row in list(self.solve(rule[1:], env, source, set(parameters))):
                if not set(parameters) <= row.keys():
                    raise Stuck(rule)
                answer = tuple(row[parameter] for parameter in parameters)
                if exact_key(answer) not in known:
                    known[exact_key(answer)] = answer
                    self.changed = True

    def key(self, name: str, source: str, arguments: Row) -> tuple[object, ...]:
        return (name, source, *(None if a is UNBOUND else (exact_key(a),) for a in arguments))

    # -- one body --

    def solve(
        self, body: Sequence[object], env: Env, source: str, visible: set[str]
    ) -> Iterator[Env]:
        """Rows of a body, clauses as soon as they are ready in the order of the text."""
        if not body:
            yield env
            return
        for place, clause in enumerate(body):
            others = [*body[:place], *body[place + 1 :]]
            around = visible.union(*(positive(other) for other in others)) | env.keys()
            if self.ready(clause, set(env), around):
                for row in self.step(clause, env, source, around):
                    yield from self.solve(others, row, source, visible)
                return
        raise Stuck(body)

    def ready(self, clause: object, bound: set[str], around: set[str]) -> bool:
        assert isinstance(clause, tuple)
        if not isinstance(clause, List):
            head = clause[0]
            return not isinstance(head, List) or terms_of(head[1:]) <= bound
        kind, rest = opened(clause)
        if kind == "not":
            shared = set[str]().union(*(seen(part) for part in rest)) & around
            return shared <= bound and self.orderable(rest, shared, shared)
        if kind == "not-join":
            shared = pattern_names(rest[0])
            return shared <= bound and self.orderable(rest[1:], shared, shared)
        if kind == "or":
            names = set[str]().union(*(positive(part) for part in rest))
            return all(
                names <= seen(part) and self.orderable([part], bound, around | names, names)
                for part in rest
            )
        if kind == "or-join":
            names = pattern_names(rest[0])
            return all(self.orderable([part], bound & names, names, names) for part in rest[1:])
        if kind == "and":
            return self.orderable(rest, bound, around)
        needed = [rest[place] for place in self.required.get(kind, ())]
        return terms_of(needed) <= bound

    def orderable(
        self,
        body: Sequence[object],
        bound: set[str],
        visible: set[str],
        wanted: set[str] | None = None,
    ) -> bool:
        """Whether a body can be answered, and binds what is wanted of it."""
        bound, waiting = set(bound), [part for clause in body for part in spread(clause)]
        while waiting:
            for place, clause in enumerate(waiting):
                others = waiting[:place] + waiting[place + 1 :]
                around = visible.union(*(positive(other) for other in others)) | bound
                if self.ready(clause, bound, around):
                    bound |= positive(clause)
                    waiting = others
                    break
            else:
                return False
        return wanted is None or wanted <= bound

    def step(self, clause: object, env: Env, source: str, around: set[str]) -> Iterator[Env]:
        assert isinstance(clause, tuple)
        if not isinstance(clause, List):
            if isinstance(clause[0], List):
                yield from self.apply(clause, env)
            else:
                yield from self.match(clause, env, source)
            return
        kind, rest = opened(clause)
        inner = source_in(clause, source)
        if kind == "and":
            yield from self.solve(rest, env, inner, around)
        elif kind == "or":
            names = set[str]().union(*(positive(part) for part in rest))
            for part in rest:
                for row in self.solve([part], env, inner, around | names):
                    yield {n: v for n, v in row.items() if n in env or n in around | names}
        elif kind == "or-join":
            names = pattern_names(rest[0])
            narrow = {n: v for n, v in env.items() if n in names}
            for part in rest[1:]:
                for row in self.solve([part], narrow, inner, names):
                    if not names <= row.keys():
                        raise Stuck(clause)
                    yield env | {n: row[n] for n in names}
        elif kind in ("not", "not-join"):
            names = pattern_names(rest[0]) if kind == "not-join" else around
            narrow = {n: v for n, v in env.items() if n in names}
            body = rest[1:] if kind == "not-join" else rest
            # What is negated must be complete: it is answered by itself.
            whole = Naive(
                self.sources, [r for rs in self.rules.values() for r in rs], self.required
            )
            if not whole.answers_in(body, narrow, inner):
                yield env
        else:
            yield from self.call(kind, rest, env, inner)

    def answers_in(self, body: Sequence[object], env: Env, source: str) -> bool:
        """Whether a body over some source has any row."""
        while True:
            self.changed = False
            found = any(True for _ in list(self.solve(body, env, source, set(env))))
            for name, at, arguments in list(self.asked.values()):
                self.update(name, at, arguments)
            if not self.changed:
                return found

    def match(self, clause: tuple[object, ...], env: Env, source: str) -> Iterator[Env]:
        source = source_in(clause, source)
        first = clause[0]
        named = isinstance(first, Symbol) and first.name.startswith("$")
        terms = clause[1:] if named else clause
        for row in self.sources[source]:
            if len(row) >= len(terms):
                found = unify(terms, row, env)
                if found is not None:
                    yield found

    def apply(self, clause: tuple[object, ...], env: Env) -> Iterator[Env]:
        call = clause[0]
        assert isinstance(call, List)
        assert isinstance(call[0], Symbol)
        arguments = [env[t.name] if isinstance(t, Symbol) else t for t in call[1:]]
        result = FUNCTIONS[call[0].name](*arguments)
        if len(clause) == 1:
            if result is not None and result is not False:
                yield env
            return
        yield from bound_rows(clause[1], result, env)

    def call(self, name: str, terms: Sequence[object], env: Env, source: str) -> Iterator[Env]:
        arguments = tuple((env.get(t.name, UNBOUND) if isinstance(t, Symbol) else t) for t in terms)
        key = self.key(name, source, arguments)
        if key not in self.memo:
            self.memo[key] = {}
            self.asked[key] = (name, source, arguments)
            self.changed = True
        for answer in list(self.memo[key].values()):
            found = unify(terms, answer, env)
            if found is not None:
                yield found


def spread(clause: object) -> list[object]:
    """The clauses of an `and`, or the clause."""
    if isinstance(clause, List) and opened(clause)[0] == "and":
        return [part for inner in opened(clause)[1] for part in spread(inner)]
    return [clause]


def flat(item: object) -> list[str]:
    if isinstance(item, tuple):
        return [name for part in item for name in flat(part)]
    assert isinstance(item, Symbol)
    return [item.name]


def unify(terms: Sequence[object], row: Sequence[object], env: Env) -> Env | None:
    found = dict(env)
    for term, value in zip(terms, row, strict=False):
        if isinstance(term, Symbol):
            if term.name == "_":
                continue
            if term.name in found:
                if not identical(found[term.name], value):
                    return None
            else:
                found[term.name] = value
        elif not identical(term, value):
            return None
    return found


def bound_rows(binding: object, value: object, env: Env) -> Iterator[Env]:
    """Rows of a binding form: a variable, `[?a ?b]`, `[?x ...]`, `[[?a ?b]]`."""
    if not isinstance(binding, tuple):
        found = unify([binding], [value], env)
        if found is not None:
            yield found
        return
    if isinstance(value, Set):
        value = tuple(value)
    if not isinstance(value, tuple):
        raise Failed(value)
    dots = len(binding) == 2 and isinstance(binding[1], Symbol) and binding[1].name == "..."
    if dots or (len(binding) == 1 and isinstance(binding[0], tuple)):
        for item in value:
            yield from bound_rows(binding[0], item, env)
        return
    if len(value) < len(binding):
        raise Failed(value)
    rows: list[Env] = [env]
    for part, item in zip(binding, value, strict=False):
        rows = [more for row in rows for more in bound_rows(part, item, row)]
    yield from rows


# -- find --


def grouped(find: Sequence[object], with_: Sequence[str], rows: Sequence[Env]) -> dict[object, Row]:
    """The rows of :find by their keys, aggregates included."""
    names = [f[-1] if isinstance(f, List) else f for f in find]
    wanted = [n.name for n in names if isinstance(n, Symbol)] + list(with_)
    distinct: dict[object, Env] = {}
    for row in rows:
        if not set(wanted) <= row.keys():
            raise Stuck(find)
        distinct.setdefault(exact_key(tuple(row[name] for name in wanted)), row)
    if not any(isinstance(f, List) for f in find):
        listed = [
            tuple(row[f.name] for f in find if isinstance(f, Symbol)) for row in distinct.values()
        ]
        return {hash_key(row): row for row in listed}
    groups: dict[object, list[Env]] = {}
    for row in distinct.values():
        plain = tuple(
            row[f.name] for f in find if isinstance(f, Symbol) and not isinstance(f, List)
        )
        groups.setdefault(exact_key(plain), []).append(row)
    made = [
        tuple(aggregate(f, members) if isinstance(f, List) else members[0][f.name] for f in find)  # type: ignore[attr-defined]
        for members in groups.values()
    ]
    return {hash_key(row): row for row in made}


def aggregate(form: List, members: Sequence[Env]) -> object:
    name, variable = form[0], form[-1]
    assert isinstance(name, Symbol)
    assert isinstance(variable, Symbol)
    values = [row[variable.name] for row in members]
    match name.name:
        case "count":
            return len(values)
        case "count-distinct":
            return len({hash_key(value) for value in values})
        case "sum":
            return sum(number(value) for value in values)
        case "min":
            return min(number(value) for value in values)
        case "max":
            return max(number(value) for value in values)
        case "avg":
            mean = sum((Fraction(number(value)) for value in values), Fraction(0)) / len(values)
            return int(mean) if mean.denominator == 1 else float(mean)
    raise AssertionError(name)

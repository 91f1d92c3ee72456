"""Queries and rules from text or values.

Is:     the grammar: :find, :keys, :with, :in, :where, clauses, bindings, rules; every refusal names the clause.
Is not: meaning: names, arities and what must be bound are `check`'s.
Fits:   `query` caches what this returns.
Source: Datomic's query reference; DataScript's grammar for what it leaves open.

A tuple with variables in a pattern, `[?e :pair [?a ?b]]`, becomes a fresh variable and a function clause that takes
it apart. A source in front of a clause with clauses inside is the default source of all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, TypeGuard

from datomstore import edn
from datomstore.datalog.aggregates import AGGREGATES, PARAMETERS
from datomstore.datalog.builtins import SOURCE_FUNCTIONS, oversize
from datomstore.datalog.errors import QueryError, text_of
from datomstore.datalog.limits import CLAUSE_DEPTH_MAX, CLAUSES_MAX, TERMS_MAX
from datomstore.datalog.pull_pattern import STAR, parse_pattern
from datomstore.datalog.syntax import (
    BLANK,
    DEFAULT_SOURCE,
    RULES,
    Aggregate,
    Apply,
    BindCollection,
    Binding,
    BindScalar,
    BindTuple,
    Call,
    Clause,
    Constant,
    FindElement,
    Not,
    Or,
    Pattern,
    Pull,
    Query,
    Rule,
    Rules,
    Term,
    binding_variables,
    is_source,
    is_variable,
)
from datomstore.value import Keyword, List, Map, Symbol, hash_key

DOTS = Symbol("...")
DOT = Symbol(".")
PULL = Symbol("pull")
QUOTE = Symbol("quote")
CUSTOM = "aggregate"
KEYS = ("keys", "strs", "syms")
SECTIONS = ("find", *KEYS, "with", "in", "where")
CLAUSES_WITHIN = frozenset({"and", "or", "or-join", "not", "not-join"})
BEST = frozenset({"min", "max"})  # of a rule's argument: the best for all others stays


def parse_query(source: object) -> Query:
    """Return a query of text, a vector or a map. Raises QueryError."""
    form = _read(source, "a query")
    sections = _sections(form)
    if "find" not in sections:
        raise _syntax("a query needs :find", form)
    shape, find = _find(sections["find"], form)
    named = _named(find)
    inputs = tuple(
        item if isinstance(item, Symbol) and item in named else _input(item)
        for item in sections.get("in", (DEFAULT_SOURCE,))
    )
    _refuse_repeated(inputs, form)
    with_ = tuple(_variable(item, form) for item in sections.get("with", ()))
    where = _Clauses().all(sections.get("where", ()), DEFAULT_SOURCE, 0)
    keys = _keys(sections, shape, find, form)
    _refuse_unnamed(find, inputs, form)
    return Query(shape, find, with_, inputs, where, form, keys)


def parse_rules(source: object) -> Rules:
    """Return the rules of text, or of a vector of rules. Raises QueryError."""
    form = _read(source, "rules")
    if not isinstance(form, (tuple, list)) or isinstance(form, List):
        raise _syntax("rules are a vector of rules", form)
    by_name: dict[str, list[Rule]] = {}
    for item in form:
        rule = _rule(item)
        same = by_name.setdefault(rule.name, [])
        if same and len(same[0].parameters) != len(rule.parameters):
            arity = len(same[0].parameters)
            raise QueryError(
                "query/arity", f"rule {rule.name} takes {arity} arguments elsewhere", item
            )
        if same and same[0].best != rule.best:
            raise _syntax(f"rule {rule.name} has another min or max elsewhere", item)
        same.append(rule)
    return Rules({name: tuple(rules) for name, rules in by_name.items()})


def _read(source: object, what: str) -> object:
    if not isinstance(source, str):
        return source
    try:
        return edn.read(source, source=what.split()[-1])
    except edn.EdnError as error:
        raise QueryError("query/syntax", str(error)) from error


def _syntax(message: str, form: object) -> QueryError:
    return QueryError("query/syntax", message, form)


# -- sections --


def _sections(form: object) -> dict[str, tuple[object, ...]]:
    if isinstance(form, (Map, Mapping)):
        pairs = [(key, _items(value, form)) for key, value in form.items()]
    elif isinstance(form, (tuple, list)) and not isinstance(form, List):
        pairs = _divided(form)
    else:
        raise _syntax("a query is a vector or a map", form)
    sections: dict[str, tuple[object, ...]] = {}
    for key, items in pairs:
        name = key.name if isinstance(key, Keyword) else None
        if name not in SECTIONS:
            known = ", ".join(f":{section}" for section in SECTIONS)
            raise _syntax(f"no section {text_of(key)}; there are {known}", form)
        if name in sections:
            raise _syntax(f":{name} stands twice", form)
        sections[name] = items
    return sections


def _items(value: object, form: object) -> tuple[object, ...]:
    if isinstance(value, (tuple, list)):
        return tuple(value)
    raise _syntax("a section of a query map is a vector", form)


def _divided(form: Sequence[object]) -> list[tuple[object, tuple[object, ...]]]:
    if not form or not isinstance(form[0], Keyword):
        raise _syntax("a query begins with :find", form)
    pairs: list[tuple[object, list[object]]] = []
    for item in form:
        if isinstance(item, Keyword):
            pairs.append((item, []))
        else:
            pairs[-1][1].append(item)
    return [(key, tuple(items)) for key, items in pairs]


def _find(items: tuple[object, ...], form: object) -> tuple[str, tuple[FindElement, ...]]:
    if not items:
        raise _syntax(":find is empty", form)
    if len(items) == 2 and items[1] is DOT:
        return "scalar", (_element(items[0], form),)
    first = items[0]
    if len(items) == 1 and isinstance(first, (tuple, list)) and not isinstance(first, List):
        if len(first) == 2 and first[1] is DOTS:
            return "collection", (_element(first[0], form),)
        if not first:
            raise _syntax(":find is empty", form)
        return "tuple", tuple(_element(item, form) for item in first)
    return "relation", tuple(_element(item, form) for item in items)


def _element(item: object, form: object) -> FindElement:
    if isinstance(item, Symbol) and is_variable(item):
        return item
    if isinstance(item, List) and item and item[0] is PULL:
        return _pull(item)
    if not isinstance(item, List) or len(item) < 2 or not isinstance(item[0], Symbol):
        raise _syntax(f":find takes variables, aggregates and pulls, not {text_of(item)}", form)
    name = item[0].name
    if name == CUSTOM and len(item) == 3:
        return Aggregate(name, (), _variable(item[2], item), item, _variable(item[1], item))
    if name not in AGGREGATES:
        raise QueryError("query/unknown-function", f"no aggregate {name}", item)
    arguments = tuple(Constant(argument) for argument in item[1:-1])
    least, most = PARAMETERS.get(name, (0, 0))
    if not least <= len(arguments) <= most:
        fewer = "fewer" if len(arguments) > most else "more"
        raise QueryError("query/arity", f"{name} takes {fewer} arguments", item)
    return Aggregate(name, arguments, _variable(item[-1], item), item)


def _pull(item: List) -> Pull:
    rest: Sequence[object] = item[1:]
    source = DEFAULT_SOURCE
    if rest and isinstance(rest[0], Symbol) and is_source(rest[0]):
        source, rest = rest[0], rest[1:]
    if len(rest) != 2:
        raise QueryError("query/arity", "(pull ?e pattern), with a source before ?e or not", item)
    variable, pattern = _variable(rest[0], item), rest[1]
    if isinstance(pattern, Symbol) and pattern not in (STAR, BLANK):
        return Pull(source, variable, pattern, item)
    return Pull(source, variable, parse_pattern(pattern), item)


def _keys(
    sections: Mapping[str, Sequence[object]],
    shape: str,
    find: Sequence[FindElement],
    form: object,
) -> tuple[object, ...]:
    """Return what the values of a row are called, if :keys, :strs or :syms says so."""
    named = [name for name in KEYS if name in sections]
    if not named:
        return ()
    names = sections[named[0]]
    if len(named) > 1 or shape in ("collection", "scalar"):
        raise _syntax(f":{named[-1]} does not go with this :find", form)
    if len(names) != len(find) or not all(isinstance(name, (Symbol, Keyword)) for name in names):
        raise _syntax(f":{named[0]} names each element of :find", form)
    texts = [name.name for name in names if isinstance(name, (Symbol, Keyword))]
    if len(set(texts)) < len(texts):
        raise _syntax(f":{named[0]} has a name twice", form)
    make = {"keys": Keyword, "strs": str, "syms": Symbol}[named[0]]
    return tuple(make(text) for text in texts)


def _named(find: Sequence[FindElement]) -> set[Symbol]:
    """Return the inputs that :find names: patterns of pulls, and aggregates."""
    names = [
        e.pattern if isinstance(e, Pull) else e.given
        for e in find
        if isinstance(e, (Aggregate, Pull))
    ]
    return {name for name in names if isinstance(name, Symbol)}


def _refuse_unnamed(find: Sequence[FindElement], inputs: Sequence[object], form: object) -> None:
    """Refuse a pull of what is not among the inputs, and an input by a name that no pull uses."""
    for element in find:
        if not isinstance(element, Pull):
            continue
        if isinstance(element.pattern, Symbol) and element.pattern not in inputs:
            raise _syntax(f"no pattern {element.pattern.name} in :in", element.form)
        if element.source not in inputs:
            message = f"no source {element.source.name}"
            raise QueryError("query/unknown-source", message, element.form)
    for element in find:
        if isinstance(element, Aggregate) and element.given not in (None, *inputs):
            raise _syntax("no such aggregate in :in", element.form)
    used = _named(find)
    for item in inputs:
        if isinstance(item, Symbol) and not is_source(item) and item not in {RULES, *used}:
            raise _syntax(f"{item.name} is neither a variable (?{item.name}) nor a value", form)


def _variable(item: object, form: object) -> Symbol:
    if isinstance(item, Symbol) and is_variable(item):
        return item
    raise _syntax(f"{text_of(item)} stands where a variable is wanted", form)


# -- inputs and bindings --


def _input(item: object) -> Symbol | Binding:
    if isinstance(item, Symbol) and not is_variable(item) and item is not BLANK:
        return item  # a source, rules, or the name of a pull pattern
    return _binding(item, item, 0)


def _refuse_repeated(inputs: Sequence[Symbol | Binding], form: object) -> None:
    seen: set[Symbol] = set()
    for item in inputs:
        names = {item} if isinstance(item, Symbol) else binding_variables(item)
        for name in names & seen:
            raise _syntax(f"{name.name} stands twice in :in", form)
        seen |= names


def _binding(item: object, form: object, depth: int) -> Binding:
    if depth > CLAUSE_DEPTH_MAX:
        raise _syntax(f"nested more than {CLAUSE_DEPTH_MAX} deep", None)
    if isinstance(item, (tuple, list)) and not isinstance(item, List):
        if len(item) == 2 and item[1] is DOTS:
            return BindCollection(_binding(item[0], form, depth + 1))
        if len(item) == 1 and isinstance(item[0], (tuple, list)):
            return BindCollection(_binding(item[0], form, depth + 1))
        if not item:
            raise _syntax("an empty binding", form)
        return BindTuple(tuple(_binding(part, form, depth + 1) for part in item))
    return BindScalar(_term(item, form))


def _term(item: object, form: object) -> Term:
    """Return a variable, BLANK or constant."""
    if isinstance(item, Symbol):
        if item is BLANK or is_variable(item):
            return item
        raise _syntax(f"{item.name} is neither a variable (?{item.name}) nor a value", form)
    if isinstance(item, List) and len(item) == 2 and item[0] is QUOTE:
        return Constant(item[1])
    value = tuple(item) if isinstance(item, list) else item
    fault = oversize(value)
    if fault is not None:
        raise _syntax(fault, None)
    try:
        hash_key(value)
    except TypeError as error:
        raise _syntax(str(error), form) from error
    return Constant(value)


# -- clauses --


class _Clauses:
    """Parses the clauses of one body and of what is nested in it; makes the fresh variables they need."""

    def __init__(self) -> None:
        self._fresh = count()

    def all(self, items: Sequence[object], source: Symbol, depth: int) -> tuple[Clause, ...]:
        clauses: list[Clause] = []
        for item in items:
            clauses.extend(self._clause(item, source, depth))
            if len(clauses) > CLAUSES_MAX:
                raise _syntax(f"a body of more than {CLAUSES_MAX} clauses", None)
        return tuple(clauses)

    def _clause(self, item: object, source: Symbol, depth: int) -> Iterator[Clause]:
        if depth > CLAUSE_DEPTH_MAX:
            raise _syntax(f"clauses nested more than {CLAUSE_DEPTH_MAX} deep", None)
        if not isinstance(item, (tuple, list)) or not item:
            raise _syntax(f"{text_of(item)} is no clause", None)
        if len(item) > TERMS_MAX and not _has_clauses(item):
            raise _syntax(f"a clause of more than {TERMS_MAX} terms", None)
        if isinstance(item, List):
            yield from self._list(item, source, depth)
        elif isinstance(item[0], List):
            yield self._apply(item, source)
        else:
            yield from self._pattern(item, source)

    def _list(self, item: List, source: Symbol, depth: int) -> Iterator[Clause]:
        rest: Sequence[object] = item
        if isinstance(item[0], Symbol) and is_source(item[0]):
            source, rest = item[0], item[1:]
        if not rest or not isinstance(rest[0], Symbol) or is_variable(rest[0]):
            raise _syntax(
                "a clause in parentheses begins with a name; a function stands in [( )]", item
            )
        name, arguments = rest[0].name, rest[1:]
        match name:
            case "and":
                yield from self.all(self._body(arguments, item), source, depth + 1)
            case "not":
                yield Not(None, self.all(self._body(arguments, item), source, depth + 1), item)
            case "not-join":
                variables, body = self._joined(arguments, item)
                yield Not(variables, self.all(body, source, depth + 1), item)
            case "or":
                yield self._or(None, frozenset(), self._body(arguments, item), source, depth, item)
            case "or-join":
                yield self._or_join(arguments, source, depth, item)
            case _:
                yield Call(
                    source, name, tuple(_term(argument, item) for argument in arguments), item
                )

    def _body(self, items: Sequence[object], form: object) -> Sequence[object]:
        if not items:
            raise _syntax("no clause inside", form)
        return items

    def _joined(
        self, items: Sequence[object], form: object
    ) -> tuple[tuple[Symbol, ...], Sequence[object]]:
        if not items or not isinstance(items[0], tuple):
            raise _syntax("a vector of variables comes first", form)
        variables = tuple(_variable(item, form) for item in items[0])
        return variables, self._body(items[1:], form)

    def _or_join(self, items: Sequence[object], source: Symbol, depth: int, form: object) -> Or:
        if not items or not isinstance(items[0], tuple) or not items[0]:
            raise _syntax("a vector of variables comes first", form)
        required, names = _parameters(items[0], form)
        if not names:
            raise _syntax("or-join joins at least one variable", form)
        if len(set(names)) < len(names):
            raise _syntax("a variable stands twice in the vector of or-join", form)
        return self._or(names, required, self._body(items[1:], form), source, depth, form)

    def _or(
        self,
        variables: tuple[Symbol, ...] | None,
        required: frozenset[Symbol],
        items: Sequence[object],
        source: Symbol,
        depth: int,
        form: object,
    ) -> Or:
        branches = tuple(self.all([item], source, depth + 1) for item in items)
        return Or(variables, required, branches, form)

    def _apply(self, item: Sequence[object], source: Symbol) -> Apply:
        call = item[0]
        assert isinstance(call, List), call
        if not call or not isinstance(call[0], Symbol) or is_variable(call[0]):
            raise _syntax("a function is a name", item)
        if len(item) > 2:
            raise _syntax("a function clause is [(function arguments) binding]", item)
        name = call[0].name
        arguments: list[Term] = []
        for argument in call[1:]:
            if isinstance(argument, Symbol) and is_source(argument):
                arguments.append(source if argument is DEFAULT_SOURCE else argument)
            else:
                arguments.append(_term(argument, item))
        if any(argument is BLANK for argument in arguments):
            raise _syntax("a function takes no _", item)
        if any(is_source(argument) for argument in arguments[name in SOURCE_FUNCTIONS :]):
            raise _syntax(f"{name} takes no source", item)
        binding = _binding(item[1], item, 0) if len(item) == 2 else None
        return Apply(name, tuple(arguments), binding, item)

    def _pattern(self, item: Sequence[object], source: Symbol) -> Iterator[Clause]:
        rest = item
        if isinstance(item[0], Symbol) and is_source(item[0]):
            source, rest = item[0], item[1:]
        if not rest:
            raise _syntax("a pattern without terms", item)
        terms: list[Term] = []
        taken_apart: list[Apply] = []
        for part in rest:
            if isinstance(part, tuple) and not isinstance(part, List) and _mentions_variables(part):
                fresh = Symbol(f"?tuple {next(self._fresh)}")
                terms.append(fresh)
                taken_apart.append(
                    Apply("untuple", (fresh,), _binding(part, item, 0), item, lenient=True)
                )
            else:
                terms.append(_term(part, item))
        yield Pattern(source, tuple(terms), item)
        yield from taken_apart


def _has_clauses(item: Sequence[object]) -> bool:
    return any(isinstance(part, Symbol) and part.name in CLAUSES_WITHIN for part in item[:2])


def _mentions_variables(item: object) -> bool:
    waiting = [item]
    while waiting:
        part = waiting.pop()
        if isinstance(part, tuple):
            waiting.extend(part)
        elif isinstance(part, Symbol) and (part is BLANK or is_variable(part)):
            return True
    return False


# -- rules --


def _rule(item: object) -> Rule:
    if not isinstance(item, (tuple, list)) or isinstance(item, List) or not item:
        raise _syntax("a rule is [(name ?x ...) clause ...]", item)
    head = item[0]
    if (
        not isinstance(head, List)
        or len(head) < 2
        or not isinstance(head[0], Symbol)
        or is_variable(head[0])
    ):
        raise _syntax("a rule begins with (name ?x ...)", item)
    if head[0].name in CLAUSES_WITHIN:
        raise _syntax(f"{head[0].name} cannot be a rule's name", item)
    if len(item) < 2:
        raise _syntax("a rule has at least one clause", item)
    if len(head) > TERMS_MAX:
        raise _syntax(f"a rule of more than {TERMS_MAX} arguments", head)
    bests: list[Any] = [part for part in head[1:] if _is_best(part)]
    plain = [part[1] if _is_best(part) else part for part in head[1:]]
    required, names = _parameters(plain, item)
    if len(set(names)) < len(names):
        raise _syntax("a variable stands twice in the head", item)
    if len(bests) > 1:
        raise _syntax("one argument of a rule may be a min or max", item)
    best = (names.index(bests[0][1]), bests[0][0].name) if bests else None
    body = _Clauses().all(item[1:], DEFAULT_SOURCE, 0)
    return Rule(head[0].name, names, required, body, item, best)


def _is_best(part: Any) -> TypeGuard[List]:
    """Return whether a parameter is `(min ?x)` or `(max ?x)`."""
    if not isinstance(part, List) or len(part) != 2 or not isinstance(part[0], Symbol):
        return False
    return part[0].name in BEST and is_variable(part[1])


def _parameters(
    items: Sequence[object], form: object
) -> tuple[frozenset[Symbol], tuple[Symbol, ...]]:
    """Return the variables that must be bound, `[[?a] ?b]`, and all of them."""
    required: list[Symbol] = []
    rest = items
    if isinstance(items[0], tuple) and not isinstance(items[0], List):
        required = [_variable(item, form) for item in items[0]]
        rest = items[1:]
    return frozenset(required), (*required, *(_variable(item, form) for item in rest))

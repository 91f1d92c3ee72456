"""Generated data, queries and rules.

Is:     hypothesis strategies over small worlds, so that joins meet and recursion ends.
Is not: the tests.
Fits:   test_queries, test_rules and test_hostile draw from here.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from datomstore.database import Database
from datomstore.datom import TX_BASE, Datom
from datomstore.value import Char, Keyword, List, Map, Set, Symbol, exact_key
from tests.datomstore.datalog.naive import positive, seen

Row = tuple[object, ...]
ATTRIBUTES = [Keyword("a"), Keyword("b"), Keyword("c")]
SMALL = [1, 2, 3, 4]
WIDE = [2**61, -(2**61), 2**63, -(2**63), 2**70]
EXACT = [1, 1.0, True, -1, 0, 0.0, -0.0, False, *WIDE, 0.5, "1", "x"]
DATABASE = st.lists(
    st.tuples(st.sampled_from(SMALL), st.sampled_from(ATTRIBUTES), st.sampled_from(SMALL)),
    max_size=14,
)
MIXED = st.lists(
    st.tuples(st.sampled_from(SMALL), st.sampled_from(ATTRIBUTES), st.sampled_from(SMALL + EXACT)),
    max_size=12,
)
VARIABLES = [Symbol(name) for name in ("?a", "?b", "?c", "?d")]
BLANK = Symbol("_")
PREDICATES = ["<", "<=", ">", ">=", "=", "not=", "!=", "=="]


def sym(name: str) -> Symbol:
    return Symbol(name)


def form(*items: object) -> List:
    """A form in parentheses; texts are symbols."""
    return List(Symbol(item) if isinstance(item, str) else item for item in items)


def facts_of(triples: Sequence[tuple[int, Keyword, object]]) -> list[Row]:
    """Facts as the oracle sees them: distinct, with transaction and whether they were added."""
    found: dict[object, Row] = {}
    for t, (e, a, v) in enumerate(triples, 1):
        found.setdefault((e, a, exact_key(v)), (e, a, v, TX_BASE + t, True))
    return list(found.values())


def database_of(facts: Sequence[Row]) -> Database:
    schema = {a: {Keyword("db/cardinality"): Keyword("db.cardinality/many")} for a in ATTRIBUTES}
    return Database.from_datoms([Datom(*fact) for fact in facts], schema)  # type: ignore[arg-type]


variables = st.sampled_from(VARIABLES)
constants = st.sampled_from(SMALL)


@st.composite
def patterns(draw: st.DrawFn, values: Sequence[object] = SMALL, source: str | None = None) -> Row:
    entity = draw(variables | constants | st.just(BLANK) | variables)
    attribute = draw(st.sampled_from(ATTRIBUTES) | st.sampled_from([*ATTRIBUTES, BLANK, sym("?c")]))
    value = draw(variables | st.sampled_from(list(values)) | variables | st.just(BLANK))
    terms: Row = (entity, attribute, value)
    if draw(st.integers(0, 9)) == 0:
        terms = (*terms, draw(st.sampled_from([BLANK, sym("?d"), TX_BASE + 1])))
        if draw(st.booleans()):
            terms = (*terms, draw(st.sampled_from([BLANK, True, False])))
    return terms if source is None else (sym(source), *terms)


operands = variables | constants | variables


@st.composite
def predicates(draw: st.DrawFn, operand: st.SearchStrategy[object] = operands) -> Row:
    name = draw(st.sampled_from(PREDICATES))
    return (form(name, draw(operand), draw(operand)),)


@st.composite
def functions(draw: st.DrawFn, operand: st.SearchStrategy[object] = operands) -> Row:
    binding = draw(variables)
    name = draw(st.sampled_from(["+", "-", "*", "max", "inc", "identity", "ground", "tuple"]))
    match name:
        case "inc" | "identity":
            return (form(name, draw(operand)), binding)
        case "ground":
            items = tuple(draw(st.lists(constants, min_size=1, max_size=3)))
            return (form(name, items), (binding, sym("...")))
        case "tuple":
            pair = (draw(variables), draw(variables))
            return (form(name, draw(operand), draw(operand)), pair)
    return (form(name, draw(operand), draw(operand)), binding)


@st.composite
def clauses(
    draw: st.DrawFn,
    depth: int = 2,
    values: Sequence[object] = SMALL,
    sources: Sequence[str | None] = (None,),
    operand: st.SearchStrategy[object] = operands,
) -> Row:
    source = draw(st.sampled_from(list(sources)))
    kinds = ["pattern"] * 5 + ["predicate", "function"]
    if depth:
        kinds += ["not", "not-join", "or", "or-join"]
    inner = clauses(depth - 1, values, (None,), operand) if depth else st.nothing()
    bodies = st.lists(inner, min_size=1, max_size=2)
    around = [] if source is None else [source]
    match draw(st.sampled_from(kinds)):
        case "predicate":
            return draw(predicates(operand))
        case "function":
            return draw(functions(operand))
        case "not":
            return form(*around, "not", *draw(bodies))
        case "not-join":
            names = draw(st.lists(variables, max_size=2, unique=True))
            return form(*around, "not-join", tuple(names), *draw(bodies))
        case "or":
            branches = draw(st.lists(bodies, min_size=1, max_size=3))
            return form(*around, "or", *(_branch(branch) for branch in branches))
        case "or-join":
            names = draw(st.lists(variables, min_size=1, max_size=2, unique=True))
            branches = draw(st.lists(bodies, min_size=1, max_size=2))
            return form(*around, "or-join", tuple(names), *(_branch(b) for b in branches))
    return draw(patterns(values, source))


def _branch(body: Sequence[Row]) -> object:
    return body[0] if len(body) == 1 else form("and", *body)


# -- rules --

RULES = ["p", "q", "r"]


@st.composite
def literals(draw: st.DrawFn, names: Sequence[str], *, negated: bool = False) -> Row:
    """A pattern over one attribute, a call, a test, or a negation of one of them."""
    left, right = draw(variables), draw(variables)
    kinds = ["edge"] * 3 + ["call"] * 4 + ["test"] + ["not"] * (not negated)
    match draw(st.sampled_from(kinds)):
        case "edge":
            return (left, draw(st.sampled_from(ATTRIBUTES[:2])), right)
        case "test":
            return (form(draw(st.sampled_from(["<", "not="])), left, right),)
        case "not":
            return form("not", draw(literals(names, negated=True)))
    name = draw(st.sampled_from(list(names)))
    arguments = [draw(variables | variables | constants | st.just(BLANK)) for _ in range(2)]
    return form(name, *arguments)


@st.composite
def programs(draw: st.DrawFn) -> list[Row]:
    """Rules p, q and r of two arguments: any shape of recursion, negation anywhere."""
    rules: list[Row] = []
    for name in RULES:
        a, b = VARIABLES[:2]
        base = (a, draw(st.sampled_from(ATTRIBUTES)), b)
        rules.append((form(name, a, b), base))
        for _ in range(draw(st.integers(0, 2))):
            body = draw(st.lists(literals(RULES), min_size=1, max_size=3))
            bound = set[str]().union(*(positive(c) for c in body if not _tests(c)))
            used = set[str]().union(*(seen(clause) for clause in body)) | {a.name, b.name}
            binders = [
                (sym(n), draw(st.sampled_from(ATTRIBUTES)), BLANK) for n in sorted(used - bound)
            ]
            rules.append((form(name, a, b), *draw(st.permutations([*body, *binders]))))
    return draw(st.permutations(rules))


def _tests(clause: Row) -> bool:
    return not isinstance(clause, List) and isinstance(clause[0], List)


# -- anything --

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from([Keyword("find"), Keyword("where"), Keyword("in"), Keyword("with")])
    | st.sampled_from(
        [
            Symbol(name)
            for name in ("?x", "?y", "_", "$", "%", "...", ".", "or", "not", "and", "or-join")
        ]
    )
    | st.sampled_from([Symbol(n) for n in ("not-join", "count", "sum", "+", "<", "ground", "p")])
    | st.builds(Char, st.characters())
    | st.binary(max_size=2)
)
ANYTHING = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=4).map(tuple)
        | st.lists(inner, max_size=4).map(List)
        | st.lists(inner, max_size=3).map(Set)
        | st.lists(st.tuples(inner, inner), max_size=3).map(Map)
    ),
    max_leaves=12,
)

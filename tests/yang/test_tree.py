import hashlib
from fractions import Fraction
from typing import Any

import pytest
from colliding import ALIKE, alike
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore.database import Database
from datomstore.value import Char, Keyword, List, Map, Set, Symbol
from yang import ast_datoms, program
from yang.ast_datoms import SCHEMA, datoms_of
from yang.canonical import decode, encode, pack
from yang.errors import ProgramInvalid, SourceError
from yang.limits import TREE_DEPTH_MAX
from yang.lower import tree_of_source
from yang.nodes import Item, Tree, build, flatten, tree_of_node
from yang.program import Program, hash_of, program_of

names = st.sampled_from(["a", "b", "f", "x~1", "yin.core/map", "%&", "call/cc"])
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.fractions().filter(lambda ratio: ratio.denominator > 1)
    | st.binary(max_size=4)
    | st.uuids()
    | st.characters(exclude_categories=["Cs"]).map(Char)
    | names.map(Keyword)
    | names.map(Symbol)
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.lists(inner, max_size=3).map(List)
        | st.lists(inner, max_size=3).map(Set)
        | st.lists(st.tuples(inner, inner), max_size=3).map(Map)
    ),
    max_leaves=8,
)


def exact(value: Any) -> Any:
    """A value with its type and order, so that equality of lists and vectors does not hide a difference."""
    if isinstance(value, Map):
        return (Map, [(exact(key), exact(item)) for key, item in value.items()])
    if isinstance(value, tuple | Set):
        return (type(value), [exact(item) for item in value])
    return (type(value), repr(value))


def sources() -> st.SearchStrategy[str]:
    """Texts of well-formed programs over a few names."""
    atoms = st.sampled_from(
        [
            "a",
            "b",
            "nil",
            "1",
            "-0.0",
            '"s"',
            ":k",
            "'(1 [2])",
            "[1 2]",
            "()",
            "1/2",
            "\\c",
            "{:b 1 :a 2}",
        ]
    )

    def more(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        def shape(text: str, count: int) -> st.SearchStrategy[str]:
            return st.tuples(*[inner] * count).map(lambda parts: text.format(*parts))

        return st.one_of(
            shape("({} {})", 2),
            shape("(if {} {} {})", 3),
            shape("(let [a {} [b & c] {}] {} {})", 4),
            shape("(fn f ([a] {}) ([a & b] {}))", 2),
            shape("(loop [a {}] (recur {}))", 2),
            shape("(letfn [(f [x] {}) (g [] {})] {})", 3),
            shape("(try {} (catch E e {}) (finally {}))", 3),
            shape("(throw {})", 1),
            shape("[{} {{:a {}}}]", 2),
            shape("(def d {})", 1),
            shape("(do {} {})", 2),
            shape("(for [a {} :when b] {})", 2),
        )

    return st.lists(st.recursive(atoms, more, max_leaves=8), max_size=3).map("\n".join)


@given(values)
def test_value_comes_back_from_its_canonical_bytes(value: object) -> None:
    assert exact(decode(encode(value), 1 << 20)) == exact(value)


@pytest.mark.parametrize("kind", ALIKE)
def test_a_value_of_a_program_whose_keys_collide_is_refused(kind: str) -> None:
    keys = alike(kind, 100)
    for value in (Set(keys), Map(dict.fromkeys(keys))):
        with pytest.raises(ProgramInvalid, match="made to collide"):
            decode(encode(value), 1 << 20)


def test_a_ratio_of_a_program_is_bounded() -> None:
    large = (1 << 8192) - 1
    assert decode(encode(Fraction(large, 2)), 1 << 20) == Fraction(large, 2)
    for ratio in (Fraction(large + 2, 2), Fraction(1, large + 2)):
        with pytest.raises(ProgramInvalid, match="a ratio of more than 1024 bytes"):
            decode(encode(ratio), 1 << 20)


@given(sources())
@settings(max_examples=40)
def test_tree_survives_datoms_bytes_and_map_projection(text: str) -> None:
    tree = tree_of_source(text, "a.clj")
    database = Database.from_datoms(datoms_of(tree, tx=1 << 48), SCHEMA)
    made = program_of(tree)
    for back in (
        ast_datoms.tree_of(reversed(datoms_of(tree, tx=7))),
        ast_datoms.tree_of(database.datoms()),
        program.tree_of(made),
        Tree(flatten(build(tree.items))),
    ):
        assert back == tree
        assert [exact(item.scalars) for item in back.items] == [
            exact(item.scalars) for item in tree.items
        ]
        assert back.root == tree.root
        assert program_of(back) == made


def test_equal_literals_of_other_shape_survive_the_database() -> None:
    tree = tree_of_source("[1 2] '(1 2) 0.0 -0.0 {:a 1 :b 2} {:b 2 :a 1}")
    database = Database.from_datoms(datoms_of(tree, tx=1 << 48), SCHEMA)
    back = ast_datoms.tree_of(database.datoms())
    assert [exact(item.scalars) for item in back.items] == [
        exact(item.scalars) for item in tree.items
    ]


def test_node_is_a_persistent_map() -> None:
    root = tree_of_source("(f 1)", "a.clj").root
    (application,) = root[Keyword("ast/statements")]
    assert application[Keyword("ast/type")] is Keyword("application")
    assert application[Keyword("ast/operator")][Keyword("ast/name")] == "f"
    assert application[Keyword("ast/operands")][0][Keyword("ast/value")] == 1
    assert application[Keyword("ast/source-location")] == (1, 1)
    assert tree_of_node(root) == tree_of_source("(f 1)", "a.clj")


def test_facts_say_where_a_node_stands() -> None:
    datoms = datoms_of(tree_of_source("(f 1)\n(g (h))", "a.clj"), base=100, tx=1)
    facts = {(datom.e, datom.a.name): datom.v for datom in datoms}
    assert facts[100, "ast/type"] is Keyword("program")
    assert facts[106, "ast/type"] is Keyword("application")  # (h)
    assert facts[106, "ast/parent"] == 104
    assert facts[106, "ast/role"] is Keyword("ast/operands")
    assert (facts[106, "ast/position"], facts[106, "ast/index"]) == (0, 1)
    assert (facts[104, "ast/end"], facts[101, "ast/end"], facts[100, "ast/end"]) == (107, 103, 107)
    assert facts[106, "ast/depth"] == 2
    assert facts[106, "ast/source-location"] == (2, 4)
    assert facts[104, "ast/operator"] == 105
    assert (103, "ast/value-kind") in facts


def test_nil_literal_has_a_kind_and_no_value() -> None:
    datoms = datoms_of(tree_of_source("nil"), base=10, tx=1)
    assert [datom.v for datom in datoms if datom.a.name == "ast/value-kind"] == [Keyword("nil")]
    assert not [datom for datom in datoms if datom.a.name == "ast/value"]


@pytest.mark.parametrize("missing", ["ast/type", "ast/parent", "ast/source-location", "ast/name"])
def test_incomplete_facts_are_refused(missing: str) -> None:
    datoms = datoms_of(tree_of_source("(f x)"), tx=1)
    last = datoms[-1].e
    kept = [datom for datom in datoms if not (datom.e == last and datom.a.name == missing)]
    with pytest.raises(ProgramInvalid):
        ast_datoms.tree_of(kept)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("[1 {:a 2} '(x)]", ["literal"]),
        ("[1 x]", ["application", "variable", "literal", "variable"]),
        ("{:a x}", ["application", "variable", "literal", "variable"]),
        ("(do)", ["literal"]),
        ("(do 1)", ["literal"]),
        ("(if 1 (do 1 2))", ["if", "literal", "do", "literal", "literal", "literal"]),
        ("(let [] 1)", ["literal"]),
        ("(if 1 2)", ["if", "literal", "literal", "literal"]),
        ("(fn [x] x)", ["lambda", "arity", "parameter", "variable"]),
        ("(try 1)", ["try", "literal"]),
        ("()", ["literal"]),
    ],
)
def test_form_lowers_to_nodes(text: str, kinds: list[str]) -> None:
    assert [item.kind.name for item in tree_of_source(text).items[1:]] == kinds


def test_hash_ignores_spans_and_source_name_but_not_names() -> None:
    one = program_of(tree_of_source("(fn [x] (f x))", "a.clj"))
    other = program_of(tree_of_source("\n(fn [x]\n  (f x)) ; the same", "b.clj"))
    assert one.hash == other.hash
    assert one.ast == other.ast
    assert one.spans != other.spans
    assert one.hash != program_of(tree_of_source("(fn [y] (f y))", "a.clj")).hash


def test_hash_is_a_promise() -> None:
    made = program_of(tree_of_source("(def x [1 :a])"))
    assert made.hash == hashlib.sha256(b"yin/1/code\0" + made.ast).digest()
    assert made.ast.hex() == "0103000103a178010b02030109a161"


GOOD = program_of(tree_of_source('(defn f [x & y] (if x [x 1.5 \'a] {:k "s"}))\n(f 1)', "a.clj"))


def forged(ast: bytes, spans: bytes = GOOD.spans, name: str = "a.clj") -> Program:
    return Program(hash_of(ast), ast, spans, name)


def test_bytes_of_another_hash_are_refused() -> None:
    with pytest.raises(ProgramInvalid, match="hash"):
        program.tree_of(Program(bytes(32), GOOD.ast, GOOD.spans, "a.clj"))


@given(st.binary(max_size=40))
def test_random_bytes_are_refused_or_canonical(data: bytes) -> None:
    try:
        tree = program.tree_of(forged(data))
    except ProgramInvalid:
        return
    assert program_of(tree).ast == data


@given(st.integers(0, len(GOOD.ast) - 1), st.integers(0, 255))
def test_changed_byte_is_refused_or_another_program(at: int, byte: int) -> None:
    data = GOOD.ast[:at] + bytes([byte]) + GOOD.ast[at + 1 :]
    try:
        tree = program.tree_of(forged(data))
    except ProgramInvalid:
        return
    assert program_of(tree).ast == data


@pytest.mark.parametrize("length", range(len(GOOD.ast)))
def test_truncated_bytes_are_refused(length: int) -> None:
    with pytest.raises(ProgramInvalid):
        program.tree_of(forged(GOOD.ast[:length]))


LITERAL, VARIABLE, PROGRAM = 1, 2, 0


@pytest.mark.parametrize(
    "scalars",
    [
        [],
        [2, 1, PROGRAM, 0],  # unknown format
        [True, 1, PROGRAM, 0],
        [1, 1 << 40, PROGRAM, 0],  # more nodes than there can be
        [1, 1, LITERAL, 0],  # no program
        [1, 1, PROGRAM, 1 << 40],
        [1, 1, PROGRAM, 1],  # a child is missing
        [1, 1, PROGRAM, -1],
        [1, 2, PROGRAM, 0, LITERAL, 0],  # a node without parent
        [1, 2, PROGRAM, 1, 99],  # unknown kind
        [1, 2, PROGRAM, 1, PROGRAM, 0],  # a program inside
        [1, 2, PROGRAM, 1, LITERAL, 99],  # unknown value tag
        [1, 2, PROGRAM, 1, LITERAL, 3, "1"],  # integer that is a string
        [1, 2, PROGRAM, 1, LITERAL, 3, 1 << 63],
        [1, 2, PROGRAM, 1, LITERAL, 4, b"\x01"],  # a small integer written as a big one
        [1, 2, PROGRAM, 1, LITERAL, 5, 3, 1, 3, 0],  # 1/0
        [1, 2, PROGRAM, 1, LITERAL, 5, 3, 2, 3, 4],  # 2/4
        [1, 2, PROGRAM, 1, LITERAL, 8, "ab"],  # two characters
        [1, 2, PROGRAM, 1, LITERAL, 9, ""],  # nameless keyword
        [1, 2, PROGRAM, 1, LITERAL, 11, 1 << 40],
        [1, 2, PROGRAM, 1, LITERAL, 14, 2, 3, 1, 3, 1],  # a set with a member twice
        [1, 2, PROGRAM, 1, LITERAL, 16, 1 << 62],  # an instant outside the calendar
        [1, 2, PROGRAM, 1, LITERAL, 17, b"short"],
        [1, 2, PROGRAM, 1, VARIABLE, ""],
        [1, 2, PROGRAM, 1, VARIABLE, "a b"],
        [1, 2, PROGRAM, 1, VARIABLE, None],
        [1, 2, PROGRAM, 1, VARIABLE, "a", 0],  # something after the program
    ],
)
def test_malformed_scalars_are_refused(scalars: list[object]) -> None:
    with pytest.raises(ProgramInvalid):
        program.tree_of(forged(pack(scalars), pack([1, 1, 0, 1] * 2)))


def test_nested_msgpack_is_refused_before_it_is_made() -> None:
    huge_array, huge_text = b"\xdd\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff"
    for data in (huge_array * 10, huge_text, b"\x91\x01", b"\x81\x01\x01", b"\xc7\x01\x05\x00"):
        with pytest.raises(ProgramInvalid):
            program.tree_of(forged(data))


def test_deep_bytes_are_refused() -> None:
    count = TREE_DEPTH_MAX + 10
    throws = pack([1, count + 2, PROGRAM, 1, *[17] * count, LITERAL, 0])
    with pytest.raises(ProgramInvalid, match="nested deeper"):
        program.tree_of(forged(throws, pack([1, 1, 0, 1] * (count + 2))))
    deep_value = pack([1, 2, PROGRAM, 1, LITERAL, *[11, 1] * 5_000, 0])
    with pytest.raises(ProgramInvalid, match="nested deeper"):
        program.tree_of(forged(deep_value))


@pytest.mark.parametrize(
    "spans", [b"", pack([1, 2, 3]), pack([1, 1, 0, 1] * 1_000), pack(["a"] * 4), pack([-5] * 4)]
)
def test_wrong_spans_are_refused(spans: bytes) -> None:
    with pytest.raises(ProgramInvalid):
        program.tree_of(forged(GOOD.ast, spans))


def test_ambiguous_arities_in_bytes_are_refused() -> None:
    items = list(tree_of_source("(fn ([] 1) ([x] 2))").items)
    at = next(i for i, item in enumerate(items) if item.kind.name == "parameter")
    lambda_, one, two = items[1], items[2], items[at - 1]
    assert two.counts == (1, 1)
    same = [
        items[0],
        lambda_,
        one,
        items[3],
        Item(two.kind, two.scalars, (0, 1), two.span),
        items[-1],
    ]
    with pytest.raises(ProgramInvalid, match="two arities"):
        Tree(same)


def test_too_deep_expansion_is_refused_with_a_place() -> None:
    with pytest.raises(SourceError, match="nested deeper") as raised:
        tree_of_source("(-> a\n" + "(f)\n" * 3_000 + ")", "a.clj")
    assert raised.value.line > 900

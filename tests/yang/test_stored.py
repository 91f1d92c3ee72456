"""Programs in a stream: their facts, and what is made of these again."""

from __future__ import annotations

from datomstore.database import Database
from datomstore.datalog import q
from datomstore.value import Keyword
from yang.code_schema import code_schema
from yang.compile import Compiled, compile_source
from yang.program import program_of
from yang.stored import code_datoms, code_facts, compiled_in, steps_in, tree_in
from yang.units import Units

SHARED = "(defn twice [x] (* x 2))"
FIRST = (
    SHARED
    + "\n(defn f [m] (try (twice (:n m)) (catch :default e (f {})))) (f {:n 100000000000000000000})"
)
SECOND = "(ns other)\n" + SHARED + "\n(println) (loop [i 0] (if (< i 3) (recur (inc i)) (twice i)))"


def stored(*programs: Compiled) -> Database:
    database = Database.empty()
    for compiled in programs:
        database = database.with_(code_schema(database)).db_after
        database = database.with_(code_datoms(code_facts(compiled), database)).db_after
    return database


def roots(database: Database) -> list[int]:
    return sorted(q("[:find [?p ...] :where [_ :program/root ?p]]", database))


def facts(database: Database) -> set[tuple[int, Keyword, object]]:
    return {(d.e, d.a, d.v) for d in database.datoms("eavt")}


def both() -> tuple[Compiled, Compiled]:
    return compile_source(FIRST, "a.clj"), compile_source(SECOND, "b.clj")


def test_a_tree_comes_back_from_its_facts() -> None:
    programs = both()
    database = stored(*programs)
    for root, compiled in zip(roots(database), programs, strict=True):
        tree = tree_in(database, root)
        assert tree == compiled.tree
        assert program_of(tree).hash == compiled.program.hash


def test_code_assembled_from_facts_is_the_same() -> None:
    programs = both()
    database = stored(*programs)
    for root, compiled in zip(roots(database), programs, strict=True):
        assert compiled_in(database, root, Units()).segment == compiled.segment


def test_steps_that_were_thrown_away_are_derived_again_fact_by_fact() -> None:
    database = stored(*both())
    steps = [
        (d.e, d.a, d.v)
        for d in database.datoms("eavt")
        if d.a.name.startswith("exec/") or d.a is Keyword("contains")
    ]
    retract = Keyword("db/retract")
    without = database.with_([(retract, *fact) for fact in steps]).db_after
    assert not q("[:find ?s :where [?s :exec/order]]", without)
    for root in roots(database):
        without = without.with_(steps_in(without, root, Units())).db_after
    times = Keyword("db/txInstant")
    assert {f for f in facts(without) if f[1] is not times} == {
        f for f in facts(database) if f[1] is not times
    }


def test_a_step_is_a_function_of_its_node_and_its_place() -> None:
    for compiled in both():
        places = compiled.tables["step"][:, :4].tolist()
        assert len({tuple(place) for place in places}) == len(places)


def test_orders_are_ranks_and_steps_follow_the_nodes() -> None:
    (compiled, _) = both()
    database = stored(compiled)
    found = sorted(q("[:find ?s ?o :where [?s :exec/order ?o]]", database))
    first = roots(database)[0] + len(compiled.tree.items)
    assert found == [(first + order, order) for order in range(len(compiled.stream))]


def test_equal_units_of_programs_have_one_hash() -> None:
    query = (
        "[:find ?a ?b :where [?a :unit/hash ?h] [?b :unit/hash ?h] [(< ?a ?b)] [?a :ast/name ?n]]"
    )
    found = q(query, stored(*both()))
    assert len(found) == 1


def test_a_unit_that_another_program_has_is_not_derived_again() -> None:
    units = Units()
    compile_source(FIRST, "a.clj", units=units)
    second = compile_source(SECOND, "b.clj", units=units)
    known = [unit.key not in second.anew for unit in second.units]
    assert known.count(True) == 1

"""Programs as facts of a stream: written there, read back, and their execution streams derived again.

Is:     the facts of a compiled program, at whatever entities it gets; the tree of such facts.
Is not: a program's bytes (`yang.program`), which nodes ship, or the kept results of units (`yang.units`).
Fits:   `yind.code` writes the stream `code` by these.

A program's entities follow one another: its nodes in pre-order, the steps in their order, the sets of arguments of
calls in the order of the calls, the macro calls. So the root alone says where each of them is: whoever derives the
steps of a stored tree again gets the same facts of the same entities.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from datomstore.database import Database
from datomstore.datom import Datom
from datomstore.value import Keyword
from yang.analysis import BINDER, TX
from yang.ast_datoms import END, ENTITY_BASE, datoms_of, expansion_datoms
from yang.ast_datoms import tree_of as tree_of_facts
from yang.code_schema import DEFINITION, PROGRAM_ROOT, REFERENCES, SOURCE_LANGUAGE, UNIT_HASH
from yang.columns import Columns
from yang.compile import Compiled, compile_program
from yang.errors import ProgramInvalid
from yang.execution import EXEC
from yang.nodes import Tree
from yang.pause import collector_paused
from yang.units import Names, Units

_ADD = Keyword("db/add")


class CodeFacts(NamedTuple):
    """Facts of a program whose root is entity 0: single values, and references to other entities of it."""

    values: list[tuple[int, Keyword, object]]
    references: list[tuple[int, Keyword, int]]

    def at(self, root: int) -> list[object]:
        """Return transaction data that states the facts of a program whose root is this entity."""
        with collector_paused():
            items: list[object] = [(_ADD, e + root, a, v) for e, a, v in self.values]
            items += [(_ADD, e + root, a, v + root) for e, a, v in self.references]
        return items


def code_facts(compiled: Compiled) -> CodeFacts:
    """Return a program's AST and execution facts."""
    with collector_paused():
        tree, base = compiled.tree, compiled.base
        facts = datoms_of(tree, base=base, tx=TX, program_hash=compiled.program.hash)
        facts += compiled.exec_datoms
        last = _last_step_or_set(compiled)
        facts += expansion_datoms(tree, base=base, first=last + 1, tx=TX)
        found = _parted(facts, base)
        found.values.append((0, SOURCE_LANGUAGE, Keyword("clojure")))
        found.values.extend((unit.start, UNIT_HASH, unit.key) for unit in compiled.units)
        found.references.append((0, PROGRAM_ROOT, 0))
        found.references.extend(
            (variable, BINDER, binder) for variable, binder in compiled.tables["local"].tolist()
        )
        found.references.extend(_definitions(compiled))
    return found


def _definitions(compiled: Compiled) -> Iterator[tuple[int, Keyword, int]]:
    """Yield for every name that no scope binds the definitions that it means."""
    columns = Columns(compiled.tree)
    names = Names(columns, compiled.core)
    bound = set(compiled.tables["local"][:, 0].tolist())
    for variable in columns.of("variable").tolist():
        if variable not in bound:
            meant = names.meant(str(columns.scalar(variable)))
            for definition in columns.definitions.get(meant, ()):
                yield variable, DEFINITION, definition


def _last_step_or_set(compiled: Compiled) -> int:
    """Return the last entity of the execution stream; a set of no arguments has no facts of its own."""
    last = compiled.base + len(compiled.tree.items) + len(compiled.stream) - 1
    sets = [d.v for d in compiled.exec_datoms if d.a is EXEC["args"] and isinstance(d.v, int)]
    return max(last, *sets) if sets else last


def _parted(facts: Sequence[Datom], base: int) -> CodeFacts:
    return CodeFacts(
        [(d.e - base, d.a, d.v) for d in facts if d.a not in REFERENCES],
        [(d.e - base, d.a, d.v - base) for d in facts if d.a in REFERENCES],  # type: ignore[operator]
    )


def code_datoms(facts: CodeFacts, database: Database) -> list[object]:
    """Return transaction data that adds a program to a database, which has the schema of `code_schema`."""
    return facts.at(max(database.next_entity, ENTITY_BASE))


def tree_in(database: Database, root: int) -> Tree:
    """Return the tree that a program's facts say.

    Raises:
        ProgramInvalid: the facts are not those of a whole tree.
    """
    return tree_of_facts(_facts_of_nodes(database, root))


def _facts_of_nodes(database: Database, root: int) -> Iterator[Datom]:
    (last, *_) = [datom.v for datom in database.datoms("eavt", root, END)] or [None]
    if not isinstance(last, int):
        raise ProgramInvalid(f"entity {root} is no program")
    for datom in database.seek_datoms("eavt", root):
        if datom.e > last:
            return
        yield datom


def compiled_in(database: Database, root: int, units: Units | None = None) -> Compiled:
    """Return a program that a database has, compiled from its facts. Raises ProgramInvalid."""
    return compile_program(tree_in(database, root), units=units)


def steps_in(database: Database, root: int, units: Units | None = None) -> list[object]:
    """Return transaction data of a program's execution stream, derived again from the facts of its tree.

    These are the facts that `code_datoms` has stated, of the same entities. Raises ProgramInvalid.
    """
    compiled = compiled_in(database, root, units)
    return _parted(compiled.exec_datoms, compiled.base).at(root)

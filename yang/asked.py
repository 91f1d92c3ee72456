"""What the passes say of the programs of a stream, when a query asks for it.

Is:     the values of an analysis' attribute at one node: the passes of its program are run, once, and what they say kept.
Is not: the passes (`yang.passes`), or the attributes' names in queries (`yang/rules/vocabulary.edn`).
Fits:   `datomstore.datalog` calls it for `(derived $ ?node :attribute)`.

A program is known by its hash: one that is in several streams, or asked about again, is not analysed again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TypeAlias

from datomstore.database import Database
from datomstore.datalog.builtins import FunctionError
from datomstore.value import Keyword
from yang.ast_datoms import END, ENTITY_BASE, PROGRAM_HASH
from yang.errors import ProgramInvalid
from yang.limits import ASKED_FACTS_MAX, ASKED_NODES_MAX
from yang.passes import PASSES, SCHEMA, subject_of
from yang.stored import tree_in

Values: TypeAlias = Mapping[int, Sequence[object]]  # by node, counted from the program's root

PASS_OF: dict[Keyword, str] = {
    Keyword(attribute): row.name for row in PASSES.values() for _, attribute, _ in row.facts
}
_REF = Keyword("db/valueType")


class _Known:
    """What passes said of programs, by hash and pass and attribute; the longest unused goes first. Thread-safe."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[bytes, str], dict[Keyword, Values]] = OrderedDict()
        self._count = 0
        self._lock = Lock()

    def get(self, key: tuple[bytes, str]) -> dict[Keyword, Values] | None:
        with self._lock:
            found = self._found.get(key)
            if found is not None:
                self._found.move_to_end(key)
            return found

    def put(self, key: tuple[bytes, str], found: dict[Keyword, Values]) -> None:
        with self._lock:
            self._count += _size(found) - _size(self._found.get(key, {}))
            self._found[key] = found
            while self._count > ASKED_FACTS_MAX and len(self._found) > 1:
                _, gone = self._found.popitem(last=False)
                self._count -= _size(gone)


def _size(found: Mapping[Keyword, Values]) -> int:
    return sum(len(values) for values in found.values())


_KNOWN = _Known()


class Asked:
    """The programs of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        programs = {datom.e: datom.v for datom in database.datoms("aevt", PROGRAM_HASH)}
        self._roots = sorted(programs)
        self._hashes = programs
        self._left = ASKED_NODES_MAX

    def values(self, entity: object, attribute: object) -> Sequence[object]:
        """Return what a pass says of a node under its attribute. Raises FunctionError."""
        if not isinstance(attribute, Keyword) or attribute not in PASS_OF:
            raise FunctionError(f"no pass says {attribute!r}")
        place = bisect_right(self._roots, entity) if isinstance(entity, int) else 0
        if not isinstance(entity, int) or not place:
            return ()
        root = self._roots[place - 1]
        found = self._of_program(root, PASS_OF[attribute])[attribute].get(entity - root, ())
        if _REF in SCHEMA[attribute]:
            return [root + node for node in found]  # type: ignore[operator]
        return found

    def _of_program(self, root: int, name: str) -> dict[Keyword, Values]:
        program_hash = self._hashes[root]
        assert isinstance(program_hash, bytes), root
        found = _KNOWN.get((program_hash, name))
        if found is None:
            found = self._analysed(root, name)
            _KNOWN.put((program_hash, name), found)
        return found

    def _analysed(self, root: int, name: str) -> dict[Keyword, Values]:
        (end, *_) = [datom.v for datom in self._database.datoms("eavt", root, END)] or [root]
        self._left -= int(end) - root  # type: ignore[call-overload]
        if self._left < 0:
            raise FunctionError(
                f"programs of more than {ASKED_NODES_MAX} nodes to analyse in one query"
            )
        attributes = [Keyword(attribute) for _, attribute, _ in PASSES[name].facts]
        found: dict[Keyword, dict[int, list[object]]] = {a: defaultdict(list) for a in attributes}
        try:
            tree = tree_in(self._database, root)
        except ProgramInvalid:  # the asker may not see all of it
            return {a: {} for a in attributes}
        for datom in subject_of(tree).datoms(name):
            is_node = _REF in SCHEMA[datom.a]
            value = datom.v - ENTITY_BASE if is_node else datom.v  # type: ignore[operator]
            found[datom.a][datom.e - ENTITY_BASE].append(value)
        return {a: dict(values) for a, values in found.items()}

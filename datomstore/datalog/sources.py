"""What queries read: databases and plain relations, as tables.

Is:     a Table for each pattern's constants, kept per database value so that the next query finds its index made.
Is not: the database's own indexes (`datomstore.database`), which answer the scans.
Fits:   `plan` asks for sizes, the steps for tables.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from threading import Lock

import numpy as np

from datomstore.database import Database
from datomstore.datalog._kernel import Table
from datomstore.datalog.errors import QueryError
from datomstore.datalog.limits import ORDERS_MAX, SEEK_PART, SOURCES_MAX
from datomstore.datalog.relation import EMPTY, Spend
from datomstore.datalog.syntax import Constant, Pattern, Term
from datomstore.errors import DatomstoreError
from datomstore.facts import Rows
from datomstore.intern import Ids, find, intern, intern_many, values_of
from datomstore.value import Keyword, Map

TRUE, FALSE = intern(True), intern(False)
Key = tuple[int | None, ...]


class DatabaseSource:
    """One database value."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._tables: dict[Key, Table] = {}
        self._counts: dict[Key, int] = {}
        self._keys: dict[Pattern, tuple[Key | None, int]] = {}

    def size(self, pattern: Pattern) -> int:
        """Return about how many facts match a pattern by itself."""
        return self._known(pattern)[1]

    def key_of(self, pattern: Pattern) -> Key | None:
        """Return the ids of a pattern's constants, None where it has none; None as a whole: no fact can match."""
        return self._known(pattern)[0]

    def _known(self, pattern: Pattern) -> tuple[Key | None, int]:
        found = self._keys.get(pattern)
        if found is None:
            key = self._key_of(pattern)
            if len(self._keys) >= ORDERS_MAX:
                self._keys.clear()
            found = self._keys[pattern] = key, self.count(key)
        return found

    def _key_of(self, pattern: Pattern) -> Key | None:
        if len(pattern.terms) > 5:
            raise QueryError("query/arity", "a pattern has at most five terms", pattern.form)
        key: list[int | None] = [None] * 5
        for place, term in enumerate(pattern.terms):
            if isinstance(term, Constant):
                found = self._id(place, term.value, pattern)
                if found is None:
                    return None
                key[place] = found
        return tuple(key)

    def _id(self, place: int, value: object, pattern: Pattern) -> int | None:
        reference = isinstance(value, (Keyword, tuple))
        try:
            if place == 0 or (place == 3 and reference):
                entity = self.database.entid(value)
                return None if entity is None else find(entity)
            if place == 2 and reference and self._is_ref(pattern):
                entity = self.database.entid(value)
                if entity is not None:
                    return find(entity)
            return find(value)
        except DatomstoreError as error:
            raise QueryError("query/lookup", str(error), pattern.form) from error
        except TypeError as error:
            raise QueryError("query/syntax", str(error), pattern.form) from error

    def _is_ref(self, pattern: Pattern) -> bool:
        term: Term = pattern.terms[1]
        if not isinstance(term, Constant) or not isinstance(term.value, Keyword):
            return False
        return self.database.schema[term.value].is_ref

    def count(self, key: Key | None) -> int:
        """Return about how many facts have these constants."""
        if key is None:
            return 0
        found = self._counts.get(key)
        if found is None:
            found = self._counts[key] = self.database.count(key[0], key[1], key[2])
        return found

    def table(self, key: Key | None) -> Table:
        """Return the facts with these constants: columns e, a, v, tx, added."""
        if key is None:
            return Table.of([EMPTY] * 5)
        table = self._tables.get(key)
        if table is None:
            columns = self.database.scan(key[0], key[1], key[2])
            listed = [columns.e, columns.a, columns.v, columns.t]
            listed.append(np.where(np.asarray(columns.added), TRUE, FALSE))
            for place in (3, 4):
                if key[place] is not None:
                    same = listed[place] == key[place]
                    listed = [column[same] for column in listed]
            table = self._tables[key] = Table.of(listed)
        return table

    def tells_apart(self, key: Key | None, places: Collection[int]) -> bool:
        """Return whether no two facts with these constants agree in the columns at `places`."""
        if key is None:
            return True
        if not self.database.distinct:
            return False
        return all(place in places or key[place] is not None for place in (0, 1, 2))

    def seek(self, key: Key | None, places: Collection[int], probes: int) -> Seek | None:
        """Return the database's own index for few look-ups of entities or values in many facts, else None.

        A table is an index of all facts with these constants, made once for each database value: too much for a few.
        """
        if key is None or key[0] is not None or key[3:] != (None, None):
            return None
        table = self._tables.get(key)
        if table is not None and table.is_indexed(tuple(places)):
            return None
        if probes * SEEK_PART > self.count(key):
            return None
        if 0 in places or (2 in places and key[2] is None):
            return Seek(self.database, key)
        return None

    def entity_attribute(self, e: object, a: object) -> list[object]:
        """Return the values of an attribute of an entity: an id, an ident or a lookup ref."""
        entity, attribute = self.database.entid(e), find(a)
        found = None if entity is None else find(entity)
        if found is None or attribute is None:
            return []
        return values_of(self.database.scan(found, attribute, None).v)


class Seek:
    """Facts of a database with a pattern's constants, as a table whose rows are those of the database."""

    arity = 4

    def __init__(self, database: Database, key: Key) -> None:
        self._database = database
        self._attribute, self._value = key[1], key[2]
        self.count = database.count_rows

    def column(self, place: int) -> Ids:
        """Return entities, attributes, values or transactions."""
        facts = self._database.facts
        return (facts.e, facts.a, facts.v, facts.t)[place]

    def probe(
        self, places: tuple[int, ...], keys: Sequence[Ids], spend: Spend
    ) -> tuple[Rows, Rows]:
        """Return (number of the key, row) for every fact whose columns at `places` are a key's."""
        if 0 in places:
            entities = keys[places.index(0)]
            probe, rows = self._database.scan_bound(self._attribute, e=entities, spend=spend)
        else:
            values = keys[places.index(2)]
            probe, rows = self._database.scan_bound(self._attribute, v=values, spend=spend)
        same = np.ones(len(rows), np.bool_)
        if self._value is not None:
            same &= self.column(2)[rows] == self._value
        for place, key in zip(places, keys, strict=True):
            same &= self.column(place)[rows] == key[probe]
        return probe[same], rows[same]


class RelationSource:
    """Tuples that the caller gave."""

    def __init__(self, rows: Iterable[Iterable[object]]) -> None:
        self.rows = [tuple(row) for row in rows]
        self._tables: dict[Key, Table] = {}

    def key_of(self, pattern: Pattern) -> Key | None:
        """Return the ids of a pattern's constants; the rows may have none yet, so these are made."""
        return tuple(
            intern(term.value) if isinstance(term, Constant) else None for term in pattern.terms
        )

    def tells_apart(self, key: Key | None, places: Collection[int]) -> bool:
        """Return whether no two rows agree in some columns, which nothing tells."""
        return False

    def size(self, pattern: Pattern) -> int:
        """Return how many rows there are, constants aside."""
        return len(self.rows)

    def count(self, key: Key | None) -> int:
        """Return how many rows there are, constants aside."""
        return 0 if key is None else len(self.rows)

    def table(self, key: Key | None) -> Table:
        """Return the rows with these constants and at least as many items as the pattern."""
        assert key is not None, "only a database knows that no fact can match"
        table = self._tables.get(key)
        if table is None:
            width = len(key)
            rows = [row for row in self.rows if len(row) >= width]
            try:
                columns = [intern_many(row[place] for row in rows) for place in range(width)]
            except (TypeError, RecursionError) as error:
                raise QueryError("query/input", f"a source of tuples: {error}") from error
            keep = np.ones(len(rows), np.bool_)
            for column, wanted in zip(columns, key, strict=True):
                if wanted is not None:
                    keep &= column == wanted
            kept = [column[keep] for column in columns]
            table = self._tables[key] = Table.of(kept, int(np.count_nonzero(keep)))
        return table


Source = DatabaseSource | RelationSource

_kept: OrderedDict[tuple[object, ...], DatabaseSource] = OrderedDict()
_lock = Lock()


def source_of(value: object) -> Source:
    """Return a source of a database, a map, or tuples."""
    if isinstance(value, Database):
        return _database_source(value)
    if isinstance(value, (Map, dict)):
        return RelationSource(value.items())
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        rows = list(value)
        if all(isinstance(row, (tuple, list)) for row in rows):
            return RelationSource(rows)
    raise QueryError("query/input", f"a source is a database or tuples, not {type(value).__name__}")


def _database_source(database: Database) -> DatabaseSource:
    # The facts are kept by the source, so their id is not given to another object meanwhile.
    view = (
        id(database.facts),
        database.facts.generation,
        database.count_rows,
        database._start,
        database._all,
        id(database.schema),
    )
    with _lock:
        found = _kept.get(view)
        if found is None:
            found = _kept[view] = DatabaseSource(database)
            if len(_kept) > SOURCES_MAX:
                _kept.popitem(last=False)
        else:
            _kept.move_to_end(view)
        return found

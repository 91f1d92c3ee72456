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
from datomstore.datalog.extents import FALSE, TRUE, Extent, Key
from datomstore.datalog.limits import (
    EXTENT_ROW_BYTES_MAX,
    EXTENTS_BYTES_MAX,
    FILTERED_FEW,
    ORDERS_MAX,
    PATCH_ROWS_MAX,
    SEEK_PART,
    SEEK_ROWS_MAX,
    SOURCES_MAX,
)
from datomstore.datalog.relation import EMPTY, Spend
from datomstore.datalog.syntax import Constant, Pattern, Term
from datomstore.errors import AttributeForbidden, DatomstoreError
from datomstore.facts import FactColumn, Rows
from datomstore.intern import Ids, find, intern, intern_many, values_of
from datomstore.value import Keyword, Map

__all__ = [
    "FALSE",
    "TRUE",
    "DatabaseSource",
    "Key",
    "RelationSource",
    "Seek",
    "Source",
    "source_of",
]


SHARED_MIN = 64  # rows of a column that is worth being shared


class DatabaseSource:
    """One database value."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.plans: dict[object, object] = {}  # `query` keeps what it made for this value
        self._extents: OrderedDict[Key, Extent] = OrderedDict()
        self._earlier: dict[Key, Extent] = {}  # of an earlier value, to be brought up to date
        self._sought: dict[tuple[Key, bool], int] = {}
        self._shared: dict[tuple[int, int, int], list[Ids]] = {}
        self._counts: dict[Key, int] = {}
        self._keys: dict[Pattern, tuple[Key | None, int]] = {}
        self._nothing = Extent(database, EMPTY, dict.fromkeys(range(5), EMPTY))

    def take_over(self, earlier: DatabaseSource) -> None:
        """Keep what is known of another value of the same facts, as far as it still holds."""
        ours, theirs = self.database, earlier.database
        start, end = sorted((ours.count_rows, theirs.count_rows))
        if end - start > PATCH_ROWS_MAX:
            return
        changed = set(np.unique(ours.facts.a[start:end]).tolist())
        later = ours.count_rows >= theirs.count_rows and not ours._all
        for key, extent in [*earlier._earlier.items(), *earlier._extents.copy().items()]:
            if start == end or (key[1] is not None and key[1] not in changed):
                if key in earlier._extents:
                    self._extents[key] = extent
                else:
                    self._earlier[key] = extent
            elif later and key[0] is None and key[1] is not None and key[3:] == (None, None):
                self._earlier[key] = extent
        self._shared = {mark: list(columns) for mark, columns in earlier._shared.copy().items()}

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
        if place == 1 and isinstance(value, Keyword):
            self.database.check_named(value)
        try:
            if place == 0 or (place == 3 and reference):
                entity = self.database.entid(value)
                return None if entity is None else find(entity)
            if place == 2 and reference and self._is_ref(pattern):
                entity = self.database.entid(value)
                if entity is not None:
                    return find(entity)
            return self.database.facts.find(value)
        except AttributeForbidden:
            raise
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

    def extent(self, key: Key | None) -> Extent:
        """Return the facts with these constants."""
        if key is None:
            return self._nothing
        found = self._extents.get(key)
        if found is None:
            found = self._made(key)
            self._make_room(found.size)
            self._extents[key] = found
        return found

    def _make_room(self, wanted: int) -> None:
        """Forget what was made first while all that is kept takes too many bytes."""
        rows = len(self._extents) * self.database.count_rows
        if wanted + rows * EXTENT_ROW_BYTES_MAX <= EXTENTS_BYTES_MAX:
            return  # however it is indexed
        taken = wanted + sum(extent.size for extent in self._extents.copy().values())
        while taken > EXTENTS_BYTES_MAX and self._extents:
            taken -= self._extents.popitem(last=False)[1].size

    def _made(self, key: Key) -> Extent:
        earlier = self._earlier.pop(key, None)
        if earlier is None:
            return Extent.of(self.database, key, self._share)
        return earlier.after(self.database, key, self._share)

    def _share(self, column: Ids) -> Ids:
        """Return the same column, the one that is kept already if there is one."""
        if len(column) < SHARED_MIN:
            return column
        alike = self._shared.setdefault((len(column), int(column[0]), int(column[-1])), [])
        for kept in alike:
            if np.array_equal(kept, column):
                return kept
        alike.append(column)
        return column

    def table(self, key: Key | None) -> Table:
        """Return the facts with these constants for a join of the kernel: columns e, a, v, tx, added."""
        return self.extent(key).table()

    def tells_apart(self, key: Key | None, places: Collection[int]) -> bool:
        """Return whether no two facts with these constants agree in the columns at `places`."""
        if key is None:
            return True
        if not self.database.distinct:
            return False
        return all(place in places or key[place] is not None for place in (0, 1, 2))

    def seek(self, key: Key | None, places: Collection[int], probes: int) -> Seek | None:
        """Return the database's own index for few look-ups of entities or values in many facts, else None.

        All facts with these constants and an index of them are made once for each database value: too much for a few
        look-ups, unless they come again and again.
        """
        if key is None or not self.seeks(key, places, probes):
            return None
        self._sought[key, 0 in places] = self._sought.get((key, 0 in places), 0) + probes
        return Seek(self.database, key)

    def seeks(self, key: Key | None, places: Collection[int], probes: int) -> bool:
        """Return whether these look-ups are few."""
        if key is None or key[0] is not None or key[3:] != (None, None):
            return False
        by_entity = 0 in places
        if not by_entity and (2 not in places or key[2] is not None):
            return False
        extent = self._extents.get(key)
        if extent is not None and (len(places) > 1 or extent.has_index(0 if by_entity else 2)):
            return False
        count = self.count(key)
        if probes * SEEK_PART > count:
            return False
        sought = self._sought.get((key, by_entity), 0) + probes
        return sought * SEEK_PART <= count or count > SEEK_ROWS_MAX

    def between(self, key: Key | None, low: int, high: int) -> int | None:
        """Return about how many facts of an attribute have integers from `low` to `high`; None if it has other values too."""
        if key is None or key[1] is None or key != (None, key[1], None, None, None):
            return None
        if self.database._all or not self.database.has_integers_only(key[1]):
            return None
        return self.database.count_between(key[1], low, high)

    def few_between(self, key: Key | None, low: int, high: int) -> Rows | None:
        """Return the rows of these facts if they are few among all, and not all are at hand anyway; else None."""
        if key is None or key in self._extents:
            return None
        count = self.between(key, low, high)
        if count is None or count * FILTERED_FEW > self.count(key):
            return None
        assert key[1] is not None, "of one attribute"
        return self.database.rows_between(key[1], low, high)

    def entity_attribute(self, e: object, a: object) -> list[object]:
        """Return the values of an attribute of an entity: an id, an ident or a lookup ref."""
        if isinstance(a, Keyword):
            self.database.check_named(a)
        entity, attribute = self.database.entid(e), find(a)
        found = None if entity is None else find(entity)
        if found is None or attribute is None:
            return []
        return values_of(self.database.scan(found, attribute, None).v)

    def ordered(self, e: object, attribute: object, order: object) -> tuple[object, ...]:
        """Return the entities under an attribute, which may be read backwards, by their values of another one."""
        backwards = _forwards(attribute)
        if backwards is None:
            found = self.entity_attribute(e, attribute)
        else:
            found = self._referring(e, backwards)
        return tuple(sorted(found, key=lambda one: self.entity_attribute(one, order)))

    def _referring(self, e: object, attribute: Keyword) -> list[object]:
        self.database.check_named(attribute)
        entity, a = self.database.entid(e), find(attribute)
        found = None if entity is None else find(entity)
        if found is None or a is None:
            return []
        return values_of(self.database.scan(None, a, found).e)


def _forwards(attribute: object) -> Keyword | None:
    """Return `:a/b` of `:a/_b`, None of what is not read backwards."""
    if not isinstance(attribute, Keyword) or not attribute.local_name.startswith("_"):
        return None
    space = attribute.name[: -len(attribute.local_name)]
    return Keyword(space + attribute.local_name[1:])


class Seek:
    """Facts of a database with a pattern's constants, as a table whose rows are those of the database."""

    arity = 4

    def __init__(self, database: Database, key: Key) -> None:
        self._database = database
        self._attribute, self._value = key[1], key[2]
        self.count = database.count_rows

    def column(self, place: int) -> FactColumn:
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

    def extent(self, key: Key | None) -> Table:
        """Return the rows with these constants."""
        return self.table(key)

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


def _alike(view: tuple[object, ...]) -> tuple[object, ...]:
    """Return what two values have in common of which one can take over what the other keeps: all but the rows seen."""
    return (*view[:2], *view[3:])


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
            for other in reversed(_kept):
                if other != view and _alike(other) == _alike(view):
                    found.take_over(_kept[other])
                    break
            if len(_kept) > SOURCES_MAX:
                _kept.popitem(last=False)
        else:
            _kept.move_to_end(view)
        return found

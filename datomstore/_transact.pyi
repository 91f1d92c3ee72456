"""Types of the writer's inner loops (`_transact.pyx`): what is so now, rows, plain items, reports."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from datomstore._index import Segments
from datomstore.database import Database
from datomstore.datom import Datom
from datomstore.facts import Facts
from datomstore.live import Base
from datomstore.schema import Attribute, Schema
from datomstore.value import Keyword

T = TypeVar("T")

class _Times(Sequence[T], Generic[T]):
    """Parts of arrays, then items that are only ever appended, in one thread; others may read meanwhile."""

    @property
    def parts(self) -> Sequence[Any]: ...
    @property
    def firsts(self) -> list[int]:
        """Return the number of each part's first item, and of the first that is in no part."""
    def append(self, item: T, /) -> None: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int, /) -> T: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[T]: ...

class Ends(_Times[tuple[int, int]]):
    """(t, row after it) of every transaction, numbered from 1 without a gap. A part is (first row, offsets from there)."""

    def __init__(
        self,
        parts: Sequence[tuple[int, NDArray[Any]]] = (),
        more: Iterable[tuple[int, int]] = (),
    ) -> None: ...

class Roots(_Times[bytes]):
    """The root after every transaction. A part is an array of bytes."""

    def __init__(
        self, parts: Sequence[NDArray[np.uint8]] = (), more: Iterable[bytes] = ()
    ) -> None: ...

class Held:
    """What is so now for one attribute."""

    a: int
    attribute: Attribute
    ident: Keyword
    many: bool
    unique: bool
    identity: bool  # an entity is found by it
    watched: bool  # its facts imply others
    composites: tuple[Keyword, ...]  # that it is a part of

    def __init__(self, a: int, attribute: Attribute, schema: Schema, base: Base | None) -> None: ...
    def __len__(self) -> int:
        """Return about how many facts are kept in memory."""
    def live(self, e: int, /) -> list[int]:
        """Return the ids of the values an entity has now."""
    def owner(self, v: int, /) -> int | None:
        """Return the entity that has a unique value."""

class Staged:
    """One transaction that has rows but is not committed."""

    t: int
    tx: int
    start: int  # its first row
    end: int  # row after the last
    schema_before: Schema
    schema_after: Schema | None
    instant_before: int
    instant_ms: int
    tempids: dict[object, int]
    ends: dict[int, int]  # row of a retraction -> the row it ends
    touched: dict[tuple[Keyword, int], None] | None  # composites to renew
    properties_of: dict[int, None] | None  # entities of attributes changed
    excisions: dict[int, None] | None  # entities that ask for some
    reshaped: list[Keyword]  # attributes kept in another way since
    excised: NDArray[np.int64] | None  # the rows they ask to remove
    root: bytes | None  # after it, once its bytes are known

class Pending:
    """Rows that are not in the columns yet."""

    start: int  # number of the first row
    def write(self, segments: Segments, rows: int, ends: int) -> None:
        """Put the first rows, and what they end, into the columns."""

class Writer:
    """Appends rows to a Facts. Not thread-safe: its owner lets one transaction in at a time; anybody may read."""

    schemas: list[tuple[int, Schema]]  # (t, schema from then on), shared with database values
    tx_ends: Any  # (t, row after it) of every transaction, appended to and shared
    roots: Any  # after every transaction, the same; None if this is no stream's
    schema: Schema
    t: int
    rows: int  # staged ones included
    instant_ms: int  # of the newest transaction; time does not run backwards in a stream
    helds: dict[object, Held]
    base: Base | None
    next_entity: int
    resolver: Any

    def __init__(
        self,
        facts: Facts,
        schemas: list[tuple[int, Schema]],
        tx_ends: Any,
        *,
        base: Database | None = None,
        roots: Any = None,
    ) -> None: ...
    @property
    def facts(self) -> Facts:
        """Return the facts, with every row in their columns."""
    @property
    def committed_rows(self) -> int:
        """Return how many rows are committed."""
    @property
    def staged_count(self) -> int:
        """Return how many transactions are not committed."""
    @property
    def root(self) -> bytes:
        """Return the root after the newest transaction whose bytes are known."""
    def database(self) -> Database:
        """Return the committed database."""
    def staged_database(self) -> Database:
        """Return the database with all staged transactions, complete once they are committed."""
    def flush(self) -> None:
        """Move all rows into the columns."""
    def rebase(self, tx_ends: Any, roots: Any, /) -> None:
        """Take other sequences that say the same; new database values share these."""
    def forget(self) -> None:
        """Let go of what is so now: it is looked up again when it is asked for."""
    def begin(self, t: int, instant_ms: int, /) -> Staged:
        """Begin a transaction."""
    def stage(
        self,
        now_ms: int,
        meta: Mapping[Keyword, object] | None,
        items: Items,
        tx_data: Iterable[object],
        /,
    ) -> Staged:
        """Append the rows of a transaction, without showing them. Raises TransactionError, nothing changed."""
    def finish(self, staged: Staged, /) -> None:
        """Note that a transaction has all its rows."""
    def move_instant(self, staged: Staged, ms: int, /) -> None:
        """Give a staged transaction another instant."""
    def record(self, staged: Staged, /) -> bytes:
        """Return the bytes of a staged transaction, and note the root after it. Raises CodecError."""
    def set_root(self, staged: Staged, root: bytes, /) -> None:
        """Note another root after the newest transaction: what it follows was rewritten."""
    def commit(self, staged: Staged, /) -> None:
        """Show the rows of the oldest staged transaction to new database values."""
    def attributes_of(self, start: int, end: int, /) -> set[int]:
        """Return the ids of the attributes of the rows between two."""
    def rollback(self, staged: Staged, /) -> None:
        """Take back the newest staged transaction."""
    def held(self, ident: Keyword, /) -> Held:
        """Return what is so now for an attribute."""
    def keep(self, held: Held, /) -> None:
        """Have what is so now for an attribute from now on."""
    def new_entity(self) -> int:
        """Return a fresh entity id."""
    def reserve_entity(self, e: int, /) -> None:
        """Never give out an id that the transaction data names itself."""
    def append(self, e: int, a: int, v: int, /) -> None:
        """Append a row as it is."""
    def add(self, staged: Staged, held: Held, e: int, value: object, /) -> None:
        """Append a fact unless it is so already; a cardinality-one value ends the one before."""
    def end(self, staged: Staged, held: Held, e: int, v: int, /) -> None:
        """Append a retraction of a live fact; nothing when it is not live."""

class Items:
    """Turns the items of one transaction into rows; what is not plain goes to the methods of `transaction`."""

    @property
    def staged(self) -> Staged: ...
    @property
    def identities(self) -> list[Held]: ...
    def __init__(self, transactor: Writer) -> None: ...
    def run(self, staged: Staged, tx_data: Iterable[object], /) -> None:
        """Append the rows of the items. Raises TransactionError."""

class TxReport:
    """What a transaction did; `db_after` is complete once it is committed."""

    t: int
    tx: int
    tempids: dict[object, int]

    @staticmethod
    def of(writer: Writer, staged: Staged, /) -> TxReport:
        """Return the report of a staged transaction."""
    @property
    def db_before(self) -> Database: ...
    @property
    def db_after(self) -> Database: ...
    @property
    def schema(self) -> Schema:
        """Return the schema after it."""
    @property
    def attributes(self) -> set[int]:
        """Return the ids of the attributes of its datoms, without a look at a database."""
    @property
    def datoms(self) -> Sequence[Datom]: ...
    @property
    def rewrites(self) -> bool:
        """Return whether it is an excision: what is before it is gone, and both databases are the one after."""
    def with_(
        self,
        *,
        db_before: Database | None = None,
        db_after: Database | None = None,
        datoms: Sequence[Datom] | None = None,
    ) -> TxReport:
        """Return a report of other databases or datoms."""

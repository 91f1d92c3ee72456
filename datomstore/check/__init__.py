"""Does a stream's storage hold what it should: bytes, roots, facts, indexes.

Is:     a full reading of a log, against its checksums, its root, the rules of facts, the columns, and the segments.
Is not: a repair: what is wrong is named, and nothing is changed.
Fits:   run on a node's storage, on a backup, after an import.

Nothing grows with the log: it is read in portions, twice (`log`), and compared with the columns that answer queries. What
these say of facts is then looked at for some entities at a time (`facts`), and for some values of a unique attribute
(`unique`); orders are looked at in portions (`orders`). No value gets an id of the process (`values`). Where there is more
than fits, it is read again.
"""

from __future__ import annotations

from datomstore.check.facts import check_facts
from datomstore.check.fault import Fault
from datomstore.check.log import Progress, check_bytes, check_columns
from datomstore.check.orders import check_orders
from datomstore.check.unique import check_unique
from datomstore.limits import CHECKED_ROWS
from datomstore.segments.audit import problems
from datomstore.storage import StorageCorrupt
from datomstore.streams import Stream, Streams

__all__ = ["Fault", "check"]


def check(
    streams: Streams, name: str, *, progress: Progress | None = None, rows: int = CHECKED_ROWS
) -> list[Fault]:
    """Return what is wrong with a stream; nothing is, if the list is empty. Raises StreamUnknown.

    `rows` are those that are held at a time, some hundreds of bytes each; an entity's are held together.
    """
    faults: list[Fault] = []
    with streams.write_lock:  # so that log, root and memory are of one moment
        t = check_bytes(streams, name, faults, progress)
        if faults:
            return faults
        try:
            _check_stream(streams, streams.get(name), faults, rows)
        except StorageCorrupt as error:  # the log is well: segments can be made anew from it
            faults.append(Fault("segments", t, str(error)))
    return faults


def _check_stream(streams: Streams, stream: Stream, faults: list[Fault], rows: int) -> None:
    """Compare what answers queries with what the log says."""
    database = stream.db()
    if check_columns(streams, stream, faults, rows):
        check_facts(database, faults, rows)
        check_unique(database, faults, rows)
    check_orders(database, faults, rows)
    if stream.kept is not None:
        roots = stream.transactor.roots
        assert roots is not None, "a stream has roots"
        found = problems(streams.storage, stream.kept, stream.transactor.facts, roots)
        faults += [Fault("segments", database.basis_t, problem) for problem in found]

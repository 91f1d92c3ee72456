"""An LMDB environment whose commits wait for the disk once.

Is:     transactions of an environment that does not flush, each made durable by one record in a log; checkpoints, which let
        the log begin anew; and recovery.
Is not: the layout of keys, blobs, or who may open a folder: `datomstore.storage.lmdb`.
Fits:   `redolog` has the files of the log. Reads ask the environment alone: it always has everything.
Source: redo logging with fuzzy checkpoints (Gray and Reuter 1993, ch. 11), on the copy-on-write pages of LMDB (Chu 2011).

LMDB itself waits twice, for its pages and then for the meta page that leads to them. With MDB_NOSYNC it waits for nothing,
and a loss of power may leave any mixture of old and new pages. So no page is trusted that was not flushed:

*Base.* The newest snapshot S all pages of which were flushed, its two meta pages, which the log's header has, and the
records of all that was committed after it. A read transaction at S stays open until there is a newer base.

*The pages of S stay as they are on disk.* LMDB writes to a page only if the writing transaction T took it: from beyond the
end that its snapshot knows, or from the pages that some transaction F has freed, with F less than the oldest snapshot
in use. All three hold for the pages of S, be they of data or of the list of free pages:
  - a page beyond S's end is none of S's, and the end never moves back;
  - what F < S freed, S does not reach; what F >= S freed is not taken while the read transaction at S is open;
  - the meta pages 0 and 1 are the only ones written in place, T's in slot T mod 2, and the header has those.
A page that T has taken and freed itself may be taken by T again; it was none of S's before, either. Nothing of this
depends on the order in which pages come to the disk, nor on the file's length: it was flushed with S, and only grows.

*A commit* is: the record (one wait), then LMDB's commit, which makes it visible. What is visible is durable, then. If
LMDB's commit fails (its map or the disk is full), the record is struck out, durably. If that fails too, nobody can say
whether the transaction has happened, and the engine refuses all that is asked of it from then on. So it does where
somebody was told between the two that the transaction lasts: then the record stays, and the next recovery does it again.

*A transaction too large for the log* is committed, and a checkpoint made at once; who begins to read waits meanwhile.

*A checkpoint*, under the write lock: a read transaction is opened, which is the new snapshot S', the meta pages are read,
and the log goes over to its other file. Then, while others write: the environment is flushed, which has been written up to
S' at least; the new header is written, which says S'; and the read transaction at S ends. Until the header is whole,
recovery begins at S, with the records of both files; afterwards at S', with those of the other file alone. Both snapshots
are held meanwhile, so whichever header is found is right, and a file is only written again when the other one's header
counts. The next checkpoint waits for this one.

*Recovery.* The saved meta pages are written back, which makes the environment what it was at S, whatever stands in its
other pages; all records are done again in one transaction, while S is held; the environment is flushed, and the log is
removed. Before that is done nothing has changed that recovery reads, so it may be broken off anywhere and begun again.

*Without a log* the environment is flushed whole and is a plain one: so is a folder that was closed, or is being copied from
(`purge`). The first transaction flushes, and makes the log; nothing is committed before the header is there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import lmdb

from datomstore.limits import REDO_FILE, REDO_GROWTH_MAX, REDO_ROOM_MIN
from datomstore.storage import StorageError, flushing, redo, redolog
from datomstore.storage.mapped import Changing, Mapped, StorageFull, ours
from datomstore.storage.redolog import RedoLog

DATA = "data.mdb"
LOCK = "lock.mdb"
META_PAGES = 2
INTERRUPTED = "a commit was interrupted, and nobody can say whether it has happened"

Work = Callable[[], None]


def in_thread(work: Work) -> Work:
    """Begin some work in a thread of its own; return how to wait for its end."""
    thread = threading.Thread(target=work, name="datomstore-checkpoint", daemon=True)
    thread.start()
    return thread.join


def at_once(work: Work) -> Work:
    """Do some work; there is nothing to wait for."""
    work()
    return _nothing


def _nothing() -> None: ...


class Writing(Changing):
    """A write transaction, until it is left."""

    def __init__(self, durable: Durable, transaction: lmdb.Transaction) -> None:
        super().__init__(transaction)
        self._durable = durable

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._durable.leave(self, error)
        if isinstance(error, lmdb.Error):
            raise ours(error) from error


class Durable:
    """An environment, its log, and the snapshots that a recovery may begin with."""

    def __init__(
        self,
        folder: Path,
        map_size: int,
        *,
        file_size: int = REDO_FILE,
        background: Callable[[Work], Work] = in_thread,
    ) -> None:
        self._folder = folder
        self._file_size = file_size
        self._background = background
        self._writing = threading.Lock()
        self._showing = threading.Lock()  # held while what was committed is not durable yet
        self._log: RedoLog | None = None
        self._held: list[lmdb.Transaction] = []  # at the snapshots of headers, the newest last
        self._end = 0  # the environment's last page, at the newest of these
        self._crowded = False  # whether pages may be had only by a checkpoint
        self._under_way = False  # a checkpoint
        self._settle: Work = _nothing  # waits for it
        self._refusal = ""  # why nothing is done any more
        self.environment = _recovered(folder, map_size)
        self._page = self.environment.stat()["psize"]
        self._pages = self.environment.info()["map_size"] // self._page

    def read(self) -> Mapped:
        """Open a transaction that reads what is durable. Raises StorageError."""
        with self._showing:
            self._refuse()
            try:
                return Mapped(self.environment.begin())
            except lmdb.Error as error:
                raise ours(error) from error

    def write(self) -> Writing:
        """Open a write transaction, which is durable when it has been left. Raises StorageError."""
        self._writing.acquire()
        try:
            if self._refusal or self._log is None or self._crowded:
                self._make_ready()
            return Writing(self, self.environment.begin(write=True))
        except BaseException as error:
            self._writing.release()
            if isinstance(error, lmdb.Error):
                raise ours(error) from error
            raise

    def leave(self, changing: Changing, error: BaseException | None) -> None:
        """Commit a transaction that is left, or undo it. Raises StorageError: then it has not happened."""
        try:
            if error is None:
                self._commit(changing)
                self._look_after()
        except BaseException as failure:
            error = failure
            raise
        finally:
            if error is not None:
                changing.transaction.abort()
                self._crowded |= isinstance(error, StorageFull)
            self._writing.release()

    def close(self) -> None:
        """Let go of the environment; of a log nothing is left, unless somebody still writes or something went wrong."""
        idle = self._writing.acquire(blocking=False)
        self._settle()
        if idle:
            self._end_log()
        self._refusal = self._refusal or "the storage has been closed"
        if idle:
            self._writing.release()
        self.environment.close()

    def _end_log(self) -> None:
        if self._log is None:
            return
        try:
            self._refuse()
            flushing.flush_environment(self.environment)
            self._log.remove()
        except (StorageError, lmdb.Error, OSError):
            self._log.close()  # nothing is lost: the next start does it again
        self._log = None

    # -- committing; who calls these holds the write lock --

    def _make_ready(self) -> None:
        self._refuse()
        if self._log is None:
            try:
                self._log = self._begun_log()
            except (lmdb.Error, OSError) as error:
                raise ours(error) from error
        elif self._crowded:
            self._checkpoint(at_once)
            self._refuse()

    def _refuse(self) -> None:
        if self._refusal:
            raise StorageError(self._refusal)

    def _begun_log(self) -> RedoLog:
        flushing.flush_environment(self.environment)
        pages = self._hold()
        try:
            return RedoLog(self._folder, self._file_size, pages)
        except BaseException:
            self._held.pop().abort()
            raise

    def _commit(self, changing: Changing) -> None:
        log = self._log
        assert log is not None, "made ready"
        if changing.large:
            self._commit_whole(changing)
        elif changing.changes:
            record = log.record(changing.changes)
            if log.room < len(record):
                self._commit_whole(changing)
            else:
                self._commit_logged(changing, log, record)
        else:
            changing.transaction.abort()

    def _commit_logged(self, changing: Changing, log: RedoLog, record: bytes) -> None:
        place: redolog.Place | None = log.place  # to strike out
        try:
            log.append(record)
            if changing.lasts is not None:
                place = None
                changing.lasts()
            changing.transaction.commit()
        except (lmdb.Error, OSError) as error:
            if place is None:
                self._refusal = f"a transaction that lasts cannot be shown: {error}"
            else:
                self._strike_out(log, place)
            raise ours(error) from error
        except BaseException:  # before the commit, or after it
            self._refusal = INTERRUPTED
            raise

    def _strike_out(self, log: RedoLog, place: redolog.Place) -> None:
        try:
            log.strike_out(place)
        except OSError as error:
            self._refusal = f"nobody can say whether a transaction has happened: {error}"

    def _commit_whole(self, changing: Changing) -> None:
        """Commit without the log, and have the next recovery begin after that."""
        self._settle()
        self._refuse()
        with self._showing:
            try:
                changing.transaction.commit()
                self._checkpoint(at_once)
            except lmdb.Error as error:
                raise ours(error) from error
            except BaseException:
                self._refusal = INTERRUPTED
                raise
            self._refuse()

    # -- checkpoints --

    def _look_after(self) -> None:
        """Begin a checkpoint if the log or the environment has grown so much that it is time."""
        log = self._log
        assert log is not None, "made ready"
        room = self._pages - self._end
        grown = self.environment.info()["last_pgno"] - self._end
        self._crowded = grown > room // 2 or (room - grown) * self._page < REDO_ROOM_MIN
        if self._under_way:
            return
        if log.room * 2 < self._file_size or grown > min(room // 4, REDO_GROWTH_MAX // self._page):
            self._checkpoint(self._background)

    def _checkpoint(self, how: Callable[[Work], Work]) -> None:
        """Take a new base; what goes wrong, whatever it is, is why everything is refused from then on."""
        self._settle()
        if self._refusal:
            return
        assert self._log is not None, "made ready"
        try:
            self._log.turn(self._hold())
            self._under_way = True
            self._settle = how(self._finish)
        except BaseException as error:
            self._refusal = f"a checkpoint failed: {error!r}"
            if not isinstance(error, Exception):
                raise

    def _hold(self) -> bytes:
        """Hold the newest snapshot, and return its meta pages."""
        self._held.append(self.environment.begin())
        self._end = self.environment.info()["last_pgno"]
        with (self._folder / DATA).open("rb") as file:
            return file.read(META_PAGES * self._page)

    def _finish(self) -> None:
        """Make the newest snapshot the base; the only part of a checkpoint that takes its time."""
        assert self._log is not None, "made ready"
        try:
            flushing.flush_environment(self.environment)
            self._log.begin_here()
            self._held.pop(0).abort()
        except BaseException as error:
            self._refusal = f"a checkpoint failed: {error!r}"
            if not isinstance(error, Exception):
                raise
        self._under_way = False


# -- recovery --


def _recovered(folder: Path, map_size: int) -> lmdb.Environment:
    """Return the environment of a folder, with all that was committed, flushed, and without a log."""
    found = redolog.read(folder)
    if found is not None:
        _restore(folder, found.pages)
    environment = lmdb.open(str(folder), map_size=map_size, max_dbs=0, mode=0o600, sync=False)
    try:
        with environment.begin():  # holds what the next recovery would begin with
            if found is not None:
                with environment.begin(write=True) as transaction:
                    _do_again(transaction, found.records)
            flushing.flush_environment(environment)
            redolog.remove(folder)
    except BaseException:
        environment.close()
        raise
    return environment


def _restore(folder: Path, pages: bytes) -> None:
    """Make an environment what it was when its meta pages were these."""
    (folder / LOCK).unlink(missing_ok=True)  # it knows of newer transactions
    file = flushing.opened_through(folder / DATA)
    try:
        flushing.write_through(file, pages, 0)
    finally:
        os.close(file)


def _do_again(transaction: lmdb.Transaction, records: list[redo.Record]) -> None:
    for record in records:
        for key, value in record.changes:
            if value is None:
                transaction.delete(key)
            else:
                transaction.put(key, value)

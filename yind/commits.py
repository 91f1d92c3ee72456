"""Group commit: what many tasks want to write, in as few storage transactions as there is time for.

Is:     a queue before the one writer; whoever gets the writer takes everybody's work along.
Is not: what is written, nor what a failure means to it.
Fits:   `yind.agents` commits through it; a wait for the disk serves everyone who came meanwhile.
Source: DeWitt et al., "Implementation techniques for main memory database systems" (1984), section 5.2.

A piece of work that raises must have changed nothing: `Batch.transact` keeps that promise, and what else a piece does
comes after it. So one failure does not concern the others. A failure of the storage concerns all of a transaction. An
excision shares its transaction with no other of its stream: whoever meets one is done again in the next.

Who only has to know that something lasts, and looks for nothing of it, is told so before others can see it. A transaction
for nobody else is brief: what ends it leaves out what may follow soon, in a transaction COMMIT_LATER_S later at most. All is
written in the order in which it was asked for.

`datomstore.streams` groups the transactions of threads in the same way. There a thread waits for its turn; here a task
does, so that a thousand agents wait for the disk with one thread between them. Who has a thousand things to write and
nothing to wait for submits them, and is told of each. No task is between them and the thread that writes.

A storage that forgets has nothing to wait for, so its transactions happen where they are asked for; what can wait goes
with nothing that is asked for later, but in the next turn of the event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import outcome
import trio

from datomstore.batch import Batch, BatchClosed
from datomstore.excision import ExcisionNotAlone
from datomstore.storage import StorageError
from datomstore.streams import Streams
from yind.limits import COMMIT_LATER_S
from yind.workthread import WorkThread

Work = Callable[[Batch], None]
Done = Callable[[BaseException | None], None]


class Last(Protocol):
    """Work that ends every transaction; in a brief one it leaves what it can to the next that is not."""

    def __call__(self, batch: Batch, *, brief: bool) -> None:
        """Do it."""


def _nothing() -> None:
    pass


def _no_work(batch: Batch) -> None:
    pass


def _untold(error: BaseException | None) -> None:
    pass


def _is_brief(entries: list[_Entry]) -> bool:
    """Return whether all who wait for entries wait for no more than that they last."""
    urgent = [entry for entry in entries if not entry.later]
    return bool(urgent) and all(entry.unseen for entry in urgent)


class _Entry:
    """One task's work."""

    __slots__ = ("done", "error", "finished", "later", "told", "undo", "unseen", "work")

    def __init__(
        self,
        work: Work,
        undo: Callable[[], None],
        done: Done,
        *,
        later: bool = False,
        unseen: bool = False,
    ) -> None:
        self.work = work
        self.undo = undo
        self.done = done
        self.later = later  # nobody waits for it
        self.unseen = unseen  # told when it lasts
        self.finished = False
        self.told = False
        self.error: BaseException | None = None

    def fail(self, error: BaseException) -> None:
        self.error = error
        self.undo()


def _tell(entry: _Entry) -> BaseException | None:
    """Tell how it went; return what ends the node, once everybody has been told."""
    if entry.told:
        return entry.error  # it was said to last
    try:
        if entry.finished:
            entry.done(entry.error)
    except BaseException as error:
        return error
    return None


class GroupCommit:
    """The one writer of a node's storage.

    Args:
        streams: what is written to.
        last: work that ends every transaction.
        durable: told when what `last` wrote is durable; without it that is to be written again.
        lost: told when it is not, before those who waited for it.
    """

    def __init__(
        self,
        streams: Streams,
        last: Last,
        durable: Callable[[], None] = lambda: None,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._streams = streams
        self._last = last
        self._durable = durable
        self._lost = lost
        self._waits = streams.storage.waits
        self._waiting: list[_Entry] = []
        self._urgent = False  # whether somebody waits for what waits
        self._brief = (
            False  # whether the last transaction was, so that one that is not has to follow
        )
        self._writing: list[_Entry] = []  # in the transaction that is being written
        self._thread = WorkThread("commit", self._written)
        self._rested = trio.lowlevel.ParkingLot()
        self._later = trio.lowlevel.ParkingLot()
        self._unsure: BaseException | None = None  # after what lasts: what is in memory may be less
        self._failure: BaseException | None = None
        self._failed = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write what can wait, until cancelled; ends when nothing is being written. Raises what a `done` raised."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write_later)
                task_status.started()
                await self._failed.wait()
                assert self._failure is not None, "that is why it is set"
                raise self._failure
        finally:
            with trio.CancelScope(shield=True):
                await self.written()
                self._thread.close()

    @property
    def is_writing(self) -> bool:
        """Return whether something is being written."""
        return bool(self._writing)

    async def written(self) -> None:
        """Return when nothing is being written, at once if that is so."""
        while self._writing:
            await self._rested.park()

    async def _write_later(self) -> None:
        while True:
            if not self._waiting and not self._brief:
                await self._later.park()
            await trio.sleep(COMMIT_LATER_S if self._waits else 0)
            if self._brief:
                self._waiting.append(_Entry(_no_work, _nothing, _untold))
                self._urgent = True
            self._begin()

    def submit(
        self,
        work: Work,
        done: Done,
        *,
        undo: Callable[[], None] = _nothing,
        later: bool = False,
        unseen: bool = False,
    ) -> None:
        """Have work done soon, or now; `done` is told on the event loop that it is durable, or, after `undo`, why it is not.

        With `later` it goes with what is asked for next, or alone after COMMIT_LATER_S, as long as `run` runs; where there
        is no disk to wait for, after this turn of the event loop. With `unseen`, `done` may be told before what was written
        can be seen by who opens a transaction.
        """
        self._waiting.append(_Entry(work, undo, done, later=later, unseen=unseen))
        if not later:
            self._urgent = True
            self._begin()
        elif len(self._waiting) == 1:
            self._later.unpark()

    async def commit(self, work: Work, undo: Callable[[], None] = _nothing) -> None:
        """Return when the work is durable; raise what it raised, or why it could not be stored, after `undo`."""
        over = trio.Event()
        entry = _Entry(work, undo, lambda error: over.set())
        self._waiting.append(entry)
        self._urgent = True
        # Once taken along the work happens, whatever becomes of this task: so it waits for its end.
        with trio.CancelScope(shield=True):
            if not self._waits:
                await trio.lowlevel.checkpoint()  # who comes in the same turn is taken along
            self._begin()
            await over.wait()
        if entry.error is not None:
            raise entry.error

    def _begin(self) -> None:
        """Write what waits, if nothing is being written; where that takes long, in a thread."""
        if self._writing or not self._waiting:
            return
        self._writing, self._waiting = self._waiting, []
        self._urgent = False
        if self._waits:
            self._thread.begin(self._write)
        else:
            again = self._write()
            self._end(again)

    def _written(self, found: outcome.Outcome[list[_Entry]]) -> None:
        """Go on after the thread has written."""
        try:
            self._end(found.unwrap())
        except BaseException as error:
            self._fail(error)
        self._rested.unpark_all()

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self._failed.set()

    def _lasts(self) -> None:
        """Tell those who wait for no more than that what is being written lasts."""
        try:
            for entry in self._writing:
                if entry.unseen and entry.finished and entry.error is None:
                    entry.told = True
                    entry.done(None)
        except BaseException as error:
            self._fail(error)

    def _end(self, again: list[_Entry]) -> None:
        """Begin the next transaction, for those who came meanwhile or could not share; tell the others of theirs."""
        entries, self._writing = self._writing, []
        self._waiting[:0] = again
        if again or self._urgent:
            self._begin()
        elif self._waiting or self._brief:
            self._later.unpark()
        unbearable = [error for entry in entries if (error := _tell(entry)) is not None]
        if self._unsure is not None:
            unbearable.append(self._unsure)
        if unbearable:
            raise unbearable[0]

    def _write(self) -> list[_Entry]:
        """Commit what can share one transaction; return what has to wait for the next."""
        entries, again = self._writing, []
        self._brief = self._waits and _is_brief(entries)
        opened = self._streams.batch()
        try:
            with opened as batch:
                for entry in entries:
                    entry.finished = self._shares(entry, batch, first=entry is entries[0])
                    if not entry.finished:
                        again.append(entry)
                self._last(batch, brief=self._brief)
                if any(entry.unseen for entry in entries):
                    batch.when_lasting(lambda: self._thread.say(self._lasts))
            self._durable()
        except BaseException as error:
            if opened.happened:  # nobody may be told that it has not
                self._unsure = error
                return again
            self._lost()
            for entry in reversed(entries):  # of two about the same, the later one is undone first
                entry.finished = True
                if entry.error is None:
                    entry.fail(error)
            return []
        return again

    def _shares(self, entry: _Entry, batch: Batch, *, first: bool) -> bool:
        """Do the work of an entry; False if it has to be done in a transaction without those before it."""
        try:
            entry.work(batch)
        except (BatchClosed, ExcisionNotAlone) as error:
            if not first:
                return False
            entry.fail(error)  # its own facts cannot stand together
        except Exception as error:
            if batch.broken or isinstance(error, StorageError):
                raise  # the transaction is lost, and with it everybody's work
            entry.fail(error)
        return True

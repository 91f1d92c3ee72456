"""Who belongs to the cluster, as this node knows it: facts in the stream `cluster`, shared with the other nodes.

Is:     keeping statements, telling them on, and telling the parts of the node when something else counts than before.
Is not: what statements mean (`capabilities.membership`) or who makes them (`yind.joining`, `yind.rotation`).
Fits:   `yind.peers` takes certificates and keys from here, `yind.authority` roots and the lineage of keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator

import structlog
import trio

from capabilities.errors import MemberInvalid
from capabilities.keys import PublicKey
from capabilities.limits import STATEMENT_BYTES_MAX
from capabilities.membership import Ledger, Membership
from capabilities.statements import Appointment, Record, Statement, Succession
from datomstore.batch import Batch
from datomstore.storage import StorageError
from datomstore.streams import Stream
from datomstore.value import Keyword, Map
from yind.clock import Clock
from yind.limits import STATEMENTS_RETRY_S, STATEMENTS_SHOWN_BYTES

TABLE = "cluster"
ANCHOR = b"anchor"
DATA = Keyword("statement/data")

_log = structlog.get_logger()

Work = Callable[[Batch], None]
Listener = Callable[[Membership], None]


def _nothing(batch: Batch) -> None:
    pass


class Members:
    """The statements of one node about its cluster."""

    topic = "cluster"

    def __init__(
        self,
        ledger: Ledger,
        *,
        stream: Stream,
        clock: Clock,
        write: Callable[[Work], Awaitable[None]],
    ) -> None:
        self._ledger = ledger
        self._stream = stream
        self._clock = clock
        self._unwritten = {statement.id: statement for statement in ledger}
        self._also: list[Work] = []  # what is to be done when these are written
        self._kept_anchor: PublicKey | None = None  # as far as it is durable
        self._changed = trio.Event()
        self._taking = trio.Lock()
        self._listeners: list[Listener] = []
        self._write_batch = write
        self.told: Callable[[list[bytes]], None] = lambda items: None  # set by who tells the others
        self.renewals: Callable[[Membership], list[Statement]] = lambda known: []  # ... who admits
        self.current = ledger.at(self._now_s())

    def load(self, batch: Batch) -> None:
        """Read what earlier runs of this node knew; the statements of its file are added to that."""
        anchor = batch.get(TABLE, ANCHOR)
        if anchor is not None:
            self._ledger.anchor = self._kept_anchor = PublicKey(anchor)
        kept = list(_readable(datom.v for datom in self._stream.db().datoms("aevt", DATA)))
        self._ledger.add(kept)
        known = {statement.id for statement in kept}
        self._unwritten = {one.id: one for one in self._ledger if one.id not in known}
        self._look()

    def listen(self, listener: Listener) -> None:
        """Call a function whenever something else counts than before, and now."""
        self._listeners.append(listener)
        listener(self.current)

    async def wait_for(self, condition: Callable[[Membership], bool]) -> None:
        """Return when a condition holds of what counts."""
        holds = trio.Event()

        def look(membership: Membership) -> None:
            if condition(membership):
                holds.set()

        self.listen(look)
        try:
            await holds.wait()
        finally:
            self._listeners.remove(look)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep up with the time until cancelled: rotations begin and end."""
        await self.take([])
        task_status.started()
        while True:
            with trio.move_on_after(self._wait_s()) as waiting:
                await self._changed.wait()
            self._changed = trio.Event()
            if waiting.cancelled_caught:  # else who changed something has looked
                self._look()
            await self._keep_up()

    async def _keep_up(self) -> None:
        """Do what follows from what counts now, and write what could not be written before."""
        if self._ledger.anchor not in self.current.roots:
            self._ledger.settle(self._now_s())
        try:
            await self.take(self.renewals(self.current))
        except StorageError as error:
            _log.error("what is said of the cluster cannot be saved", why=str(error))

    def _wait_s(self) -> float:
        change, longest = self.current.next_change_s, 3_600.0
        if self._unwritten:
            longest = STATEMENTS_RETRY_S
        return (
            longest if change is None else min(longest, max(0.05, change - self._now_ms() / 1000))
        )

    def _now_ms(self) -> int:
        return self._clock.now_ms()

    def _now_s(self) -> int:
        return self._now_ms() // 1000

    def _look(self) -> None:
        before, self.current = self.current, self._ledger.at(self._now_s())
        if before != self.current:
            for listener in list(self._listeners):
                try:
                    listener(self.current)
                except Exception:  # what is kept counts for the others, and after the next start
                    _log.exception("what counts now was not taken over")

    # -- taking in --

    async def take(self, statements: Iterable[Statement], also: Work = _nothing) -> int:
        """Keep what somebody with standing signed, durably, and tell the others; return how many are new.

        `also` is done in the storage transaction that makes it durable, if anything is new. What is known counts when this
        returns, also if somebody else has brought it just now. It counts when this raises StorageError, too: who is removed
        is out though the storage is full. Nobody is told of it then; it is written and told when that can be done.
        """
        async with self._taking:
            fresh = self._ledger.add(statements)
            if fresh:
                self._unwritten |= {statement.id: statement for statement in fresh}
                self._also.append(also)
            try:
                await self._publish()
            finally:
                if fresh:
                    self._look()
                    self._changed.set()
        return len(fresh)

    async def say(self, statement: Statement) -> None:
        """Keep what this node says itself, durably, and tell the others. Raises StorageError, and has said nothing then."""
        async with self._taking:
            self._ledger.add([statement])
            self._unwritten[statement.id] = statement
            try:
                await self._publish()
            except StorageError:
                del self._unwritten[statement.id]
                others = (one for one in self._ledger if one.id != statement.id)
                self._ledger = Ledger(self._ledger.anchor, others)
                raise
            finally:
                self._look()
                self._changed.set()

    async def take_bytes(self, items: Iterable[bytes], teller: PublicKey | None = None) -> int:
        """As `take`, whoever tells. Raises MemberInvalid for bytes that are no statement, or whose signer has no standing."""
        statements = [Statement.from_bytes(item) for item in items]
        count = await self.take(statements)
        for statement in statements:
            if statement not in self._ledger:
                raise MemberInvalid(f"{statement.signer.text} has no say in this cluster")
        return count

    async def take_said(self, items: Iterable[bytes]) -> int:
        """As `take_bytes`, from somebody who is no node: of single keys only the rotation of their own is heard."""
        statements = [Statement.from_bytes(item) for item in items]
        count = await self.take(one for one in statements if isinstance(one.fact, Succession))
        known = self.current
        for statement in statements:
            trusted = statement.signer in known.roots or known.appointment(statement.signer)
            if statement not in self._ledger and not trusted:
                raise MemberInvalid(f"{statement.signer.text} has no say in this cluster")
        return count + await self.take_bytes(statement.data for statement in statements)

    async def _publish(self) -> None:
        """Write what is not durable yet, and tell the others; what cannot be written waits on."""
        fresh, also, anchor = list(self._unwritten.values()), list(self._also), self._ledger.anchor
        if not fresh and anchor == self._kept_anchor:
            return

        def stage(batch: Batch) -> None:
            if fresh:
                batch.transact(self._stream, [_facts(statement) for statement in fresh])
            batch.put(TABLE, ANCHOR, anchor.bytes)
            for work in also:
                work(batch)

        await self._write_batch(stage)
        self._unwritten, self._also, self._kept_anchor = {}, [], anchor
        if fresh:
            self.told([statement.data for statement in fresh])

    # -- for who joins --

    def is_free(self, name: str) -> bool:
        """Return whether nobody was ever a node of this name: a record of an appointed key cannot change that.

        Records that do not count take no name away: a member may say what it likes.
        """
        return ("node", name) not in self.current.numbers

    def first_to_know(self) -> list[Statement]:
        """Return the statements, those first without which others mean nothing."""
        kinds: dict[type[object], int] = {Succession: 0, Appointment: 1, Record: 2}
        return sorted(self._durable(), key=lambda statement: kinds[type(statement.fact)])

    # -- what others ask --

    def digest(self) -> bytes:
        """Return what is equal for equal sets."""
        return hashlib.sha256(b"".join(statement.id for statement in self._durable())).digest()

    def place(self, item: bytes) -> bytes:
        """Return where a statement stands in the order of lists."""
        return Statement.from_bytes(item).id

    def listed(self, after: bytes) -> tuple[bytes, ...]:
        """Return the next statements, in their order."""
        count = STATEMENTS_SHOWN_BYTES // STATEMENT_BYTES_MAX
        return tuple([one.data for one in self._durable() if one.id > after][:count])

    def _durable(self) -> Iterator[Statement]:
        """Yield what nobody has to hear again: a crash would make this node forget the rest."""
        return (one for one in self._ledger if one.id not in self._unwritten)

    def __iter__(self) -> Iterator[Statement]:
        return iter(self._ledger)


def _readable(items: Iterable[object]) -> Iterator[Statement]:
    """Yield statements that were kept; what an earlier release took and this one does not keeps no node from starting."""
    for item in items:
        try:
            yield Statement.from_bytes(item)  # type: ignore[arg-type]
        except MemberInvalid as error:
            _log.error("a statement that was kept does not count", why=str(error))


def _facts(statement: Statement) -> Map:
    """Return a statement as facts: its bytes, and what they say for who asks."""
    facts: dict[Keyword, object] = {
        Keyword("statement/id"): statement.id,
        DATA: statement.data,
        Keyword("statement/signer"): statement.signer.text,
    }
    for name, value in _said(statement).items():
        facts[Keyword(name)] = value
    return Map(facts)


def _said(statement: Statement) -> dict[str, object]:
    match statement.fact:
        case Record() as record:
            return {
                "statement/kind": Keyword("member"),
                "member/name": record.name,
                "member/role": Keyword(record.role),
                "member/key": record.key.text,
                "member/seq": record.seq,
                "member/at": record.at_s,
                "member/removed": record.removed,
            }
        case Appointment() as appointment:
            return {
                "statement/kind": Keyword("appointment"),
                "appointment/key": appointment.key.text,
                "appointment/powers": int(appointment.powers),
                "appointment/from": appointment.from_s,
                "appointment/until": appointment.until_s,
            }
        case Succession() as step:
            return {
                "statement/kind": Keyword("succession"),
                "succession/old": step.old.text,
                "succession/new": step.new.text,
                "succession/from": step.from_s,
                "succession/until": step.until_s,
            }

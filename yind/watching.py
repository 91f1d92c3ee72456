"""Streams as they are read from outside: queries, logs, and both as they go on.

Is:     queries under the node's limits; records and changes of answers sent one by one, to those who keep up.
Is not: a check of rights (`yind.control`), or how changes are found (`datomstore.datalog`).
Fits:   `yind.control` calls these for its verbs.

Who follows a stream is told of a commit in the thread that commits, where nothing may wait for a reader: so the
listener only notes the transaction, and what is to be worked out is worked out in another thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple, NoReturn

import trio

from capabilities.caveats import Resource
from capabilities.patterns import AttributeFilter
from datomstore.database import Database
from datomstore.datalog import Budget, Change, explain, follow, q
from datomstore.datalog.follow import Report
from datomstore.filtered import ShownReport
from datomstore.record import Row, decode_record, records_of
from datomstore.streams import Stream
from datomstore.transaction import TxReport
from datomstore.value import Keyword, Map
from protocol.transport import SendItem
from yind.costs import Cost
from yind.errors import RequestInvalid
from yind.limits import FOLLOW_BUFFER, QUERY_ROWS_MAX, QUERY_SECONDS_MAX, RECORD_PART

Pay = Callable[[Sequence[Cost]], Awaitable[int]]  # see `Ongoing.pay`


def _budget() -> Budget:
    return Budget(rows=QUERY_ROWS_MAX, seconds=QUERY_SECONDS_MAX)


class View(NamedTuple):
    """Which view of a stream is asked for."""

    as_of: int | None
    since: int | None
    history: bool

    def of(self, database: Database, only: AttributeFilter | None) -> Database:
        """Return the view of a database, without what may not be seen; that may take long."""
        found = shown(database, only)
        if self.as_of is not None:
            found = found.as_of(self.as_of)
        if self.since is not None:
            found = found.since(self.since)
        return found.history() if self.history else found


def shown(database: Database, only: AttributeFilter | None) -> Database:
    """Return what may be seen of a database."""
    return database if only is None else database.only(only)


def answered(text: str, database: Database, inputs: tuple[object, ...]) -> object:
    """Return the answer of a query. Raises QueryError."""
    return q(text, database, *inputs, budget=_budget())


def explained(text: str, database: Database, inputs: tuple[object, ...]) -> object:
    """Return what each clause of a query did. Raises QueryError."""
    return tuple(
        Map(
            {
                "clause": step.clause,
                "estimated": step.estimated,
                "rows": step.rows,
                "milliseconds": round(step.milliseconds, 3),
            }
        )
        for step in explain(text, database, *inputs, budget=_budget())
    )


def transaction_of(item: object) -> tuple[int, int, list[Row]]:
    """Return number, instant and rows of a transaction that was sent. Raises RequestInvalid."""
    match item:
        case (int(t), int(instant), tuple(rows)) if all(map(_is_row, rows)):
            return t, instant, list(rows)
    raise RequestInvalid("a transaction is a number, an instant and rows")


def _is_row(row: object) -> bool:
    return (
        isinstance(row, tuple)
        and len(row) == 4
        and type(row[0]) is int
        and isinstance(row[1], Keyword)
        and type(row[3]) is bool
    )


async def send_log(
    stream: Stream,
    after: int,
    only: AttributeFilter | None,
    *,
    follow: bool,
    counted: bool,
    pay: Pay,
    send: SendItem,
) -> int:
    """Send the records of transactions after one, of which there may be something to see; return the last one's number.

    Each is paid for before it is sent, its rows only if they are `counted`. A record comes in parts where it is long; the
    last part says so.
    """
    committed = _Committed(0)
    stop = stream.listen(committed.note) if follow else lambda: None
    try:
        while True:
            upto = min(stream.t, after + FOLLOW_BUFFER)
            page = await trio.to_thread.run_sync(
                partial(_page, stream, after, upto, only, counted=counted)
            )
            while page:
                paid = await pay([record.cost for record in page])
                for record in page[:paid]:
                    await _send_record(record, send)
                page = page[paid:]
            after = max(after, upto)
            if after < stream.t:
                continue
            if not follow:
                return after
            await committed.wait()
    finally:
        stop()


class _Record(NamedTuple):
    """One transaction's record as it is sent, and what it costs."""

    t: int
    data: bytes
    cost: Cost


async def _send_record(record: _Record, send: SendItem) -> None:
    for start in range(0, len(record.data), RECORD_PART):
        part = record.data[start : start + RECORD_PART]
        whole = start + RECORD_PART >= len(record.data)
        await send(Map({"t": record.t, "record": part, "whole": whole}))


def _page(
    stream: Stream, after: int, upto: int, only: AttributeFilter | None, *, counted: bool
) -> list[_Record]:
    found = (
        stream.records(after, upto)
        if only is None
        else records_of(stream.db().only(only), after, upto)
    )
    page: list[_Record] = []
    for t, data in found:
        rows = len(decode_record(stream.name, t, data)[1]) if counted else 0
        page.append(_Record(t, data, {Resource.ROWS: rows, Resource.BYTES: len(data)}))
    return page


class _Committed:
    """Transactions that were committed, noted in any thread; so many of them are kept."""

    def __init__(self, most: int) -> None:
        self.reports: deque[TxReport] = deque()
        self.missed = False  # one more than could be kept
        self._most = most
        self._token = trio.lowlevel.current_trio_token()
        self._event = trio.Event()

    def note(self, report: TxReport) -> None:
        """Keep a transaction and wake who waits."""
        if len(self.reports) < self._most:
            self.reports.append(report)
        else:
            self.missed = True
        self._token.run_sync_soon(self._wake, idempotent=True)

    def _wake(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        """Return when there has been a transaction since the last time."""
        await self._event.wait()
        self._event = trio.Event()


class _Behind:
    """What may be seen of a stream, whose listener hears of commits later, in another thread than the one that commits."""

    def __init__(self, stream: Stream, only: AttributeFilter | None, committed: _Committed) -> None:
        self._stream = stream
        self._only = only
        self._committed = committed
        self.listener: Callable[[Report], None] | None = None

    def db(self) -> Database:
        """Return the current database."""
        return shown(self._stream.db(), self._only)

    def listen(self, listener: Callable[[Report], None]) -> Callable[[], None]:
        """Note commits for a listener; return how to stop it."""
        self.listener = listener
        return self._stream.listen(self._committed.note)

    def tell(self, report: TxReport) -> None:
        """Tell the listener of a commit."""
        assert self.listener is not None, "a subscription listens"
        self.listener(report if self._only is None else ShownReport(report, self._only))


async def send_changes(
    stream: Stream,
    only: AttributeFilter | None,
    text: str,
    inputs: tuple[object, ...],
    send: SendItem,
) -> NoReturn:
    """Send a query's answers, then every change of them. Raises QueryError; RequestInvalid to who does not keep up."""
    committed = _Committed(FOLLOW_BUFFER)
    behind = _Behind(stream, only, committed)
    changes: list[Change] = []
    subscription = await trio.to_thread.run_sync(
        lambda: follow(text, behind, changes.append, *inputs, budget=_budget())
    )
    try:
        first = {"t": subscription.t, "added": subscription.first, "how": subscription.how}
        await send(Map(first))
        while True:
            await committed.wait()
            while committed.reports or committed.missed:
                if committed.missed:
                    raise RequestInvalid("the query is followed more slowly than it changes")
                report = committed.reports.popleft()
                await trio.to_thread.run_sync(behind.tell, report)
            for change in changes:
                if change.error is not None:
                    raise change.error
                await send(Map({"t": change.t, "added": change.added, "removed": change.removed}))
            changes.clear()
    finally:
        subscription.stop()

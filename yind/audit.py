"""What was decided, for and against: facts in the stream `audit`, committed with what they allowed.

Is:     decisions on their way into the stream, and which storage transaction takes which of them along.
Is not: deciding (`yind.authority`, `yind.admission`), nor reading the stream, which is one like every other.
Fits:   `yind.authority` notes; `yind.effects` and `yind.control` say on whose behalf; `yind.agents` commits.

What is decided on behalf of an agent waits with it for its next commit, which makes durable what the decision allowed: so
after a crash there is either both or neither, and what was undone is decided anew. What is decided on behalf of a request
is durable before its answer is sent. The rest goes with the next transaction, whoever's that is. A transaction that
fails leaves to the next one what it was to bring; but of what allowed what it would have written nothing is left.

A brief transaction, one that another node waits for in a hand-off, takes its decisions along as a row of a table, which
is done in a tenth of the time. The next one that is not brief brings them into the stream, in their order, and deletes the
row: soon, or when somebody is about to read the stream (`yind.agents.Agents.decided`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain
from typing import NamedTuple

from datomstore.batch import Batch
from datomstore.codec import pack, unpack
from datomstore.datalog import q
from datomstore.streams import Stream
from datomstore.value import Keyword
from yind.limits import TURNED_AWAY_EACH_MS, TURNED_AWAY_SOURCES_MAX

_WHO, _VERB, _RESOURCE = Keyword("audit/who"), Keyword("audit/verb"), Keyword("audit/resource")
_ALLOWED, _AT, _NODE = Keyword("audit/allowed"), Keyword("audit/at-ms"), Keyword("audit/node")
_EFFECT, _REASON, _BLOCK = Keyword("audit/effect"), Keyword("audit/reason"), Keyword("audit/block")
FROM, RECEIPT = Keyword("audit/from"), Keyword("audit/receipt")  # of who gives an agent

AUDIT_STREAM = "audit"
DECIDED_TABLE = "decided"  # number u64 -> decisions that are not in the stream yet

RECEIPTS = """
[:find ?from ?receipt :in $ ?who
 :where [?e :audit/who ?who] [?e :audit/allowed true] [?e :audit/receipt ?receipt] [?e :audit/from ?from]]
"""


class Decision(NamedTuple):
    """One answer to "may I?", before it is a fact."""

    who: str  # an agent's id, or the key of whoever asked
    verb: str
    resource: str
    allowed: bool
    reason: str
    block: bytes | None  # id of the block that decided
    at_ms: int
    effect: str = ""  # what was asked for: an agent's effect, or a request
    more: tuple[tuple[Keyword, object], ...] = ()  # further facts


class Behalf:
    """On whose behalf something is done: what is decided in its block waits in `decisions`."""

    __slots__ = ("_before", "decisions", "doing", "over")

    def __init__(self, doing: str, decisions: list[Decision]) -> None:
        self.doing = doing  # an effect or a request, by its name
        self.decisions = decisions
        self.over = False

    def __enter__(self) -> None:
        self._before = _BEHALF.set(self)

    def __exit__(self, *_: object) -> None:
        self.over = True  # tasks that were started inside have it still
        _BEHALF.reset(self._before)


_BEHALF: ContextVar[Behalf | None] = ContextVar("behalf", default=None)


def own_decisions() -> list[Decision]:
    """Return what was decided on behalf of what goes on here, and waits."""
    behalf = _BEHALF.get()
    return [] if behalf is None else behalf.decisions


def forget_since(begun: int) -> None:
    """Take back what was decided on behalf of what goes on here for something that is tried again, and was not done."""
    del own_decisions()[begun:]


@contextmanager
def nobodys() -> Iterator[None]:
    """Have the tasks that are started in a block decide on nobody's behalf: they outlive what asks for them."""
    before = _BEHALF.set(None)
    try:
        yield
    finally:
        _BEHALF.reset(before)


def doing() -> str:
    """Return what goes on here, by its name; empty if nobody has asked for it."""
    behalf = _BEHALF.get()
    return "" if behalf is None else behalf.doing


class Audit:
    """The decisions of one node that are not durable yet."""

    def __init__(self, stream: Stream, node: str) -> None:
        self._stream = stream
        self.node = node
        self._free: deque[Decision] = deque()  # for the next transaction
        self._staged: list[Decision] = []  # in the one that is being written
        self._brief = False  # whether that one is
        self._rows: dict[bytes, list[Decision]] = {}  # of the table, which lasts
        self._next = 0  # number of a row
        self._turned_away: dict[str, int] = {}  # address -> when that was noted last

    def load(self, batch: Batch) -> None:
        """Read what an earlier run has decided last, if that is not in the stream yet."""
        for key, row in batch.scan(DECIDED_TABLE):
            self._rows[key] = decisions_of(row)
            self._next = int.from_bytes(key, "big") + 1

    @property
    def waiting_count(self) -> int:
        """Return how many decisions wait for the next transaction."""
        return len(self._free)

    @property
    def complete(self) -> bool:
        """Return whether the stream has all that was written."""
        return not self._rows and not self._staged

    def note(self, decision: Decision) -> None:
        """Take a decision in; it waits for the commit of what it is about, if that is known."""
        behalf = _BEHALF.get()
        if behalf is None:
            self._free.append(decision)
            return
        if behalf.doing:
            decision = decision._replace(effect=behalf.doing)
        if behalf.over:
            self._free.append(decision)
        else:
            behalf.decisions.append(decision)

    def turned_away(self, source: str, why: str, now_ms: int) -> bool:
        """Note who was not let in, of each address now and then; return whether that was one."""
        if now_ms - self._turned_away.get(source, -TURNED_AWAY_EACH_MS) < TURNED_AWAY_EACH_MS:
            return False
        if len(self._turned_away) >= TURNED_AWAY_SOURCES_MAX:
            since = now_ms - TURNED_AWAY_EACH_MS
            self._turned_away = {s: at for s, at in self._turned_away.items() if at > since}
            if len(self._turned_away) >= TURNED_AWAY_SOURCES_MAX:
                return False
        self._turned_away[source] = now_ms
        self._free.append(
            Decision(source, "connect", self.node, False, why, None, now_ms, "handshake")
        )
        return True

    def receipts(self, who: str) -> list[tuple[str, bytes]]:
        """Return who gave an agent to this node, and the receipts, as far as they are durable."""
        found: set[tuple[str, bytes]] = set(q(RECEIPTS, self._stream.db(), who))
        for decision in chain(*tuple(self._rows.values()), tuple(self._staged)):
            facts = dict(decision.more)
            if decision.who == who and decision.allowed and RECEIPT in facts:
                found.add((facts[FROM], facts[RECEIPT]))  # type: ignore[arg-type]  # they are what is noted
        return sorted(found)

    def release(self, decisions: list[Decision]) -> list[Decision]:
        """Let waiting decisions go with the next transaction, or the one that is being written; return them. Any thread may."""
        released = list(decisions)
        while decisions:
            self._free.append(decisions.pop(0))
        return released

    def take_back(self, decisions: list[Decision]) -> None:
        """Forget decisions that were released: the transaction has failed, and with it what they are about."""
        gone = set(map(id, decisions))
        self._staged = [one for one in self._staged if id(one) not in gone]
        waiting = [self._free.popleft() for _ in range(len(self._free))]
        self._free.extendleft(one for one in reversed(waiting) if id(one) not in gone)

    def stage(self, batch: Batch, *, brief: bool = False) -> None:
        """Write what waits, in the storage transaction given; the work of all others has been done.

        It is appended to the stream, with what is in the table; in a brief transaction it becomes a row of the table.
        """
        self._brief = brief
        while self._free:
            self._staged.append(self._free.popleft())
        if not brief:
            self._append(batch)
        elif self._staged:
            batch.put(DECIDED_TABLE, _row_key(self._next), row_of(self._staged))

    def _append(self, batch: Batch) -> None:
        decisions = [*chain(*self._rows.values()), *self._staged]
        if decisions:
            batch.transact(self._stream, map(self._facts, decisions))
        for key in self._rows:
            batch.delete(DECIDED_TABLE, key)

    def durable(self) -> None:
        """Note that what was staged last is durable."""
        if not self._brief:
            self._rows = {}
        elif self._staged:
            self._rows[_row_key(self._next)] = self._staged
            self._next += 1
        self._staged = []

    def _facts(self, decision: Decision) -> dict[Keyword, object]:
        """Return the facts of a decision as an entity map."""
        facts: dict[Keyword, object] = {
            _WHO: decision.who,
            _VERB: Keyword(decision.verb),
            _RESOURCE: decision.resource,
            _ALLOWED: decision.allowed,
            _AT: decision.at_ms,
            _NODE: self.node,
        }
        if decision.effect:
            facts[_EFFECT] = decision.effect
        if decision.reason:
            facts[_REASON] = decision.reason
        if decision.block is not None:
            facts[_BLOCK] = decision.block
        facts.update(decision.more)
        return facts


def _row_key(number: int) -> bytes:
    return number.to_bytes(8, "big")


def row_of(decisions: list[Decision]) -> bytes:
    """Return decisions as a row of the table."""
    return pack(tuple(map(tuple, decisions)))


def decisions_of(row: bytes) -> list[Decision]:
    """Return the decisions of a row."""
    decisions = unpack(row)
    assert isinstance(decisions, tuple), "as `row_of` wrote it"
    return [Decision(*decision) for decision in decisions]

"""What was decided, for and against: facts in the stream `audit`, committed with what they allowed.

Is:     decisions on their way into the stream, and which storage transaction takes which of them along.
Is not: deciding (`yind.authority`, `yind.admission`), nor reading the stream, which is one like every other.
Fits:   `yind.authority` notes; `yind.effects` and `yind.control` say on whose behalf; `yind.agents` commits.

What is decided on behalf of an agent waits with it for its next commit, which makes durable what the decision allowed: so
after a crash there is either both or neither, and what was undone is decided anew. What is decided on behalf of a request
is durable before its answer is sent. The rest goes with the next transaction, whoever's that is. A transaction that
fails leaves its decisions to the next one.
"""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar
from typing import NamedTuple

from datomstore.batch import Batch
from datomstore.datalog import q
from datomstore.streams import Stream
from datomstore.value import Keyword
from yind.limits import TURNED_AWAY_EACH_MS, TURNED_AWAY_SOURCES_MAX

_WHO, _VERB, _RESOURCE = Keyword("audit/who"), Keyword("audit/verb"), Keyword("audit/resource")
_ALLOWED, _AT, _NODE = Keyword("audit/allowed"), Keyword("audit/at-ms"), Keyword("audit/node")
_EFFECT, _REASON, _BLOCK = Keyword("audit/effect"), Keyword("audit/reason"), Keyword("audit/block")

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


class Audit:
    """The decisions of one node that are not durable yet."""

    def __init__(self, stream: Stream, node: str) -> None:
        self._stream = stream
        self._node = node
        self._free: deque[Decision] = deque()  # for the next transaction
        self._staged: list[Decision] = []  # in the one that is being written
        self._turned_away: dict[str, int] = {}  # address -> when that was noted last

    @property
    def waiting_count(self) -> int:
        """Return how many decisions wait for the next transaction."""
        return len(self._free)

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
            Decision(source, "connect", self._node, False, why, None, now_ms, "handshake")
        )
        return True

    def receipts(self, who: str) -> list[tuple[str, bytes]]:
        """Return who gave an agent to this node, and the receipts, as far as they are durable."""
        return sorted(q(RECEIPTS, self._stream.db(), who))

    def release(self, decisions: list[Decision]) -> None:
        """Let waiting decisions go with the next transaction, or the one that is being written. Any thread may."""
        while decisions:
            self._free.append(decisions.pop(0))

    def stage(self, batch: Batch) -> None:
        """Append what waits to the stream, in the storage transaction given; the work of all others has been done."""
        while self._free:
            self._staged.append(self._free.popleft())
        if self._staged:
            batch.transact(self._stream, map(self._facts, self._staged))

    def durable(self) -> None:
        """Note that what was staged last is durable."""
        self._staged.clear()

    def _facts(self, decision: Decision) -> dict[Keyword, object]:
        """Return the facts of a decision as an entity map."""
        facts: dict[Keyword, object] = {
            _WHO: decision.who,
            _VERB: Keyword(decision.verb),
            _RESOURCE: decision.resource,
            _ALLOWED: decision.allowed,
            _AT: decision.at_ms,
            _NODE: self._node,
        }
        if decision.effect:
            facts[_EFFECT] = decision.effect
        if decision.reason:
            facts[_REASON] = decision.reason
        if decision.block is not None:
            facts[_BLOCK] = decision.block
        facts.update(decision.more)
        return facts

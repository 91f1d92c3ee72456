"""Revocations: taken in, told to the other nodes, and the agents they concern paused.

Is:     the list of one node, as far as it changes while the node runs.
Is not: what a revocation says or whom it binds (`capabilities.revocation`), nor its way between nodes (`yind.gossip`).
Fits:   `yind.control` brings those of people and of nodes; `yind.authority` decides with the list.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import structlog
import trio

from capabilities.errors import TokenInvalid
from capabilities.keys import KEY_SIZE, PublicKey
from capabilities.limits import REVOCATIONS_MAX
from capabilities.revocation import (
    Revocation,
    RevocationSet,
    SignerRevocation,
    place_of,
    statement,
)
from datomstore.batch import Batch
from datomstore.storage import StorageError
from yind.agent import Agent, State
from yind.agents import Agents
from yind.audit import Behalf, Decision, doing
from yind.authority import FRESH, Authority
from yind.limits import (
    ENDED_SWEEP_S,
    REVOCATIONS_LOOK_S,
    REVOCATIONS_NODE_MAX,
    REVOCATIONS_PERSON_MAX,
    REVOCATIONS_SHOWN_MAX,
)

TABLE = "revoked"  # place -> who told of it, and the statement
_OWN = bytes(KEY_SIZE)  # told by nobody
_BEFORE = ("authority", b"revocations")  # where earlier releases kept the whole list

Statement = Revocation | SignerRevocation

_log = structlog.get_logger()


class Revocations:
    """The list of one node."""

    topic = "revocation"

    def __init__(self, *, agents: Agents, authority: Authority) -> None:
        self._agents = agents
        self._authority = authority
        self._noted: dict[bytes, list[Decision]] = {}  # by place: that the list has grown
        self._unwritten: dict[bytes, Statement | None] = {}  # by place; None for what was dropped
        self._writing = trio.Lock()
        self._teller: dict[bytes, bytes] = {}  # place -> first key of who told of what is no root's
        self._told_by: Counter[bytes] = Counter()  # how many
        self._digest = (-1, b"")  # of which generation of the list
        self.told: Callable[[list[bytes]], None] = lambda items: None  # set by who tells the others

    def load(self, batch: Batch) -> None:
        """Read what earlier runs of this node knew."""
        for place, row in batch.scan(TABLE):
            self._load(statement(row[KEY_SIZE:]))
            self._count(place, row[:KEY_SIZE])
        if (earlier := batch.get(*_BEFORE)) is not None:
            for one in RevocationSet.decode(earlier).after(b"", REVOCATIONS_MAX):
                self._load(one)
                batch.put(TABLE, one.place, _OWN + one.to_bytes())
            batch.delete(*_BEFORE)
        self._forget()

    def _load(self, one: Statement) -> None:
        """Keep what has been kept before: for that there was room."""
        known = self._authority.revoked
        if isinstance(one, SignerRevocation):
            known.add_signer(one)
        else:
            known.add(one)

    # -- taking in --

    async def take(
        self,
        statements: Iterable[Statement],
        teller: PublicKey | None = None,
        most: int = REVOCATIONS_PERSON_MAX,
    ) -> tuple[int, int]:
        """Take statements in, tell the others what is new; return how many are new, and how many agents rely on what they revoke.

        Such agents are paused, or pause at the end of their slice, also when another node has told of the statements first.

        They count as the teller's, if there is one, but for those by roots; the list has at most so many of theirs.

        Raises:
            TokenInvalid: the list is full, or has that many.
        """
        said = list(statements)
        new = await self._take(said, teller, most)
        return new, sum(self._relies_on(agent, said) for agent in self._agents)

    async def take_bytes(self, items: Iterable[bytes], teller: PublicKey | None = None) -> int:
        """Take in what another node has told; return how many are new. What is known costs no check of its signature."""
        fresh = [item for item in items if not self._authority.revoked.knows(item)]
        return await self._take([statement(item) for item in fresh], teller, REVOCATIONS_NODE_MAX)

    async def _take(
        self, statements: Sequence[Statement], teller: PublicKey | None, most: int
    ) -> int:
        """Keep statements; return how many of them are durable only now. For what there is no room, the rest is kept."""
        who = _OWN if teller is None else self._authority.origin_of(teller).bytes
        refused: TokenInvalid | None = None
        for one in statements:
            try:
                self._keep(one, who, most)
            except TokenInvalid as error:
                refused = error
        new = sum(self._unwritten.get(one.place) == one for one in statements)
        await self._publish()
        if refused is not None:
            raise refused
        return new

    def _keep(self, one: Statement, who: bytes, most: int) -> None:
        if one.is_over(self._now_s()):
            return
        if self._authority.is_root(one.revoker):
            who = _OWN
        known = self._authority.revoked.has(one.place)
        if not known and who != _OWN and self._told_by[who] >= most:
            raise TokenInvalid(f"there are {most} revocations from here already", why="full")
        if self._authority.revoke(one):
            if not known:
                self._count(one.place, who)
            self._unwritten[one.place] = one
            with Behalf(doing(), self._noted.setdefault(one.place, [])):
                self._authority.note_revoked(one)

    def _count(self, place: bytes, who: bytes) -> None:
        """Note who told of a statement that is no root's."""
        if who != _OWN:
            self._teller[place] = who
            self._told_by[who] += 1

    async def _publish(self) -> None:
        """Write what is not durable yet, pause whom it concerns and tell the others; what cannot be written waits on."""
        async with self._writing:
            waiting = dict(self._unwritten)
            if not waiting:
                return
            await self._agents.write(partial(self._stage, waiting))
            for place, one in waiting.items():
                if self._unwritten[place] is one:
                    del self._unwritten[place]
        self.pause_revoked()
        if fresh := [one.to_bytes() for one in waiting.values() if one is not None]:
            self.told(fresh)

    def _stage(self, waiting: Mapping[bytes, Statement | None], batch: Batch) -> None:
        for place, one in waiting.items():
            if one is None:
                batch.delete(TABLE, place)
            else:
                batch.put(TABLE, place, self._teller.get(place, _OWN) + one.to_bytes())
            self._agents.release(self._noted.pop(place, []))

    def _relies_on(self, agent: Agent, revoked: Iterable[Statement]) -> bool:
        return not agent.ended and any(
            self._authority.concerns(one, chain)
            for chain in self._authority.chains_of(agent)
            for one in revoked
        )

    # -- bounded staleness, and the end of statements --

    async def run(
        self,
        ready: Callable[[Agent], None],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Pause agents while the list is too old, let them go on when it is not; drop what is over. Until cancelled."""
        self.pause_revoked()  # whom a crash kept from it
        task_status.started()
        swept = -ENDED_SWEEP_S
        while True:
            if trio.current_time() - swept >= ENDED_SWEEP_S:
                swept = trio.current_time()
                self._forget()
            await self._publish_or_log()
            if self._authority.is_stale():
                self._pause_all()
            else:
                await self._go_on(ready)
            await trio.sleep(REVOCATIONS_LOOK_S)

    def _forget(self) -> None:
        for place in self._authority.forget(self._now_s()):
            self._unwritten[place] = None
            if (who := self._teller.pop(place, None)) is not None:
                self._told_by[who] -= 1

    async def _publish_or_log(self) -> None:
        try:
            await self._publish()
        except StorageError as error:
            _log.error("revocations cannot be saved", why=str(error))

    def _now_s(self) -> int:
        return self._agents.clock.now_ms() // 1000

    def _pause_all(self) -> None:
        for agent in self._agents:
            goes_on = agent.record.state in (State.READY, State.WAITING) and agent.requested is None
            if goes_on and agent.record.tokens:
                agent.ask_to_stop(State.PAUSED, f"waits for {FRESH}", FRESH)

    async def _go_on(self, ready: Callable[[Agent], None]) -> None:
        """Let agents go on that waited for nothing but a fresh list."""
        for agent in self._agents:
            paused = agent.record.state is State.PAUSED and agent.stands  # which has been written
            if paused and agent.record.denied_right == FRESH:
                await self._agents.wake(agent)
                ready(agent)

    def pause_revoked(self) -> None:
        """Ask agents that hold a revoked token to pause at the end of their slice."""
        for agent in self._agents:
            if not agent.ended and agent.record.state is not State.PAUSED:
                self._authority.stop_if_revoked(agent)

    # -- what others ask --

    def digest(self) -> bytes:
        """Return what is equal for equal lists."""
        revoked = self._authority.revoked
        if self._digest[0] != revoked.generation:
            digest = hashlib.sha256(revoked.encode()).digest()
            self._digest = (revoked.generation, digest)
        return self._digest[1]

    def listed(self, after: bytes) -> tuple[bytes, ...]:
        """Return the next statements of the list, in its order, as bytes."""
        later = self._authority.revoked.after(after, REVOCATIONS_SHOWN_MAX)
        return tuple(one.to_bytes() for one in later)

    def place(self, item: bytes) -> bytes:
        """Return where a statement stands in that order. Raises TokenInvalid."""
        return place_of(item)

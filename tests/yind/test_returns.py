"""What is left of budgets goes back to each node on its own, until that node has answered for good."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from capabilities.caveats import Caveats, Resource, Rights, Verb
from capabilities.custody import hand_on
from capabilities.keys import PrivateKey, PublicKey
from capabilities.limits import REVOCATION_SKEW_S
from capabilities.tokens import mint
from datomstore.batch import Batch
from datomstore.storage import StorageError
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Streams
from datomstore.value import Map
from protocol.errors import Busy, RemoteError, Unreachable
from yind.agent import Agent
from yind.agents import RETURN_TABLE
from yind.audit import Audit
from yind.authority import Authority
from yind.clock import System
from yind.estates import NOTHING, Reliance, Return
from yind.limits import RETURN_RETRY_S
from yind.returns import Returns

ROOT, ME = PrivateKey.generate(), PrivateKey.generate()
QUIET, GOOD = PrivateKey.generate().public, PrivateKey.generate().public
NOW_S = 1_800_000_000


def left(to: PublicKey, until_s: int = NOW_S) -> Return:
    """Return what is left of a budget that a node gave to this one."""
    token = mint(ROOT, to, Caveats(exp=until_s, rights=(Rights(Verb.READ, "**"),)))
    return Return(to.bytes, ME.public.bytes, token.ids[-1], token.to_bytes(), {2: 1})


class Node:
    """The parts of a node that bring returns: its storage, its clock, and a network of which the test says how it answers."""

    def __init__(self, answer: Callable[[Node, PublicKey], Any], *returns: Return) -> None:
        self.answer = answer
        self.heard: list[tuple[PublicKey, float]] = []
        self.streams = Streams(MemoryStorage(), now_ms=lambda: NOW_S * 1000)
        self.returns_wait: Callable[[], None] = lambda: None
        with self.streams.batch() as batch:
            for one in returns:
                batch.put(RETURN_TABLE, one.tip, msgspec.msgpack.encode(one))
        self.authority = Authority(
            roots=frozenset({ROOT.public}),
            key=ME,
            clock=System(lambda: NOW_S * 10**9),
            audit=Audit(self.streams.create("audit"), "me"),
        )

    async def write(self, stage: Callable[[Batch], None]) -> None:
        await trio.lowlevel.checkpoint()
        with self.streams.batch() as batch:
            stage(batch)

    def name_of(self, key: PublicKey) -> str:
        return key.text

    async def channel(self, name: str) -> Channel:
        await trio.lowlevel.checkpoint()
        return Channel(self)

    def waiting(self) -> int:
        with self.streams.storage.transaction(write=False) as storage:
            return len(list(storage.scan(RETURN_TABLE)))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        parts: Any = self  # as agents and as peers
        async with trio.open_nursery() as nursery:
            await nursery.start(Returns(agents=parts, authority=self.authority, peers=parts).run)
            yield
            nursery.cancel_scope.cancel()


class Nobody:
    """No agents."""

    def ended(self, agents: Iterable[bytes]) -> list[Agent]:
        return []

    def is_here(self, agent: bytes) -> bool:
        return False

    def is_gone(self, agent: bytes) -> bool:
        return True

    def relied_on(self, agent: bytes, but: Agent | None) -> Reliance:
        return NOTHING


class Channel:
    """A connection to any node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def request(self, verb: str, body: Map) -> Map:
        to = PublicKey(msgspec.msgpack.decode(body["return"], type=Return).to)
        self._node.heard.append((to, trio.current_time()))
        await trio.lowlevel.checkpoint()
        await self._node.answer(self._node, to)
        return Map()


async def quiet_is_quiet(node: Node, to: PublicKey) -> None:
    if to == QUIET:
        await trio.sleep_forever()


async def test_a_node_that_does_not_answer_keeps_no_other_waiting(
    autojump_clock: trio.testing.MockClock,
) -> None:
    many = [left(QUIET, NOW_S + number) for number in range(100)]
    node = Node(quiet_is_quiet, *many, left(GOOD))
    begun = trio.current_time()
    async with node.running():
        await trio.sleep(1)
        assert [at - begun for to, at in node.heard if to == GOOD] == [0]
        assert node.waiting() == 100
        await trio.sleep(4 * RETURN_RETRY_S)
    assert 2 <= len([to for to, _ in node.heard if to == QUIET]) <= 5, "one a round"


async def unreachable(node: Node, to: PublicKey) -> None:
    raise Unreachable("nobody there")


async def test_what_cannot_come_back_any_more_is_dropped(
    autojump_clock: trio.testing.MockClock,
) -> None:
    over = left(QUIET, NOW_S - REVOCATION_SKEW_S - 1)
    node = Node(unreachable, over, left(QUIET, NOW_S - REVOCATION_SKEW_S))
    async with node.running():
        await trio.sleep(1)
        assert node.waiting() == 1
        await trio.sleep(RETURN_RETRY_S)
        assert node.waiting() == 1


@pytest.mark.parametrize(
    ("code", "again"),
    [
        ("wire/busy", True),
        ("node/internal", True),
        ("token/refused", False),
        ("token/bad-root", False),
        ("request/invalid", False),
    ],
)
async def test_a_return_is_repeated_until_it_is_answered_for_good(
    autojump_clock: trio.testing.MockClock, code: str, again: bool
) -> None:
    async def once(node: Node, to: PublicKey) -> None:
        if len(node.heard) == 1:
            raise RemoteError(code, "not now")

    node = Node(once, left(GOOD))
    async with node.running():
        await trio.sleep(1)
        assert node.waiting() == again
        await trio.sleep(RETURN_RETRY_S)
        assert node.waiting() == 0
    assert len(node.heard) == 1 + again


async def test_more_that_goes_back_with_a_block_meanwhile_is_told_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    more = msgspec.structs.replace(left(GOOD), back={2: 5})

    async def grows(node: Node, to: PublicKey) -> None:
        if len(node.heard) == 1:
            with node.streams.batch() as batch:
                batch.put(RETURN_TABLE, more.tip, msgspec.msgpack.encode(more))

    node = Node(grows, msgspec.structs.replace(more, back={2: 1}))
    async with node.running():
        await trio.sleep(1 + RETURN_RETRY_S)
        assert (len(node.heard), node.waiting()) == (2, 0)


async def test_one_return_is_taken_once_at_a_time() -> None:
    """Else the second would be told that it is taken, when the first can still come to nothing."""
    node = Node(unreachable)
    budget = Caveats(exp=NOW_S, rights=(Rights(Verb.READ, "**"),), budget={Resource.ROWS: 10})
    token = mint(ROOT, ME.public, budget)
    gone = hand_on(token, ME, GOOD, node.authority._meter, payer=b"agent")
    verified = node.authority.verify_chain(token.to_bytes())
    one = Return(ME.public.bytes, GOOD.bytes, gone.ids[-1], gone.to_bytes(), {Resource.ROWS: 10})

    def write() -> None:
        assert node.authority.left(verified) == [{Resource.ROWS: 10}]
        with pytest.raises(Busy), node.authority.estates.coming_home(one, GOOD, Nobody()):
            pytest.fail("it is being written")
        raise StorageError("no room")

    with pytest.raises(StorageError), node.authority.estates.coming_home(one, GOOD, Nobody()):
        write()
    assert node.authority.left(verified) == [{Resource.ROWS: 0}]
    for left in (10, 10):
        with node.authority.estates.coming_home(one, GOOD, Nobody()):
            node.authority.estates.settle(one)
        assert node.authority.left(verified) == [{Resource.ROWS: left}]

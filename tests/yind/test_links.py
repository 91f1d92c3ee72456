"""Two nodes hold one connection, make it again when it breaks, and do not ask a silent node too often."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from fleet import Fleet, fleet

from capabilities.certificate import make_certificate
from capabilities.keys import PrivateKey
from capabilities.statements import Record, Succession, sign
from cli.cluster import add_node, create, now_s
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Streams
from datomstore.value import Map
from protocol.errors import ProtocolError, RemoteError, Unreachable
from protocol.transport import Channel, connect
from yind.audit import Behalf, doing
from yind.clock import System
from yind.identity import Identity
from yind.limits import DIAL_AGAIN_S
from yind.members import Members
from yind.node import Node
from yind.peers import Peers


def link_of(node: Node, other: str) -> tuple[object, bytes] | None:
    link = node.peers._links.get(other)
    return None if link is None else (link.channel, link.opener.bytes)


async def linked(nodes: Fleet, *pairs: tuple[str, str]) -> None:
    """Return when nodes have met, whoever dialled."""
    with trio.fail_after(10):
        for one, other in pairs:
            while link_of(nodes.nodes[one], other) is None:
                await trio.testing.wait_all_tasks_blocked(0.01)


async def test_nodes_meet_without_being_asked_to(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        names = list(nodes.nodes)
        await linked(nodes, *((a, b) for a in names for b in names if a != b))


async def test_what_comes_over_a_connection_is_not_decided_on_behalf_of_who_wanted_it(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha = nodes.nodes["alpha"]
        await linked(nodes, ("alpha", "beta"), ("beta", "alpha"))
        heard: list[str] = []
        alpha.peers.met = lambda node: heard.append(doing())
        alpha.peers._links.clear()  # as if the two had not met
        with Behalf("hop!", []):
            await alpha.peers._dial("beta")
        assert heard == [""]


async def test_of_two_connections_both_keep_that_of_the_smaller_key(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha, beta = nodes.nodes["alpha"], nodes.nodes["beta"]
        await linked(nodes, ("alpha", "beta"), ("beta", "alpha"))
        for node, other in ((alpha, "beta"), (beta, "alpha")):
            await node.peers._dial(other)  # as if each had not heard of the other's
        keys = sorted(nodes.cluster.node(name).key.bytes for name in nodes.nodes)
        with trio.fail_after(10):
            for node, other in ((alpha, "beta"), (beta, "alpha")):
                while len(node.peers._open) > 1:
                    await trio.testing.wait_all_tasks_blocked(0.05)
                found = link_of(node, other)
                assert found is not None
                assert found[1] == keys[0]
        assert await nodes.result("alpha", '(hop! "beta")', nodes.token()) == '"beta"'


async def test_a_connection_that_broke_is_made_again(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await linked(nodes, ("alpha", "beta"), ("beta", "alpha"))
        channel = await nodes.nodes["alpha"].peers.channel("beta")
        channel.close("as if a cable broke")
        await linked(nodes, ("alpha", "beta"), ("beta", "alpha"))
        await nodes.crash("beta")
        with trio.fail_after(5):
            while link_of(nodes.nodes["alpha"], "beta") is not None:
                await trio.testing.wait_all_tasks_blocked(0.01)
        await nodes.start("beta")
        await linked(nodes, ("alpha", "beta"), ("beta", "alpha"))


async def test_who_waits_for_an_answer_takes_the_connection_that_the_other_side_makes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = connect

    @asynccontextmanager
    async def unanswered(address: str, *, name: str, **words: Any) -> AsyncIterator[Channel]:
        if name == "alpha":
            await trio.sleep_forever()
        async with real(address, name=name, **words) as channel:
            yield channel

    async with fleet(tmp_path, "alpha", "beta") as nodes, trio.open_nursery() as nursery:
        await linked(nodes, ("alpha", "beta"), ("beta", "alpha"))
        monkeypatch.setattr("yind.peers.connect", unanswered)
        await nodes.crash("beta")
        peers, found = nodes.nodes["alpha"].peers, []
        with trio.fail_after(5):
            while link_of(nodes.nodes["alpha"], "beta") is not None:
                await trio.testing.wait_all_tasks_blocked(0.01)

        async def want() -> None:
            found.append(await peers.channel("beta"))

        nursery.start_soon(want)
        nursery.start_soon(want)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert not found
        await nodes.start("beta")
        with trio.fail_after(5):
            while len(found) < 2:
                await trio.testing.wait_all_tasks_blocked(0.01)
        assert {*found} == {peers.open_channel("beta")}


async def test_many_that_want_a_silent_node_ask_it_once(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await nodes.crash("beta")
        peers = nodes.nodes["alpha"].peers
        with trio.fail_after(5):
            while link_of(nodes.nodes["alpha"], "beta") is not None:
                await trio.testing.wait_all_tasks_blocked(0.01)
        with pytest.raises(Unreachable):
            await peers.channel("beta")
        failures: list[ProtocolError] = []

        async def want() -> None:
            try:
                await peers.channel("beta")
            except ProtocolError as error:
                failures.append(error)

        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(want)
        # An attempt's failure has a cause; one that is remembered has none.
        attempts = sum(error.__cause__ is not None for error in failures)
        assert len(failures) == 100
        assert attempts <= 1 + (trio.current_time() - began) / DIAL_AGAIN_S


class Waits(System):
    """The system's clock, whose chance is always the most; counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def random_double(self) -> float:
        self.count += 1
        return 1.0


async def nothing(*_: object) -> Map:
    return Map()


@pytest.fixture
def patient_clock() -> trio.testing.MockClock:
    """Virtual time that waits a little for the system's answers, which are no tasks."""
    return trio.testing.MockClock(autojump_threshold=0.05)


async def test_a_node_that_does_not_answer_is_dialled_ever_less_often(
    tmp_path: Path, patient_clock: trio.testing.MockClock
) -> None:
    del patient_clock
    cluster = create(tmp_path / "cluster", name="test", now_s=now_s())
    for name in ("alpha", "beta"):
        add_node(cluster, name, listen="127.0.0.1:0")  # nobody listens there
    folder, clock = cluster.node_folder("alpha"), Waits()
    streams = Streams(MemoryStorage(), now_ms=clock.now_ms)
    members = Members(
        cluster.ledger,
        stream=streams.open("cluster"),
        clock=clock,
        write=nothing,  # type: ignore[arg-type]
    )
    peers = Peers(
        name="alpha",
        identity=Identity(folder / "node.key", folder / "node.crt"),
        members=members,
        clock=clock,
        on_request=nothing,
        on_stranger=nothing,  # type: ignore[arg-type]
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(peers.run)
        await trio.sleep(12.75)
        assert clock.count == 8  # 0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 3.2 + 6.4 = 12.7
        await trio.sleep(50)
        assert clock.count == 13  # every 10 s
        nursery.cancel_scope.cancel()


async def test_what_is_held_for_a_peer_is_counted_whoever_connected(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await linked(nodes, ("alpha", "beta"), ("beta", "alpha"))
        for node in nodes.nodes.values():
            node.peers._holdings.of_peer = 0
        for one, other in (("alpha", "beta"), ("beta", "alpha")):
            channel = nodes.nodes[one].peers.open_channel(other)
            assert channel is not None
            with pytest.raises(RemoteError, match="wire/busy"):
                await channel.request("node.info")


async def test_what_one_node_does_to_who_connects_keeps_nobody_from_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await linked(nodes, ("alpha", "beta"))
        await nodes.crash("beta")

        def fails(*_: object, **__: object) -> None:
            raise ValueError("too many digits")

        monkeypatch.setattr("yind.peers.connect", fails)
        peers = nodes.nodes["alpha"].peers
        with trio.fail_after(5):
            while link_of(nodes.nodes["alpha"], "beta") is not None:
                await trio.testing.wait_all_tasks_blocked(0.01)
        with pytest.raises(Unreachable):
            await peers.channel("beta")
        await trio.sleep(DIAL_AGAIN_S)
        monkeypatch.undo()
        await nodes.start("beta")
        await linked(nodes, ("alpha", "beta"))


async def test_a_statement_that_cannot_be_read_any_more_keeps_no_node_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        op, now, new = nodes.cluster.operator_key, nodes.now_s(), PrivateKey.generate()
        certificate = make_certificate(new, "QQQQ").replace(b"QQQQ", b"\xff\xfe\xff\xfe")
        with monkeypatch.context() as lenient:  # as an earlier release
            lenient.setattr("capabilities.statements.public_key_of", lambda der: new.public)
            step = Succession(op.public, new.public, now, now + 1_000, 1, certificate)
            await nodes.nodes["alpha"].members.take([sign(step, op, new)])
        await linked(nodes, ("alpha", "beta"), ("beta", "alpha"))
        await nodes.stop("alpha")
        await nodes.start("alpha")
        await linked(nodes, ("alpha", "beta"), ("beta", "alpha"))


async def test_a_part_of_the_node_that_fails_to_follow_keeps_no_other_from_it(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        members = nodes.nodes["alpha"].members
        heard: list[object] = []

        def fails(membership: object) -> None:
            if heard:
                raise ValueError("nobody expected this")

        members.listen(fails)
        members.listen(heard.append)
        beta = nodes.cluster.node("beta")
        record = Record(
            "beta", "node", beta.key, beta.certificate, (), 9, nodes.now_s(), removed=True
        )
        await members.take([sign(record, nodes.cluster.root_key)])
        assert len(heard) == 2

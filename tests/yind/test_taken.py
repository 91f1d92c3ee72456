"""An agent runs where it has come to before that is on the disk there: a crash until then undoes all that it did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing
from dishonest import audit
from fleet import Fleet, deaf, fleet, until
from writing import NO_ROOM, Writing

from capabilities.caveats import Resource
from datomstore.batch import Batch
from datomstore.storage import StorageError
from datomstore.value import Keyword, Map, Set
from protocol import handoff
from protocol.messages import Go, Own
from yind.agent import Agent, AgentRecord, State, decode_record
from yind.agents import AGENT_TABLE
from yind.arrivals import Arrivals
from yind.cesk import Machine
from yind.departures import LEAVING_TABLE, RECORD_TABLE, Departures
from yind.node import Node

HOP = """
(transact! "done" [{:at "before"}])
(try (hop! "beta") (catch Exception e nil))
(transact! "done" [{:at (here)}])
(here)
"""
DONE = "[:find ?at :where [_ :at ?at]]"


def arrivals_of(node: Node) -> Arrivals:
    return node.migration._arrivals


def departures_of(node: Node) -> Departures:
    return node.migration._departures


def asleep(node: Node) -> None:
    """Let a node give no turn to who arrives, so that nothing of it becomes durable."""
    arrivals_of(node)._ready = lambda agent: None


@pytest.fixture
def never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no node write that somebody has arrived but with a commit of its agent."""
    monkeypatch.setattr("yind.arrivals.COMMIT_LATER_S", 1000)


def kept(node: Node, agent: bytes) -> tuple[list[type], AgentRecord | None]:
    """Return what is on a node's disk of an agent: the kinds of its records, and its row."""
    with node.streams.batch() as batch:
        kinds = [type(handoff.decode(data)) for _, data in batch.scan(RECORD_TABLE, agent)]
        row = batch.get(AGENT_TABLE, agent)
        return kinds, None if row is None else decode_record(row)


async def taken(nodes: Fleet) -> bytes:
    """Return an agent that beta has taken, which nothing on its disk tells of."""
    beta = nodes.nodes["beta"]
    asleep(beta)
    agent = await nodes.spawn("alpha", HOP, nodes.token())
    await until(lambda: beta.agents.get(agent) is not None)
    assert kept(beta, agent) == ([], None)
    return agent


async def places(nodes: Fleet) -> list[str]:
    """Return what the agent has done, at all nodes."""
    found: list[str] = []
    for name in nodes.nodes:
        answer = await nodes.ask(name, "query", stream="done", query=DONE)
        found += [at for (at,) in answer["value"]]
    return sorted(found)


async def ends_once(nodes: Fleet, agent: bytes) -> None:
    """Return when the agent is at its end at beta; it did all once."""
    with trio.fail_after(30):
        place, row = await nodes.settled("alpha", agent)
    assert (place, row["state"], row["result"]) == ("beta", "done", '"beta"')
    assert await places(nodes) == ["before", "beta"]
    assert kept(nodes.nodes["beta"], agent)[0] == [handoff.Owned]


@pytest.mark.usefixtures("never_written")
async def test_an_agent_that_ran_before_that_was_durable_is_given_again(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await taken(nodes)
        assert kept(nodes.nodes["alpha"], agent)[0] == [handoff.Given]  # which heard no Own
        await nodes.crash("beta")
        await nodes.start("beta")
        await ends_once(nodes, agent)


@pytest.mark.usefixtures("never_written")
async def test_a_source_that_was_restarted_gives_it_again_too(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await taken(nodes)
        await nodes.crash("beta")
        await nodes.crash("alpha")
        beta = await nodes.start("beta")
        assert (beta.agents.get(agent), arrivals_of(beta).knows_of(agent)) == (None, False)
        await nodes.start("alpha")
        await ends_once(nodes, agent)


async def test_what_was_held_and_not_taken_is_given_again(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        deaf(nodes.nodes["beta"], Go)
        agent = await nodes.spawn("alpha", HOP, nodes.token())
        target = arrivals_of(nodes.nodes["beta"])._target
        await until(lambda: target(agent).held is not None)
        await nodes.crash("beta")
        await nodes.start("beta")
        await ends_once(nodes, agent)


async def test_what_its_source_had_not_given_for_certain_begins_anew(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        departures: Departures = nodes.nodes["alpha"].migration._departures
        departures._persist = lambda *_, **__: None  # type: ignore[method-assign]
        agent = await nodes.spawn("alpha", HOP, nodes.token())
        target = arrivals_of(nodes.nodes["beta"])._target
        await until(lambda: target(agent).held is not None)
        await nodes.crash("alpha")
        await nodes.start("alpha")  # where the agent hops once more
        await ends_once(nodes, agent)


async def test_an_agent_that_does_nothing_yet_is_written_down_as_it_came(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        asleep(nodes.nodes["beta"])
        agent = await nodes.spawn("alpha", HOP, nodes.token())
        with trio.fail_after(30):
            await nodes.until("alpha", agent, "moved")
        kinds, row = kept(nodes.nodes["beta"], agent)
        assert kinds == [handoff.Owned]
        assert row is not None
        assert (row.state, row.epoch, bool(row.image)) == (State.READY, 1, True)
        await nodes.crash("alpha")  # it is not needed any more
        await nodes.crash("beta")
        await nodes.start("beta")
        with trio.fail_after(30):
            _, found = await nodes.settled("beta", agent)
        assert found["result"] == '"beta"'


BACK = """
(hop! "beta")
(transact! "done" [{:at "beta"}])
(hop! "alpha")
(transact! "done" [{:at "alpha"}])
(here)
"""


async def test_what_is_written_down_of_who_came_back_has_its_budget(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        budget = {Resource.FUEL: 100_000, Resource.MEM: 10_000_000}
        beta = nodes.nodes["beta"]
        goes = deaf(beta, Go)
        agent = await nodes.spawn("alpha", BACK, nodes.token(budget=budget))
        await until(lambda: goes)
        asleep(nodes.nodes["alpha"])  # from when it is away
        goes[0]()
        await until(lambda: beta.agents.get(agent) is not None)
        with trio.fail_after(30):
            await nodes.until("beta", agent, "moved")
        assert handoff.Owned in kept(nodes.nodes["alpha"], agent)[0]
        await nodes.crash("alpha")
        await nodes.start("alpha")
        with trio.fail_after(30):
            place, row = await nodes.settled("alpha", agent)
        assert (place, row["state"], row["result"]) == ("alpha", "done", '"alpha"'), row


@pytest.mark.parametrize("gone", [False, True])
async def test_who_is_back_before_its_node_has_written_that_it_had_gone_outlives_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, gone: bool
) -> None:
    monkeypatch.setattr("yind.arrivals.COMMIT_LATER_S", 1000)
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha = nodes.nodes["alpha"]
        owns, goes = deaf(alpha, Own), deaf(alpha, Go)
        agent = await nodes.spawn("alpha", BACK, nodes.token())
        target = arrivals_of(alpha)._target
        await until(lambda: target(agent).held is not None)  # it is offered back
        await until(lambda: goes and owns)
        asleep(alpha)
        if gone:
            owns[0]()
        goes[0]()
        assert alpha.agents.get(agent).record.epoch == 2  # type: ignore[union-attr]
        await alpha.agents.write(lambda batch: None)
        source = handoff.Gone if gone else handoff.Given
        records, row = kept(alpha, agent)
        assert records == [source]  # nothing of who came back
        assert row is not None
        assert not gone or row.state is State.MOVED
        await nodes.crash("alpha")
        await nodes.start("alpha")
        with trio.fail_after(30):
            place, end = await nodes.settled("beta", agent)
        assert (place, end["state"], end["result"]) == ("alpha", "done", '"alpha"'), end
        assert await places(nodes) == ["alpha", "beta"]


@pytest.mark.parametrize("heard", [False, True])
async def test_of_who_comes_back_no_offer_is_left_and_what_its_hop_took_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, heard: bool
) -> None:
    monkeypatch.setattr("yind.commits.COMMIT_LATER_S", 30)  # that it has gone waits to be written
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha = nodes.nodes["alpha"]
        if not heard:
            deaf(alpha, Own)
        agent = await nodes.spawn("alpha", BACK, nodes.token())
        await until(lambda: nodes.nodes["beta"].agents.get(agent) is not None)
        with trio.fail_after(30):
            place, row = await nodes.settled("beta", agent)
        assert (place, row["result"]) == ("alpha", '"alpha"')
        with alpha.streams.batch() as batch:
            assert batch.get(LEAVING_TABLE, agent) is None
        (hop,) = (await nodes.ask("alpha", "agent.hops", id=agent.hex()))["value"]
        assert (hop["epoch"], hop["from"], hop["to"]) == (1, "alpha", "beta")
        assert hop["code_bytes"] > 0


# -- what is written of an arrival --


async def test_a_commit_that_fails_is_no_arrival(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        beta = nodes.nodes["beta"]
        commits, failed = beta.agents._commits, 0
        last = commits._last

        def full_once(batch: Batch, *, brief: bool) -> None:
            nonlocal failed
            last(batch, brief=brief)
            if not failed and any(agent.arrival is not None for agent in beta.agents):
                failed += 1
                raise StorageError(NO_ROOM)

        commits._last = full_once
        agent = await nodes.spawn("alpha", HOP, nodes.token())
        with trio.fail_after(30):
            await nodes.until("alpha", agent, "moved")
        assert failed == 1
        kinds, row = kept(beta, agent)
        assert kinds == [handoff.Owned]
        assert row is not None
        await nodes.crash("beta")
        await nodes.start("beta")
        await ends_once(nodes, agent)


@pytest.mark.parametrize("then", ["commit", "write"])
async def test_of_an_arrival_that_was_not_written_the_next_transaction_has_all_or_nothing(
    tmp_path: Path, then: str
) -> None:
    """A failed arrival ends the node, but what waits behind it is written before that."""
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        beta = nodes.nodes["beta"]
        waiting: list[Agent] = []
        arrivals_of(beta)._ready = waiting.append
        nodes.expect_end("beta")

        def there() -> bool:
            return any(one.arrival is not None and one.arrival.staged for one in beta.agents)

        writing = Writing(beta)
        gate = writing.gate(there)
        writing.fail(there)
        agent = await nodes.spawn("alpha", HOP, nodes.token())
        await gate.reached.wait()
        if then == "commit":
            beta.scheduler.ready(waiting[0])
        else:
            beta.agents.submit(lambda batch: None, lambda error: None)
        await until(lambda: bool(beta.agents._commits._waiting))
        gate.open()
        with trio.fail_after(30):
            await nodes.ended("beta")
        await nodes.crash("alpha")  # which would offer it once more
        beta = await nodes.start("beta")
        kinds, row = kept(beta, agent)
        came = [one for one in await audit(nodes, "beta") if one["verb"] is Keyword("arrive")]
        assert (kinds == [handoff.Owned]) is (row is not None) is (then == "commit")
        assert len(came) == (then == "commit")
        await nodes.start("alpha")
        await ends_once(nodes, agent)


@pytest.mark.usefixtures("never_written")
async def test_own_is_told_by_the_transaction_that_has_the_arrival(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await taken(nodes)
        beta = nodes.nodes["beta"]
        found = beta.agents.get(agent)
        assert found is not None
        arrival, told = found.arrival, list[str]()
        assert arrival is not None
        arrival.lasts = lambda: told.append("lasts")
        arrival.staged = True  # by a transaction that is under way
        beta.agents.submit_arrival(found, lambda error: told.append("skipped"))
        await beta.agents.write(lambda batch: None)
        assert (told, kept(beta, agent)) == (["skipped"], ([], None))


async def test_an_arrival_whose_commit_failed_meanwhile_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agents, tries = nodes.nodes["beta"].agents, 0
        real = agents.submit_arrival

        def submit(found: Agent, done: Callable[[BaseException | None], None]) -> None:
            nonlocal tries
            tries += 1
            assert found.arrival is not None
            found.arrival.staged = tries == 1  # a commit of its own is under way, and then fails
            real(found, done)

        monkeypatch.setattr(agents, "submit_arrival", submit)
        asleep(nodes.nodes["beta"])
        agent = await nodes.spawn("alpha", HOP, nodes.token())
        with trio.fail_after(30):
            await nodes.until("alpha", agent, "moved")
        assert tries == 2
        assert kept(nodes.nodes["beta"], agent)[0] == [handoff.Owned]


@pytest.mark.usefixtures("never_written")
async def test_what_came_does_not_replace_what_has_been_committed_since(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await taken(nodes)
        beta = nodes.nodes["beta"]
        found = beta.agents.get(agent)
        assert found is not None
        arrival = found.arrival
        found.record.log.append("has gone on")
        await beta.agents.commit(found)
        found.arrival = arrival  # as before the event loop hears of the commit
        beta.agents.submit_arrival(found, lambda error: None)
        await beta.agents.write(lambda batch: None)
        _, row = kept(beta, agent)
        assert row is not None
        assert row.log == ["has gone on"]


@pytest.mark.usefixtures("never_written")
async def test_own_goes_over_the_connection_that_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.departures.HAND_OFF_RETRY_S", 1000)  # nobody asks again
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await taken(nodes)
        beta = nodes.nodes["beta"]
        before = beta.peers.open_channel("alpha")
        assert before is not None
        before.close()
        await until(lambda: beta.peers.open_channel("alpha") not in (None, before))
        found = beta.agents.get(agent)
        assert found is not None
        await beta.agents.commit(found)
        with trio.fail_after(30):
            await nodes.until("alpha", agent, "moved")


SPENDING = """
(hop! "beta")
(reduce + (range 2000))
(q '[:find ?at :where [_ :at ?at]] "done")
(here)
"""
FUEL = 1_000_000
AT = Keyword("at")


@pytest.mark.parametrize("cut", [False, True])
async def test_what_is_spent_before_the_arrival_is_written_is_spent_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, cut: bool
) -> None:
    monkeypatch.setattr("yind.arrivals.COMMIT_LATER_S", 0)
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        effects = nodes.nodes["beta"].effects
        asked, go_on, real = trio.Event(), trio.Event(), effects._handlers["q"]

        async def slow(agent: Agent, machine: Machine, arguments: tuple[object, ...]) -> None:
            asked.set()
            await go_on.wait()
            await real(agent, machine, arguments)

        effects._handlers["q"] = slow
        await nodes.ask("beta", "stream.transact", stream="done", data=(Map({AT: "x"}),))
        token = nodes.token(budget={Resource.FUEL: FUEL, Resource.MEM: 10_000_000})
        agent = await nodes.spawn("alpha", SPENDING, token)
        with trio.fail_after(30):
            await asked.wait()  # it has run, and done nothing that would be committed
            await nodes.until("alpha", agent, "moved")
        if cut:
            await nodes.crash("beta")
            await nodes.start("beta")
        go_on.set()
        with trio.fail_after(30):
            _, row = await nodes.settled("beta", agent)
        assert row["result"] == '"beta"'
        spent = [
            node.authority._meter._accounts[token.ids[0]].spent[Resource.FUEL]
            for node in nodes.nodes.values()
        ]
        assert sum(spent) == row["fuel_used"]


async def test_an_agent_that_comes_paused_has_arrived_where_nothing_is_kept(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await nodes.stop("beta")
        await nodes.start("beta", storage="memory")
        agent = await nodes.spawn("alpha", HOP, nodes.token(), paused=True)
        with trio.fail_after(30):
            await nodes.ask("alpha", "agent.migrate", id=agent.hex(), node="beta")
            await nodes.until("alpha", agent, "moved")
        found = nodes.nodes["beta"].agents.get(agent)
        assert found is not None
        assert (found.record.state, found.arrival) == (State.PAUSED, None)
        rows = (await nodes.ask("beta", "query", stream="audit", query=ARRIVED))["value"]
        assert [epoch for (epoch,) in rows] == [1]


ARRIVED = "[:find ?epoch :where [?e :audit/verb :arrive] [?e :audit/epoch ?epoch]]"
REFUSED = "[:find ?why :where [?e :audit/allowed false] [?e :audit/reason ?why]]"


@pytest.mark.usefixtures("never_written")
async def test_an_offer_that_comes_twice_before_its_arrival_lasts_is_no_old_image(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await taken(nodes)
        leaving = nodes.nodes["alpha"].migration._departures._under_way[agent]
        channel = nodes.nodes["alpha"].peers.open_channel("beta")
        assert channel is not None
        await channel.send(leaving.offer)
        await channel.request("node.info")  # what came before has been taken
        await nodes.nodes["beta"].agents.write(lambda batch: None)
        assert (await nodes.ask("beta", "query", stream="audit", query=REFUSED))["value"] == Set()

"""What an agent asks wrongly, or too much of, ends at most the agent; what the node does wrong for one pauses that one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from fleet import Fleet, fleet

import yind.agents
from capabilities.caveats import Resource, Verb
from datomstore.value import Map
from yind.agent import Agent, AgentRecord, encode_record
from yind.cesk import Machine
from yind.limits import EFFECT_FUEL_PART, EFFECT_PARTS_FREE, EFFECT_PARTS_MAX

CAUGHT = "(try {} (catch Exception e (ex-message e)))"
SHARED = "(reduce (fn [v _] [v v]) [1] (range {}))"  # 2 ** (n + 1) parts and as many, in n pairs
DEEP = "(reduce (fn [v _] [v]) [1] (range {}))"
SECRET = "the words of somebody else"
APPENDS = '(transact! "facts" [{:n 1}])'
COUNT = "[:find (count ?e) . :where [?e :n _]]"


class Fault(Exception):
    """What a node may have in it."""


async def _break(*arguments: object) -> None:
    raise Fault(SECRET)


def break_effect(nodes: Fleet, name: str) -> None:
    nodes.nodes["alpha"].effects._handlers[name] = _break


async def ended(nodes: Fleet, source: str, *tokens: Any, **fields: Any) -> Map:
    agent = await nodes.spawn("alpha", source, *tokens, **fields)
    with trio.fail_after(30):
        return (await nodes.settled("alpha", agent))[1]


# -- what an agent asks wrongly --


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('(q {:in true} "facts")', "q: what stands at :in is a vector"),
        ('(q {:find [1] :in 7} "facts")', "q: what stands at :in is a vector"),
        (f"(sleep {DEEP.format(6000)})", "sleep: a tuple that is too large to show"),
        (f"(hop! {DEEP.format(6000)})", "hop!: no node a tuple that is too large to show"),
        (f"(transact! {DEEP.format(6000)} [])", "a stream is named by a string, not by a tuple"),
        (f"(fork! {{:budget {{:rows {DEEP.format(6000)}}}}})", "fork!: :rows a tuple"),
        ("(sleep (apply * (repeat 5000 10N)))", "sleep: a int that is too large to show"),
        (f"(request-token {{{DEEP.format(6000)} 1}})", "request-token: "),
        (f"(log! {SHARED.format(18)})", f"log!: what it is given has more than {EFFECT_PARTS_MAX}"),
        (f"(finish! {SHARED.format(18)})", "finish!: what it is given has more than"),
        ('(log! (vec (repeat 300 (apply str (repeat 100000 "a")))))', "log!: what it is given has"),
    ],
)
async def test_what_an_agent_asks_wrongly_is_an_error_that_it_can_catch(
    tmp_path: Path, source: str, said: str
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        row = await ended(nodes, CAUGHT.format(source), nodes.token())
        assert row["state"] == "done", (row["reason"], row["fault"])
        assert said in row["result"]


async def test_a_failure_is_told_however_deep_its_reason_is(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        row = await ended(nodes, f"(finish! 1 {DEEP.format(6000)})")
        assert (row["state"], row["reason"]) == ("failed", "a tuple that is too large to show")


@pytest.mark.parametrize(
    "source",
    [
        f'(transact! "facts" [{{:n {DEEP.format(600)}}}])',
        f"(q '[:find ?x . :in [?x ...] :where [(identity ?x) ?y]] [{DEEP.format(600)}])",
    ],
)
async def test_what_has_no_bytes_to_be_counted_is_an_error_that_can_be_caught(
    tmp_path: Path, source: str
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token = nodes.token(budget={Resource.BYTES: 1 << 40})
        row = await ended(nodes, CAUGHT.format(f"(do {source} 1)"), token)
        assert row["state"] == "done", (row["reason"], row["fault"])


async def test_a_visitor_that_asks_wrongly_harms_nobody(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        source = '(do (hop! "beta") ' + CAUGHT.format('(q {:in true} "facts")') + ")"
        agent = await nodes.spawn("alpha", source, nodes.token((Verb.MIGRATE, "beta")))
        _, row = await nodes.settled("alpha", agent)
        assert (await nodes.settled("beta", agent))[1]["state"] == "done", row
        assert await nodes.result("beta", "(+ 1 2)") == "3"


# -- what an effect is given --


async def test_what_an_effect_is_given_is_paid_for_written_out(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        few = await ended(nodes, CAUGHT.format(f"(log! {SHARED.format(8)})"))
        many = await ended(nodes, CAUGHT.format(f"(log! {SHARED.format(13)})"))
    assert few["fuel_used"] < EFFECT_PARTS_FREE
    assert many["fuel_used"] > EFFECT_FUEL_PART * 2**14


async def test_what_an_effect_is_given_counts_as_the_agents_memory(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        source = CAUGHT.format(f"(log! {SHARED.format(14)})")
        row = await ended(nodes, source, memory_max=1 << 20)
        assert row["result"] == '"log!: what it is given does not fit the agent\'s memory"'


async def test_who_cannot_pay_for_what_it_gives_an_effect_is_paused(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        row = await ended(nodes, f"(log! {SHARED.format(14)})", fuel_max=10_000)
        assert (row["state"], row["reason"]) == ("paused", "fuel limit of 10000 reached")


async def test_a_result_is_paid_for_written_out(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        row = await ended(nodes, SHARED.format(13))
        assert (row["state"], len(row["result"])) == ("done", len("[1]") * 2**13 + 3 * (2**13 - 1))
        assert row["fuel_used"] > EFFECT_FUEL_PART * 2**14
        row = await ended(nodes, SHARED.format(13), fuel_max=10_000)
        assert (row["state"], row["reason"]) == ("paused", "fuel limit of 10000 reached")


async def test_what_rows_of_an_answer_share_fits_in_the_agents_memory(tmp_path: Path) -> None:
    source = "(q '[:find ?a ?b :in [?a ...] ?b] (vec (range 1000)) (vec (range 10000)))"
    async with fleet(tmp_path, "alpha") as nodes:
        row = await ended(nodes, CAUGHT.format(source), memory_max=8 << 20)
        assert row["result"] == '"q: the answer does not fit the agent\'s memory"', row["reason"]


async def test_an_answer_of_many_rows_is_paid_for_and_given(tmp_path: Path) -> None:
    source = "(count (q '[:find ?a ?b :in [?a ...] ?b] (vec (range 5000)) [1 2 3 4 5]))"
    async with fleet(tmp_path, "alpha") as nodes:
        row = await ended(nodes, source)
        assert row["result"] == "5000"
        assert row["fuel_used"] > 2 * 5000 * 8


# -- what the node does wrong --


@pytest.mark.parametrize("effect", ["rand", "streams"])
async def test_an_effect_that_the_node_fails_at_pauses_the_agent_and_nobody_else(
    tmp_path: Path, effect: str
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        other = await nodes.spawn("alpha", "(sleep 600000)")
        break_effect(nodes, effect)
        agent = await nodes.spawn("alpha", f"(do {APPENDS} ({effect}) 7)", nodes.token())
        _, row = await nodes.settled("alpha", agent)
        said = f"the node failed at its effect {effect} (Fault)"
        assert (row["state"], row["reason"]) == ("paused", said)
        assert SECRET not in str(row)
        assert await nodes.result("alpha", "(+ 1 2)") == "3"
        await nodes.stop("alpha")
        await nodes.start("alpha")
        row = await nodes.ask("alpha", "agent.show", id=agent.hex())
        assert (row["state"], row["reason"]) == ("paused", said)
        await nodes.until("alpha", other, "waiting")
        await nodes.ask("alpha", "agent.resume", id=agent.hex())
        _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["result"]) == ("done", "7")
        assert (await nodes.ask("alpha", "query", stream="facts", query=COUNT))["value"] == 1


async def test_a_turn_that_the_node_fails_in_pauses_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        with monkeypatch.context() as patched:
            patched.setattr(nodes.nodes["alpha"].scheduler, "_run", _break)
            row = await ended(nodes, "(+ 1 2)")
            assert (row["state"], row["reason"]) == (
                "paused",
                "the node failed in its turn (Fault)",
            )
        await nodes.ask("alpha", "agent.resume", id=row["id"].hex())
        assert (await nodes.settled("alpha", row["id"]))[1]["result"] == "3"


async def test_an_agent_that_cannot_be_written_down_is_paused_and_keeps_no_node_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(record: AgentRecord) -> bytes:
        if record.log:
            raise Fault(SECRET)
        return encode_record(record)

    async with fleet(tmp_path, "alpha") as nodes:
        with monkeypatch.context() as patched:
            patched.setattr(yind.agents, "encode_record", encode)
            row = await ended(nodes, f'(do (log! "a") {APPENDS})', nodes.token())
            said = "the node failed at its effect transact! (Fault)"
            assert (row["state"], row["reason"]) == ("paused", said)
            looping = await nodes.spawn("alpha", '(do (log! "a") (loop [] (recur)))')
            record = nodes.nodes["alpha"].agents.find(looping.hex()).record
            with trio.fail_after(10):
                while not record.log:  # noqa: ASYNC110  # nobody is told of it
                    await trio.sleep(0.01)
            assert await nodes.result("alpha", "(+ 1 2)") == "3"
            await nodes.stop("alpha")
        await nodes.start("alpha")
        assert (await nodes.settled("alpha", row["id"]))[1]["state"] == "done"
        assert (await nodes.ask("alpha", "query", stream="facts", query=COUNT))["value"] == 1
        await nodes.ask("alpha", "agent.kill", id=looping.hex())


async def test_an_agent_between_two_nodes_still_ends_the_node_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.departures.Departures.outcome", _break)
    with trio.fail_after(10), pytest.raises(BaseExceptionGroup) as raised:
        await _travel(tmp_path)
    assert raised.group_contains(Fault)


async def _travel(folder: Path) -> None:
    async with fleet(folder, "alpha", "beta") as nodes:
        agent = await nodes.spawn("alpha", '(hop! "beta")', nodes.token())
        await nodes.settled("alpha", agent)


async def test_what_an_agent_is_asked_quickly_is_not_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted: list[str] = []

    def arguments(effects: object, agent: Agent, machine: Machine) -> tuple[object, ...]:
        converted.append(machine.effect_name)
        return machine.effect[1]

    async with fleet(tmp_path, "alpha") as nodes:
        monkeypatch.setattr("yind.effects.Effects._arguments", arguments)
        assert await nodes.result("alpha", '(do (hop! "alpha") (log! "a") (here))') == '"alpha"'
    assert converted == ["hop!", "log!", "here"], "each once"

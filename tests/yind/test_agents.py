"""Agents on one node: results, faults, effects, rights, pause and resume, restart."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from fleet import deaf, fleet

from capabilities.caveats import Verb
from cli.cluster import add_node
from datomstore.value import Keyword, Map
from protocol.errors import RemoteError
from protocol.messages import Offer
from yind.agent import Agent, encode_record
from yind.agents import AGENT_TABLE
from yind.cesk import Machine

COUNT = '(q \'[:find (count ?e) . :where [?e :n _]] "facts")'
FACTS = tuple(Map({Keyword("n"): number}) for number in range(3))


async def test_an_agents_result_is_its_last_value(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        assert await nodes.result("alpha", "(reduce + (map inc [1 2 3]))") == "9"


async def test_arguments_are_bound(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        arguments = Map({Keyword("a"): (1, 2)})
        assert await nodes.result("alpha", "(:a *args*)", arguments=arguments) == "[1 2]"


async def test_an_uncaught_error_ends_the_agent_with_a_trace(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", "(defn f [x]\n  (inc (/ x 0)))\n(inc (f 1))")
        _, row = await nodes.settled("alpha", agent)
        assert row["state"] == "failed"
        assert "Divide by zero" in row["fault"]
        assert "f (test.clj:2:" in row["fault"]


async def test_an_endless_loop_leaves_the_node_its_time_and_can_be_killed(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        endless = [await nodes.spawn("alpha", "(loop [] (recur))") for _ in range(3)]
        assert await nodes.result("alpha", "(+ 1 2)") == "3"
        for agent in endless:
            row = await nodes.ask("alpha", "agent.kill", id=agent.hex())
            assert row["state"] == "killed"


async def test_fuel_and_memory_have_ends(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", "(loop [] (recur))", fuel_max=100_000)
        _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["reason"]) == ("paused", "fuel limit of 100000 reached")
        agent = await nodes.spawn("alpha", "(loop [x []] (recur (conj x 1)))", memory_max=1 << 20)
        _, row = await nodes.settled("alpha", agent)
        assert row["state"] == "failed"
        assert "memory budget" in row["reason"]


async def test_who_has_reached_a_limit_of_fuel_goes_on_with_a_new_one(tmp_path: Path) -> None:
    source = "(loop [i 0] (if (< i 100000) (recur (inc i)) i))"
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await nodes.spawn("alpha", source, nodes.token(), fuel_max=1_000)
        _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["fuel_used"] >= 1_000) == ("paused", True)
        with pytest.raises(RemoteError, match="has used its limit of 1000 fuel up") as refused:
            await nodes.ask("alpha", "agent.resume", id=agent.hex())
        assert refused.value.code == "agent/state"
        await nodes.ask("alpha", "agent.resume", id=agent.hex(), fuel=2_000)
        _, row = await nodes.settled("alpha", agent)
        limit = int(row["reason"].split()[3])
        assert row["state"] == "paused"
        assert 3_000 <= limit <= row["fuel_used"] < 4_000
        await nodes.stop("alpha")
        await nodes.start("alpha")
        await nodes.ask("alpha", "agent.migrate", id=agent.hex(), node="beta")
        assert (await nodes.settled("alpha", agent))[1]["state"] == "paused"
        await nodes.ask("beta", "agent.resume", id=agent.hex(), fuel=10_000_000)
        _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["result"]) == ("done", "100000")


async def test_an_effect_needs_a_token(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await nodes.ask("alpha", "stream.transact", stream="facts", data=FACTS)
        agent = await nodes.spawn("alpha", COUNT)
        _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["denied_right"]) == ("paused", "read alpha/facts")
        token = nodes.token((Verb.READ, "alpha/facts"))
        given = nodes.delegate(token, "alpha", agent)
        await nodes.ask("alpha", "agent.resume", id=agent.hex(), tokens=(given,))
        _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["result"]) == ("done", "3")


async def test_a_token_for_another_stream_does_not_help(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await nodes.ask("alpha", "stream.transact", stream="facts", data=FACTS)
        agent = await nodes.spawn("alpha", COUNT, nodes.token((Verb.READ, "alpha/other")))
        _, row = await nodes.settled("alpha", agent)
        assert row["state"] == "paused"


async def test_every_refusal_is_a_fact_in_the_audit_stream(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await nodes.ask("alpha", "stream.transact", stream="facts", data=FACTS)
        agent = await nodes.spawn("alpha", COUNT)
        await nodes.settled("alpha", agent)
        found = await nodes.ask(
            "alpha",
            "query",
            stream="audit",
            query="[:find ?who ?verb ?resource :where [?e :audit/allowed false]"
            " [?e :audit/who ?who] [?e :audit/verb ?verb] [?e :audit/resource ?resource]]",
        )
        assert (agent.hex()[:12], Keyword("read"), "alpha/facts") in found["value"]


async def test_an_append_and_the_state_after_it_are_one_commit(tmp_path: Path) -> None:
    source = """
    (loop [i 0]
      (if (= i 20)
        (q '[:find (count ?e) . :where [?e :n _]] "facts")
        (do (transact! "facts" [{:n i}]) (recur (inc i)))))
    """
    async with fleet(tmp_path, "alpha") as nodes:
        assert await nodes.result("alpha", source, nodes.token()) == "20"


async def test_a_refused_transaction_can_be_caught(tmp_path: Path) -> None:
    source = '(try (transact! "facts" [42]) (catch Exception e (ex-message e)))'
    async with fleet(tmp_path, "alpha") as nodes:
        assert "an item is a map or a vector" in await nodes.result("alpha", source, nodes.token())


async def test_a_bad_query_names_its_clause(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await nodes.ask("alpha", "stream.transact", stream="facts", data=FACTS)
        with pytest.raises(RemoteError, match=r"nothing binds \?y, in \[\(< \?x \?y\)\]"):
            await nodes.ask(
                "alpha", "query", stream="facts", query="[:find ?x :where [_ :n ?x] [(< ?x ?y)]]"
            )


async def test_agents_go_on_after_a_restart(tmp_path: Path) -> None:
    source = '(do (transact! "facts" [{:n 1}]) (sleep 600000) :woken)'
    async with fleet(tmp_path, "alpha") as nodes:
        sleeper = await nodes.spawn("alpha", source, nodes.token())
        paused = await nodes.spawn("alpha", "(+ 1 2)", paused=True)
        await nodes.until("alpha", sleeper, "waiting")
        await nodes.crash("alpha")
        await nodes.start("alpha")
        row = await nodes.ask("alpha", "agent.show", id=sleeper.hex())
        assert row["state"] in ("ready", "waiting")
        await nodes.ask("alpha", "agent.resume", id=paused.hex())
        _, row = await nodes.settled("alpha", paused)
        assert row["result"] == "3"
        await nodes.stop("alpha")
        await nodes.start("alpha")
        rows = (await nodes.ask("alpha", "agent.list"))["value"]
        assert {row["id"] for row in rows} == {sleeper, paused}


@pytest.mark.parametrize("waits", ["(sleep 600000)", '(hop! "beta")'], ids=["timer", "hop"])
@pytest.mark.parametrize(("verb", "state"), [("agent.kill", "killed"), ("agent.pause", "paused")])
async def test_who_is_just_about_to_wait_is_stopped_all_the_same(
    tmp_path: Path, verb: str, state: str, waits: str
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes, trio.open_nursery() as nursery:
        effects = nodes.nodes["alpha"].effects
        perform, asked = effects.perform, trio.Event()

        async def perform_once_asked(agent: Agent, machine: Machine) -> None:
            asked.set()
            with trio.fail_after(10):
                while agent.requested is None:
                    await trio.testing.wait_all_tasks_blocked()
            await perform(agent, machine)

        effects.perform = perform_once_asked  # type: ignore[method-assign]
        agent = await nodes.spawn("alpha", waits, nodes.token())
        await asked.wait()
        nursery.start_soon(partial(nodes.ask, "alpha", verb, id=agent.hex()))
        with trio.fail_after(10):
            place, row = await nodes.settled("alpha", agent)
        assert (place, row["state"]) == ("alpha", state)


@pytest.mark.parametrize("waits", ["(sleep 600000)", '(hop! "beta")'], ids=["timer", "hop"])
async def test_an_agent_that_waits_shows_where_also_after_a_restart(
    tmp_path: Path, waits: str
) -> None:
    source = f"(defn f [x]\n  {waits}\n  x)\n(f 41)"
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        deaf(nodes.nodes["beta"], Offer)
        agent = await nodes.spawn("alpha", source, nodes.token())
        for _ in range(2):
            await nodes.until("alpha", agent, "waiting")
            row = await nodes.ask("alpha", "agent.show", id=agent.hex())
            assert row["state"] == "waiting"
            inner = next(frame for frame in row["frames"] if frame["function"] == "f")
            assert (inner["line"], inner["column"]) == (2, 3)
            assert inner["locals"] == (("x", "41"),)
            await nodes.stop("alpha")
            await nodes.start("alpha")


async def test_an_agent_that_computes_shows_where_and_goes_on(tmp_path: Path) -> None:
    source = "(defn f [x]\n  (loop [i 0] (if (< i x) (recur (inc i)) i)))\n(f 20000000)"
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", source)
        row = await nodes.ask("alpha", "agent.show", id=agent.hex())
        assert row["state"] == "ready"
        (frame,) = row["frames"]
        assert (frame["function"], frame["line"]) == ("f", 2)
        assert ("x", "20000000") in frame["locals"]
        assert (await nodes.settled("alpha", agent))[1]["result"] == "20000000"


async def test_a_paused_agent_shows_its_frames_and_locals(tmp_path: Path) -> None:
    source = '(defn f [x]\n  (let [y (* x 2)]\n    (+ y (q \'[:find ?e . :where [?e :n _]] "facts"))))\n(f 21)'
    async with fleet(tmp_path, "alpha") as nodes:
        await nodes.ask("alpha", "stream.transact", stream="facts", data=FACTS)
        agent = await nodes.spawn("alpha", source)
        await nodes.settled("alpha", agent)
        row = await nodes.ask("alpha", "agent.show", id=agent.hex())
        frame = row["frames"][0]
        assert (frame["function"], frame["line"]) == ("f", 3)
        assert {("x", "21"), ("y", "42")} <= set(frame["locals"])


async def test_a_revoked_token_pauses_its_agent(tmp_path: Path) -> None:
    from capabilities.revocation import Revocation

    async with fleet(tmp_path, "alpha") as nodes:
        token = nodes.token()
        agent = await nodes.spawn("alpha", "(loop [] (recur))", token)
        revocation = Revocation.sign(nodes.cluster.root_key, token, 0)
        await nodes.ask(
            "alpha", "token.revoke", revocation=revocation.to_bytes(), token=token.to_bytes()
        )
        _, row = await nodes.settled("alpha", agent)
        assert row["state"] == "paused"
        assert "revoked" in row["reason"]


async def test_the_programs_steps_are_facts_of_the_code_stream(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await nodes.result("alpha", "(defn f [x] (+ x 1)) (f 2)")
        found = await nodes.ask(
            "alpha",
            "query",
            stream="code",
            query="[:find ?instruction ?line :where [?s :exec/instruction ?instruction] [?s :exec/node ?n]"
            " [?n :ast/source-location ?at] [(untuple ?at) [?line _]]]",
        )
        assert (Keyword("increment"), 1) in found["value"] or (Keyword("add"), 1) in found["value"]


async def test_a_full_disk_stops_the_agent_and_not_the_node(tmp_path: Path) -> None:
    source = '(loop [i 0] (transact! "facts" [{:n (str i (range 200))}]) (recur (inc i)))'
    async with fleet(tmp_path) as nodes:
        add_node(nodes.cluster, "alpha", listen="127.0.0.1:0")
        await nodes.start("alpha", data_max=1 << 20)
        agent = await nodes.spawn("alpha", source, nodes.token())
        _, row = await nodes.settled("alpha", agent)
        assert row["state"] == "paused"
        assert "storage" in row["reason"]
        assert (await nodes.ask("alpha", "node.info"))["name"] == "alpha"


async def test_an_agent_that_cannot_be_restored_is_paused(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", "(+ 1 2)", paused=True)
        node = nodes.nodes["alpha"]
        record = node.agents.find(agent.hex()).record
        record.image = record.image[:-1]
        await node.agents.write(lambda batch: batch.put(AGENT_TABLE, agent, encode_record(record)))
        await nodes.crash("alpha")
        await nodes.start("alpha")
        with pytest.raises(RemoteError, match="image"):
            await nodes.ask("alpha", "agent.resume", id=agent.hex())
        assert (await nodes.ask("alpha", "agent.list"))["value"][0]["state"] == "paused"


async def test_a_token_of_one_agent_cannot_be_given_to_another(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        victim = await nodes.spawn("alpha", "(+ 1 2)", nodes.token(), paused=True)
        thief = await nodes.spawn("alpha", COUNT, paused=True)
        stolen = nodes.nodes["alpha"].agents.find(victim.hex()).record.tokens
        with pytest.raises(RemoteError, match="names the agent"):
            await nodes.ask("alpha", "agent.resume", id=thief.hex(), tokens=tuple(stolen))
        shown = await nodes.ask("alpha", "agent.show", id=victim.hex())
        assert all(token not in shown["tokens"] for token in stolen)

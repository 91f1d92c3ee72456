"""Sessions on nodes: units entered into an agent that waits between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fleet import Fleet, fleet

from capabilities.caveats import Caveats, Rights, Verb
from capabilities.keys import PrivateKey
from capabilities.revocation import Revocation
from capabilities.tokens import Token, mint
from datomstore.value import Map
from protocol.errors import RemoteError
from yang.errors import Source
from yang.session import Session, Unit
from yind.control import Control
from yind.session import Session as Connection


class Person:
    """Somebody with a session on a node."""

    def __init__(self, nodes: Fleet, name: str) -> None:
        self.nodes = nodes
        self.node = name
        self.session = Session()
        self.agent = b""

    async def begin(self, *tokens: Token, **fields: Any) -> None:
        source = self.session.first.program
        self.agent = await self.nodes.spawn_program(
            self.node, source, *tokens, session=True, **fields
        )
        await self.settled()

    async def settled(self) -> Map:
        self.node, row = await self.nodes.settled(self.node, self.agent)
        return row

    def units(self, text: str) -> list[Unit]:
        return list(self.session.units(Source("entry", text)))

    async def begin_unit(self, unit: Unit) -> Any:
        program = unit.program.to_bytes()
        return await self.nodes.ask(self.node, "agent.enter", id=self.agent.hex(), program=program)

    async def enter(self, text: str) -> Map:
        for unit in self.units(text):
            await self.begin_unit(unit)
            row = await self.settled()
        return row


async def person(nodes: Fleet, name: str = "alpha", *tokens: Token, **fields: Any) -> Person:
    found = Person(nodes, name)
    await found.begin(*tokens, **fields)
    return found


async def test_a_session_keeps_what_was_defined(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        ann = await person(nodes)
        await ann.enter("(def a (atom 1)) (defn f [] (swap! a inc))")
        assert (await ann.enter("(f)"))["result"] == '"2"'
        row = await ann.enter("[(f) *1]")
        assert (row["state"], row["result"]) == ("paused", '"[3 2]"')
        assert "waits for the next entry" in row["reason"]


async def test_a_session_whose_token_was_revoked_runs_no_unit(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token = nodes.token()
        ann = await person(nodes, "alpha", token)
        said = Revocation.sign(nodes.cluster.root_key, token, 0)
        await nodes.nodes["alpha"].revocations.take([said])
        row = await ann.enter('(log! "still here")')
        assert (row["state"], row["reason"]) == ("paused", "token revoked: block 0")
        found = nodes.nodes["alpha"].agents.get(ann.agent)
        assert found is not None
        assert found.record.log == []


async def test_an_error_leaves_the_session_where_it_was(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        ann = await person(nodes)
        row = await ann.enter("(defn f [x]\n  (/ x 0)) (f 1)")
        assert (row["state"], row["result"]) == ("paused", None)
        assert "f (entry:2:3)" in row["fault"]
        row = await ann.enter("(ex-message *e)")
        assert (row["fault"], row["result"]) == (None, '"\\"Divide by zero\\""')


async def test_an_evaluation_is_paused_and_given_up(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        ann = await person(nodes)
        for endless in ("(loop [] (recur))", "(sleep 1000000)"):
            (unit,) = ann.units(endless)
            await ann.begin_unit(unit)
            row = await nodes.ask("alpha", "agent.pause", id=ann.agent.hex(), reason="enough")
            assert (row["state"], row["reason"], row["result"]) == ("paused", "enough", None)
            assert (await ann.enter("(+ 1 1)"))["result"] == '"2"'


async def test_an_effect_without_the_right_waits_for_a_token_or_is_given_up(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        ann = await person(nodes)
        row = await ann.enter('(transact! "facts" [{:n 1}])')
        assert row["denied_right"] == "append alpha/facts"
        token = nodes.delegate(nodes.token((Verb.APPEND, "alpha/facts")), "alpha", ann.agent)
        await nodes.ask("alpha", "agent.resume", id=ann.agent.hex(), tokens=(token,))
        assert ":datoms" in (await ann.settled())["result"]
        row = await ann.enter('(q \'[:find ?n :where [_ :n ?n]] "facts")')
        assert row["denied_right"] == "read alpha/facts"
        assert (await ann.enter("1"))["denied_right"] is None


async def test_a_session_prints_what_is_longer_than_a_line_of_a_log(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        ann = await person(nodes)
        row = await ann.enter('(println (apply str (repeat 5000 "äx"))) (println "")')
        assert row["fault"] is None
        log = (await nodes.ask("alpha", "agent.show", id=ann.agent.hex()))["log"]
        assert ("".join(log), log[-1]) == ("äx" * 5000, "")
        row = await ann.enter('(println (apply str (repeat 300000 "x")))')
        assert "longer than 262144 bytes" in row["fault"]


async def test_a_session_survives_a_crash_of_its_node(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        ann = await person(nodes)
        await ann.enter('(def x [1 "text"]) (defn f [] (conj x :more))')
        await nodes.crash("alpha")
        await nodes.start("alpha")
        assert (await ann.enter("(f)"))["result"] == '"[1 \\"text\\" :more]"'


async def test_a_session_is_moved_to_another_node_with_all_its_code(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        ann = await person(nodes, "alpha", nodes.token())
        await ann.enter("(defn f [] [(here) :f]) (def g (fn [] (f)))")
        await nodes.ask("alpha", "agent.migrate", id=ann.agent.hex(), node="beta")
        await ann.settled()
        assert ann.node == "beta"
        assert (await ann.enter("(g)"))["result"] == '"[\\"beta\\" :f]"'


async def test_a_unit_travels_in_its_middle_and_the_session_with_it(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        ann = await person(nodes, "alpha", nodes.token())
        await ann.enter("(def seen (atom []))")
        row = await ann.enter(
            '(do (swap! seen conj (here)) (hop! "beta") (swap! seen conj (here)))'
        )
        assert (ann.node, row["result"]) == ("beta", '"[\\"alpha\\" \\"beta\\"]"')


async def test_only_its_owner_enters_code_into_a_session(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        ann = await person(nodes)
        (unit,) = ann.units("1")
        node = nodes.nodes["alpha"]
        control: Control = node.control
        stranger = Connection(PrivateKey.generate().public)
        stranger.tokens = [_spawning(nodes, node, stranger)]
        body = Map({"id": ann.agent.hex(), "program": unit.program.to_bytes()})
        with pytest.raises(Exception, match="only the owner"):
            await control.request(stranger, "agent.enter", body, _nowhere)
        assert (stranger.peer.text, "enter") in await _refusals(nodes)


async def test_without_the_right_to_spawn_nothing_is_entered(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        ann = await person(nodes)
        (unit,) = ann.units("1")
        async with nodes.connected("alpha", nodes.token((Verb.QUERY, "**"))) as channel:
            body = Map({"id": ann.agent.hex(), "program": unit.program.to_bytes()})
            with pytest.raises(RemoteError, match="spawn alpha"):
                await channel.request("agent.enter", body)
        assert "spawn" in {verb for _, verb in await _refusals(nodes)}


async def test_an_agent_that_is_no_session_is_entered_by_nobody(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        ann = Person(nodes, "alpha")
        ann.agent = await nodes.spawn("alpha", "1", paused=True)
        (unit,) = ann.units("1")
        with pytest.raises(RemoteError, match="is no session"):
            await ann.begin_unit(unit)


async def test_a_session_that_runs_is_not_entered(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        ann = await person(nodes)
        endless, other = ann.units("(loop [] (recur)) 1")
        await ann.begin_unit(endless)
        with pytest.raises(RemoteError, match="does not wait for an entry"):
            await ann.begin_unit(other)


async def test_bytes_that_are_no_program_are_refused(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        ann = await person(nodes)
        with pytest.raises(RemoteError, match="program"):
            await nodes.ask("alpha", "agent.enter", id=ann.agent.hex(), program=b"\x01\x02")
        assert (await ann.enter("(+ 1 1)"))["result"] == '"2"'


async def test_a_session_has_the_fuel_and_the_memory_of_its_agent(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        ann = await person(nodes, "alpha", fuel_max=200_000)
        row = await ann.enter("(loop [] (recur))")
        assert (row["state"], row["reason"]) == ("paused", "fuel limit of 200000 reached")
        assert (await ann.enter("1"))["reason"] == "fuel limit of 200000 reached"
        bob = await person(nodes, "alpha", memory_max=1 << 20)
        row = await bob.enter("(loop [x []] (recur (conj x 1)))")
        assert "memory budget" in row["reason"]


async def _nowhere(item: Map) -> None:
    raise AssertionError(item)


async def _refusals(nodes: Fleet) -> set[tuple[str, str]]:
    query = """[:find ?who ?verb :where [?e :audit/allowed false]
                [?e :audit/who ?who] [?e :audit/verb ?verb]]"""
    found = await nodes.ask("alpha", "query", stream="audit", query=query)
    return {(row[0], str(row[1]).removeprefix(":")) for row in found["value"]}


def _spawning(nodes: Fleet, node: Any, stranger: Connection) -> Any:
    """Return a token that lets a stranger spawn on the node."""
    rights = Caveats(exp=nodes.now_s() + 3600, rights=(Rights(Verb.SPAWN, "**"),))
    token = mint(nodes.cluster.root_key, stranger.peer, rights)
    return node.authority.handle(node.authority.verify(token.to_bytes(), stranger.peer), None)

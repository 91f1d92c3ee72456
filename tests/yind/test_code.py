"""The programs of a node: kept once, shown as facts, and not compiled twice."""

from __future__ import annotations

from pathlib import Path

from fleet import fleet

from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Streams
from yind.code import UNIT_TABLE, CodeLibrary
from yind.node import Node

NOTES = '(defn note [n] (transact! "orders" [{:n n}]))\n(defn twice [n] (note n) (note n))\n'


def units_kept(node: Node) -> int:
    with node.storage.transaction(write=False) as storage:
        return sum(key != b"" for key, _ in storage.scan(UNIT_TABLE))


async def test_code_is_asked_which_functions_reach_a_stream(tmp_path: Path) -> None:
    query = """[:find ?name
                :where [?fn :ast/type :function] [?fn :ast/calls ?call] [?call :stream/access "orders"]
                       [?fn :node/id ?name]]"""
    async with fleet(tmp_path, "alpha") as nodes:
        await nodes.spawn("alpha", NOTES + "(+ 1 2)")
        await nodes.spawn("alpha", NOTES + "(+ 1 2)")
        found = await nodes.ask("alpha", "query", stream="code", query=query)
        assert set(found["value"]) == {("note",)}
        programs = "[:find (count ?p) . :where [_ :program/root ?p]]"
        found = await nodes.ask("alpha", "query", stream="code", query=programs)
        assert found["value"] == 1
        calls = '[:find ?name :where [?f :node/id "twice"] (call-chain ?f ?g) [?g :node/id ?name]]'
        found = await nodes.ask("alpha", "query", stream="code", query=calls)
        assert set(found["value"]) == {("note",)}


async def test_programs_share_what_was_derived_of_their_units(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await nodes.spawn("alpha", NOTES + "(+ 1 2)")
        assert units_kept(nodes.nodes["alpha"]) == 3
        await nodes.spawn("alpha", NOTES + "(twice 2)")
        assert units_kept(nodes.nodes["alpha"]) == 4


async def test_a_node_that_starts_again_assembles_what_it_has_kept(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", NOTES + "(+ 3 4)", paused=True)
        assert nodes.nodes["alpha"].code.units_derived == 3
        await nodes.stop("alpha")
        await nodes.start("alpha")
        await nodes.ask("alpha", "agent.resume", id=agent.hex())
        _, row = await nodes.settled("alpha", agent)
        assert row["result"] == "7"
        assert nodes.nodes["alpha"].code.units_derived == 0


def test_what_another_compiler_derived_is_forgotten() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 0)
    for is_known in (False, True):
        with streams.batch() as batch:
            CodeLibrary(streams).recover(batch)
            assert (batch.get(UNIT_TABLE, b"key") == b"tables") is is_known
            batch.put(UNIT_TABLE, b"key", b"tables")
    with streams.batch() as batch:
        batch.put(UNIT_TABLE, b"", b"another version")
        CodeLibrary(streams).recover(batch)
        assert batch.get(UNIT_TABLE, b"key") is None

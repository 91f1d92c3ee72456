"""What was decided is in the audit stream with what it allowed: never one without the other."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest
import trio
from fleet import Fleet, fleet
from hypothesis import given
from hypothesis import strategies as st

from capabilities.caveats import Verb
from datomstore.datalog import q
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Streams
from datomstore.value import Keyword, Map
from protocol.client import RemoteError
from yind.audit import (
    DECIDED_TABLE,
    FROM,
    RECEIPT,
    Audit,
    Behalf,
    Decision,
    decisions_of,
    own_decisions,
    row_of,
)
from yind.node import Node

ALL = """[:find ?e ?who ?verb ?effect ?resource ?allowed ?node
          :where [?e :audit/who ?who] [?e :audit/verb ?verb] [?e :audit/resource ?resource] [?e :audit/node ?node]
                 [?e :audit/allowed ?allowed] [(get-else $ ?e :audit/effect "") ?effect]]"""


async def audit(nodes: Fleet, name: str, effect: str) -> list[tuple[str, str, bool]]:
    rows = (await nodes.ask(name, "query", query=ALL, stream="audit"))["value"]
    return [
        (verb.name, resource, allowed)
        for _, _, verb, did, resource, allowed, _ in sorted(rows)
        if did == effect
    ]


def decision(reason: str) -> Decision:
    return Decision("someone", "read", "alpha/x", True, reason, None, 1)


def written(streams: Streams) -> list[str]:
    query = "[:find ?e ?why :where [?e :audit/reason ?why]]"
    return [why for _, why in sorted(q(query, streams.get("audit").db()))]


def test_a_decision_waits_for_the_commit_of_what_it_is_about() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 1)
    notes = Audit(streams.open("audit"), "alpha")
    of_agent: list[Decision] = []
    with Behalf("q", of_agent):
        notes.note(decision("agent's"))
        assert own_decisions() is of_agent
    notes.note(decision("anybody's"))
    with streams.batch() as batch:
        notes.stage(batch)
    notes.durable()
    assert written(streams) == ["anybody's"]
    with streams.batch() as batch:
        notes.release(of_agent)
        notes.stage(batch)
    notes.durable()
    assert written(streams) == ["anybody's", "agent's"]


def test_a_transaction_that_fails_leaves_its_decisions_to_the_next() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 1)
    notes = Audit(streams.open("audit"), "alpha")
    notes.note(decision("first"))

    def failing() -> None:
        with streams.batch() as batch:
            notes.stage(batch)
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    notes.note(decision("second"))
    with streams.batch() as batch:
        notes.stage(batch)
    notes.durable()
    assert written(streams) == ["first", "second"]


def test_what_a_task_decides_after_its_request_is_not_lost() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 1)
    notes = Audit(streams.open("audit"), "alpha")

    async def main() -> None:
        asked: list[Decision] = []
        later = trio.Event()

        async def child() -> None:
            await later.wait()
            notes.note(decision("late"))

        async with trio.open_nursery() as nursery:
            with Behalf("agent.migrate", asked):
                nursery.start_soon(child)
            later.set()
        assert asked == []

    trio.run(main)
    assert notes.waiting_count == 1


def test_of_an_address_only_now_and_then_is_noted_that_it_was_turned_away() -> None:
    notes = Audit(Streams(MemoryStorage(), now_ms=lambda: 1).open("audit"), "alpha")
    told = [notes.turned_away("10.0.0.1", "no key", at) for at in (0, 1, 59_999, 60_000)]
    assert told == [True, False, False, True]
    for number in range(1000):
        notes.turned_away(f"10.1.{number // 256}.{number % 256}", "no key", 60_001)
    assert notes.waiting_count < 300


def committed(streams: Streams, notes: Audit, *, brief: bool) -> None:
    with streams.batch() as batch:
        notes.stage(batch, brief=brief)
    notes.durable()


def rows(streams: Streams) -> int:
    with streams.batch() as batch:
        return sum(1 for _ in batch.scan(DECIDED_TABLE))


def test_what_is_decided_in_a_brief_transaction_comes_into_the_stream_with_the_next_other_one() -> (
    None
):
    streams = Streams(MemoryStorage(), now_ms=lambda: 1)
    notes = Audit(streams.open("audit"), "alpha")
    for reason in ("first", "second"):
        notes.note(decision(reason))
        committed(streams, notes, brief=True)
    committed(streams, notes, brief=True)
    assert (written(streams), rows(streams), notes.complete) == ([], 2, False)
    notes.note(decision("third"))
    committed(streams, notes, brief=False)
    assert (written(streams), rows(streams)) == (["first", "second", "third"], 0)
    assert notes.complete
    committed(streams, notes, brief=False)
    assert written(streams) == ["first", "second", "third"], "once"


def test_what_was_decided_in_a_brief_transaction_outlives_the_run() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 1)
    notes = Audit(streams.open("audit"), "alpha")
    reasons = [f"reason {number}" for number in range(300)]  # so that the order of keys counts
    for reason in reasons[:-1]:
        notes.note(decision(reason))
        committed(streams, notes, brief=True)
    again = Audit(streams.get("audit"), "alpha")
    with streams.batch() as batch:
        again.load(batch)
    again.note(decision(reasons[-1]))
    committed(streams, again, brief=True)
    assert not again.complete
    assert rows(streams) == len(reasons)
    committed(streams, again, brief=False)
    assert written(streams) == reasons
    assert rows(streams) == 0


@pytest.mark.parametrize("failing", [True, False])
@pytest.mark.parametrize("after", [True, False])
def test_a_transaction_that_fails_brief_or_not_loses_no_decision(
    *, failing: bool, after: bool
) -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 1)
    notes = Audit(streams.open("audit"), "alpha")
    notes.note(decision("first"))
    committed(streams, notes, brief=True)
    notes.note(decision("second"))

    def fail() -> None:
        with streams.batch() as batch:
            notes.stage(batch, brief=failing)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not notes.complete
    notes.note(decision("third"))
    committed(streams, notes, brief=after)
    committed(streams, notes, brief=False)
    assert written(streams) == ["first", "second", "third"]
    assert rows(streams) == 0


TEXTS = st.text(max_size=8)
FACTS = st.tuples(
    st.sampled_from([FROM, RECEIPT, Keyword("audit/epoch")]),
    st.one_of(TEXTS, st.binary(max_size=8), st.integers(0, 1 << 62)),
)


@given(
    st.lists(
        st.builds(
            Decision,
            TEXTS,
            TEXTS,
            TEXTS,
            st.booleans(),
            TEXTS,
            st.none() | st.binary(max_size=8),
            st.integers(0, 1 << 62),
            TEXTS,
            st.lists(FACTS, max_size=3).map(tuple),
        ),
        min_size=1,
    )
)
def test_decisions_come_back_from_a_row_as_they_were(decisions: list[Decision]) -> None:
    assert decisions_of(row_of(decisions)) == decisions


def test_receipts_are_found_before_they_are_in_the_stream() -> None:
    streams = Streams(MemoryStorage(), now_ms=lambda: 1)
    notes = Audit(streams.open("audit"), "alpha")
    arrived = decision("")._replace(who="agent", more=((FROM, "beta"), (RECEIPT, b"receipt")))
    for one in (arrived, arrived._replace(allowed=False), arrived._replace(who="other")):
        notes.note(one)
    assert notes.receipts("agent") == []
    for brief in (True, False):
        committed(streams, notes, brief=brief)
        assert notes.receipts("agent") == [("beta", b"receipt")]


JOURNEY = """
(dotimes [_ 3] (hop! "beta") (hop! "alpha"))
(def hops (q '[:find ?e :where [?e :audit/effect "hop!"] [?e :audit/allowed true]] "audit"))
(transact! "end" [{:n (count hops)}])
"""


async def travelled(nodes: Fleet) -> None:
    """Let an agent travel to its end, with no other transaction of a node from when it began."""
    ended, loop = trio.Event(), trio.lowlevel.current_trio_token()
    stream = nodes.nodes["alpha"].streams.open("end")
    stop = stream.listen(lambda report: loop.run_sync_soon(ended.set))
    await nodes.spawn("alpha", JOURNEY, nodes.token())
    with trio.fail_after(30):
        await ended.wait()
    stop()
    assert not nodes.nodes["beta"].authority.audit.complete, "what it decided is in rows"


async def test_what_a_hop_was_allowed_is_seen_by_all_who_read_the_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.commits.COMMIT_LATER_S", 3600.0)
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        async with nodes.connected("beta") as channel:
            body = Map({"stream": "audit", "query": ALL})
            await channel.request("query", body)
            await travelled(nodes)
            rows = (await channel.request("query", body))["value"]
            assert sum(effect == "hop!" for _, _, _, effect, *_ in rows) == 3
            await travelled(nodes)
            async with aclosing(channel.stream("query.follow", body)) as changes:
                with trio.fail_after(10):
                    first = await anext(changes)
            assert str(first).count("hop!") == 6
        counts = nodes.nodes["alpha"].streams.get("end").db().datoms("aevt", Keyword("n"))
        assert sorted(datom.v for datom in counts) == [3, 6]  # type: ignore[type-var]


async def test_after_a_crash_a_hop_is_noted_once_where_it_began_and_where_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.commits.COMMIT_LATER_S", 3600.0)
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await travelled(nodes)
        for name in ("alpha", "beta"):
            await nodes.crash(name)
        for name, other in (("alpha", "beta"), ("beta", "alpha")):
            await nodes.start(name)
            assert await audit(nodes, name, "hop!") == [("migrate", other, True)] * 3
            came = [verb for verb, _, _ in await audit(nodes, name, "") if verb == "arrive"]
            assert len(came) == 3


async def test_every_effect_of_an_agent_is_there_under_its_name(tmp_path: Path) -> None:
    source = """(transact! "log" [{:n 1}]) (q '[:find ?n :where [_ :n ?n]] "log") (hop! "beta")
                (try (q '[:find ?n :where [_ :n ?n]] "none") (catch Exception e 0))"""
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await nodes.spawn("alpha", source, nodes.token())
        with trio.fail_after(30):
            await nodes.settled("alpha", agent)
        assert await audit(nodes, "alpha", "agent.spawn") == [("spawn", "alpha", True)]
        assert await audit(nodes, "alpha", "transact!") == [("append", "alpha/log", True)]
        assert await audit(nodes, "alpha", "q") == [("read", "alpha/log", True)]
        assert await audit(nodes, "alpha", "hop!") == [("migrate", "beta", True)]
        assert await audit(nodes, "beta", "q") == [("read", "beta/none", True)]
        rows = (await nodes.ask("beta", "query", query=ALL, stream="audit"))["value"]
        assert {node for *_, node in rows} == {"beta"}
        assert ("migrate", "beta", True) in {
            (verb.name, res, ok) for _, _, verb, _, res, ok, _ in rows
        }


GRANTED = """[:find ?who ?block ?granted :where [?e :audit/who ?who] [?e :audit/block ?block]
              [(get-else $ ?e :audit/granted "") ?granted]]"""
FACTS_OF = "[:find ?e (count ?a) :where [?e :audit/who _] [?e ?a _]]"
GOES_ON = """(transact! "log" [{:n 1}]) (hop! "beta") (transact! "log" [{:n 1}])"""


async def test_a_decision_about_an_agent_has_the_token_that_it_was_given_wherever_it_is(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        token = nodes.token()
        agent = await nodes.spawn("alpha", GOES_ON, token)
        with trio.fail_after(30):
            await nodes.settled("alpha", agent)
        blocks: set[bytes] = set()
        for name in ("alpha", "beta"):
            rows = (await nodes.ask(name, "query", query=GRANTED, stream="audit"))["value"]
            of_agent = [row for row in rows if row[0] == agent.hex()[:12]]
            blocks |= {block for _, block, _ in of_agent}
            assert {granted for _, _, granted in of_agent} == {token.ids[-1]}
            others = [row for row in rows if row[0] != agent.hex()[:12]]
            assert {granted for _, _, granted in others} <= {""}, "of people it is the block itself"
            sizes = (await nodes.ask(name, "query", query=FACTS_OF, stream="audit"))["value"]
            assert max(size for _, size in sizes) <= 14, "of an arrival; others have 9 at most"
        assert len(blocks) == 2, "a hop adds one"


async def test_refusals_of_requests_and_of_strangers_are_there(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        reader = nodes.token((Verb.READ, "alpha/**"))
        async with nodes.connected("alpha", reader) as channel:
            with pytest.raises(RemoteError):
                await channel.request("agent.kill", Map({"id": "ab"}))
        assert await audit(nodes, "alpha", "agent.kill") == [("spawn", "alpha", False)]
        host, port = nodes.nodes["alpha"].address
        stream = await trio.open_tcp_stream(host, port)
        await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
        await stream.receive_some()
        await stream.aclose()
        with trio.fail_after(5):
            found = await audit(nodes, "alpha", "handshake")
            while not found:
                found = await audit(nodes, "alpha", "handshake")
        assert found == [("connect", "alpha", False)]


async def test_a_refusal_has_the_token_that_came_nearest_to_allowing_it(tmp_path: Path) -> None:
    refused = """[:find ?effect ?block ?granted :where [?e :audit/allowed false] [?e :audit/effect ?effect]
                  [?e :audit/block ?block] [(get-else $ ?e :audit/granted "") ?granted]]"""
    async with fleet(tmp_path, "alpha") as nodes:
        reader, other = nodes.token((Verb.READ, "alpha/**")), nodes.token((Verb.APPEND, "*/other"))
        agent = await nodes.spawn("alpha", '(transact! "log" [{:n 1}])', reader, other)
        with trio.fail_after(10):
            await nodes.settled("alpha", agent)
        async with nodes.connected("alpha", reader) as channel:
            with pytest.raises(RemoteError):
                await channel.request("agent.kill", Map({"id": "ab"}))
        rows = (await nodes.ask("alpha", "query", query=refused, stream="audit"))["value"]
        (own,) = (block for effect, block, _ in rows if effect == "transact!")
        assert {tuple(row) for row in rows} == {
            ("transact!", own, other.ids[-1]),
            ("agent.kill", reader.ids[-1], ""),
        }


async def test_what_a_follower_sees_is_noted_before(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await nodes.ask("alpha", "stream.transact", stream="s", data=(Map({Keyword("n"): 1}),))
        seen: list[int] = []

        def see() -> None:
            stream = nodes.nodes["alpha"].streams.get("audit")
            seen.append(sum(1 for _ in stream.db().datoms("aevt", Keyword("audit/who"))))

        before = sum(
            1
            for _ in nodes.nodes["alpha"]
            .streams.get("audit")
            .db()
            .datoms("aevt", Keyword("audit/who"))
        )
        async with nodes.connected("alpha") as channel:
            async for _ in channel.stream("stream.log", Map({"stream": "s", "from": 0})):
                see()
        assert seen
        assert seen[0] == before + 2, "the rights to read and to see history were noted first"


def appended(node: Node) -> int:
    if not node.streams.exists("log"):
        return 0
    return sum(1 for _ in node.streams.get("log").db().datoms("aevt", Keyword("n")))


async def test_a_crash_leaves_neither_an_effect_without_its_decision_nor_the_reverse(
    tmp_path: Path,
) -> None:
    source = '(loop [i 1] (transact! "log" [{:n i}]) (if (< i 400) (recur (inc i)) i))'
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", source, nodes.token())
        for pause in (0.01, 0.05, 0.002, 0.1):
            await trio.sleep(pause)  # the moment of the crash, not a wait for anything
            await nodes.crash("alpha")
            node = await nodes.start("alpha")
            before = appended(node)
            decided = len(await audit(nodes, "alpha", "transact!"))
            assert before <= decided <= appended(node), "both were committed together"
        with trio.fail_after(30):
            await nodes.settled("alpha", agent)
        assert len(await audit(nodes, "alpha", "transact!")) == 400


async def test_the_agent_of_the_page_asks_every_node(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "admission.md").read_text(encoding="utf-8")
    (program,) = [text for text in page.split("```clojure")[1:] if "(defn readers" in text]
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        first = await nodes.spawn("alpha", program.split("```")[0], nodes.token())
        with trio.fail_after(30):
            await nodes.settled("alpha", first)
        agent = await nodes.spawn("alpha", program.split("```")[0], nodes.token())
        with trio.fail_after(30):
            place, row = await nodes.settled("alpha", agent)
        assert (place, row["state"]) == ("beta", "done"), row["fault"]
        read = f'#{{["{first.hex()[:12]}" 1]}}'
        assert row["result"] == f'{{"alpha" {read}, "beta" {read}}}'

"""Answers that go on for a while: each part of them is allowed when it is sent, and paid for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from fleet import Fleet, fleet

from capabilities.budget import Meter
from capabilities.caveats import Resource, Verb
from capabilities.revocation import Revocation
from capabilities.tokens import Token
from datomstore.value import Keyword, Map, Set
from protocol.errors import RemoteError
from protocol.messages import Item
from yind.audit import AUDIT_STREAM
from yind.authority import METER_TABLE
from yind.errors import Denied
from yind.limits import FOLLOW_BUFFER
from yind.session import Session
from yind.watching import _Committed

READING = Verb.READ | Verb.HISTORY | Verb.SUBSCRIBE | Verb.QUERY
QUERY: dict[str, object] = {"stream": "facts", "query": "[:find ?n :where [_ :n ?n]]"}
LOG: dict[str, object] = {"stream": "facts"}
LESS = ("other/*",)  # attributes of which there are no facts
ASKS = '(request-token {:verbs [:read] :streams ["x/y"]})'


async def put(nodes: Fleet, *numbers: int) -> None:
    data = tuple(Map({Keyword("n"): number}) for number in numbers)
    await nodes.ask("alpha", "stream.transact", stream="facts", data=data)


@asynccontextmanager
async def following(
    nodes: Fleet, token: Token, verb: str, **body: object
) -> AsyncIterator[AsyncIterator[Map]]:
    """Yield what comes of an answer, part by part."""

    async def parts() -> AsyncGenerator[Map, None]:
        async for one in answers:
            if isinstance(one, Item):
                yield one.body

    async with (
        nodes.connected("alpha", token) as channel,
        aclosing(channel.stream(verb, Map(body))) as answers,
    ):
        with trio.fail_after(20):
            async with aclosing(parts()) as found:
                yield found


async def told(nodes: Fleet, token: Token, verb: str, **body: object) -> list[Map]:
    """Return all parts of an answer that ends."""
    async with following(nodes, token, verb, **body) as parts:
        return [one async for one in parts]


@pytest.mark.parametrize("verb", ["query.follow", "stream.log", "agent.follow", "request.follow"])
async def test_who_follows_hears_nothing_more_once_its_token_is_revoked(
    tmp_path: Path, verb: str
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await put(nodes, 1)
        says = '(do (log! "one") (sleep 1500) (log! "two") (sleep 600000))'
        agent = await nodes.spawn("alpha", says)
        await nodes.settled("alpha", await nodes.spawn("alpha", ASKS))
        token = nodes.token((READING, "**"))
        bodies: dict[str, dict[str, object]] = {
            "query.follow": QUERY,
            "stream.log": {"stream": "facts", "follow": True},
            "agent.follow": {"id": agent.hex()},
            "request.follow": {},
        }
        async with following(nodes, token, verb, **bodies[verb]) as parts:
            await anext(parts)
            revocation = Revocation.sign(nodes.cluster.root_key, token, 0).to_bytes()
            await nodes.ask("alpha", "token.revoke", revocation=revocation, token=token.to_bytes())
            await put(nodes, 2)
            await nodes.settled("alpha", await nodes.spawn("alpha", ASKS))
            with pytest.raises(RemoteError, match="revoked"):
                await anext(parts)


async def test_who_follows_hears_nothing_more_when_its_token_has_expired(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await put(nodes, 1)
        token = nodes.token((READING, "**"), ttl_s=1)
        async with following(nodes, token, "query.follow", **QUERY) as parts:
            await anext(parts)
            over_s = (token.blocks[-1].caveats.exp or 0) + 1
            await trio.sleep(over_s - nodes.clock.now_ms() / 1000)
            await put(nodes, 2)
            with pytest.raises(RemoteError, match=r"expired|ended|token"):
                await anext(parts)


async def left(nodes: Fleet, token: Token) -> Map:
    """Return what is left of a token's budgets."""
    found = await nodes.ask("alpha", "token.left", token=token.to_bytes())
    row: Map = found["left"][0]
    return row


async def test_rows_and_bytes_are_paid_for_whichever_way_they_are_read(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await put(nodes, 1, 2, 3)
        for verb, body in (
            ("query.follow", QUERY),
            ("stream.log", {"stream": "facts"}),
            ("query", QUERY),
        ):
            for resource in (Resource.ROWS, Resource.BYTES):
                poor = nodes.token((READING, "**"), budget={resource: 2})
                with pytest.raises(RemoteError, match=r"budget|left"):
                    await told(nodes, poor, verb, **body)
                assert (await left(nodes, poor))[resource.name.lower()] == 2


async def test_what_is_followed_uses_a_budget_up(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await put(nodes, 1, 2)
        token = nodes.token((READING, "**"), budget={Resource.ROWS: 4})
        async with following(nodes, token, "query.follow", **QUERY) as parts:
            assert len((await anext(parts))["added"]) == 2
            await put(nodes, 3, 4)
            assert len((await anext(parts))["added"]) == 2
            assert (await left(nodes, token))["rows"] == 0
            await put(nodes, 5)
            with pytest.raises(RemoteError, match="rows"):
                await anext(parts)


async def test_what_is_restored_is_paid_for(tmp_path: Path) -> None:
    rows = ((1 << 40, Keyword("n"), 7, True),)
    async with fleet(tmp_path, "alpha") as nodes:
        every = Verb.APPEND | Verb.RETRACT | Verb.SCHEMA | Verb.HISTORY | READING
        poor = nodes.token((every, "**"), budget={Resource.ROWS: 0})
        async with nodes.connected("alpha", poor) as channel:
            body = {"stream": "copy", "transactions": ((1, 1_000, rows),)}
            with pytest.raises(RemoteError, match="rows"):
                await channel.request("stream.restore", Map(body))


async def test_of_transactions_that_nobody_works_at_so_many_are_kept() -> None:
    report: Any = object()
    for most in (0, FOLLOW_BUFFER):
        committed = _Committed(most)
        for _ in range(most + 10):
            committed.note(report)
        assert len(committed.reports) == most
        assert committed.missed
        await committed.wait()


async def test_who_waits_for_an_agent_is_not_answered_once_its_token_is_revoked(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", "(sleep 1500)")
        token = nodes.token((READING, "**"))
        revocation = Revocation.sign(nodes.cluster.root_key, token, 0).to_bytes()
        async with nodes.connected("alpha", token) as channel, trio.open_nursery() as nursery:

            async def wait() -> None:
                with pytest.raises(RemoteError, match="revoked"):
                    await channel.request("agent.wait", Map({"id": agent.hex()}))

            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            await nodes.ask("alpha", "token.revoke", revocation=revocation, token=token.to_bytes())


async def revoke(nodes: Fleet, token: Token) -> None:
    revocation = Revocation.sign(nodes.cluster.root_key, token, 0).to_bytes()
    await nodes.ask("alpha", "token.revoke", revocation=revocation, token=token.to_bytes())


def session_of(nodes: Fleet, *tokens: Token) -> Session:
    """Return what a connection of the operator is that has presented tokens."""
    authority, key = nodes.nodes["alpha"].authority, nodes.cluster.operator_key.public
    handles = [authority.handle(authority.verify(one.to_bytes(), key), None) for one in tokens]
    return Session(key, tokens=handles)


async def parts_until_revoked(
    nodes: Fleet, verb: str, body: dict[str, object], revoked_after: int
) -> list[Map]:
    """Return what is sent of an answer whose token is revoked after so many parts."""
    token = nodes.token((READING, "**"))
    got: list[Map] = []

    async def take(part: Map) -> None:
        got.append(part)
        if len(got) == revoked_after:
            await revoke(nodes, token)

    request = nodes.nodes["alpha"].control.request
    with trio.fail_after(20), pytest.raises(Denied, match="revoked"):
        await request(session_of(nodes, token), verb, Map(body), take)
    return got


async def test_a_log_ends_where_its_token_does(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        for number in range(6):
            await put(nodes, number)
        parts = await parts_until_revoked(nodes, "stream.log", LOG, 3)
        assert [part["t"] for part in parts] == [1, 2, 3]


async def test_a_long_record_ends_where_its_token_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.watching.RECORD_PART", 100)
    async with fleet(tmp_path, "alpha") as nodes:
        data = (Map({Keyword("text"): "x" * 300}),)
        await nodes.ask("alpha", "stream.transact", stream="facts", data=data)
        parts = await parts_until_revoked(nodes, "stream.log", LOG, 2)
        assert [len(part["record"]) for part in parts] == [100, 100]


async def test_lines_of_an_agent_end_where_the_token_does(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        says = '(do (dotimes [i 9] (log! "line")) (sleep 600000))'
        agent = await nodes.spawn("alpha", says)
        await nodes.until("alpha", agent, "waiting")
        parts = await parts_until_revoked(nodes, "agent.follow", {"id": agent.hex()}, 4)
        assert [part["number"] for part in parts] == [1, 2, 3, 4]


async def test_who_follows_needs_every_right_until_the_end(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await put(nodes, 1)
        reads, follows = nodes.token((Verb.READ, "**")), nodes.token((Verb.SUBSCRIBE, "**"))
        got: list[Map] = []

        async def take(part: Map) -> None:
            assert not got
            got.append(part)
            await revoke(nodes, follows)
            await put(nodes, 2)

        request = nodes.nodes["alpha"].control.request
        with trio.fail_after(20), pytest.raises(Denied, match=r"subscribe.*revoked"):
            await request(session_of(nodes, reads, follows), "query.follow", Map(QUERY), take)
        assert len(got) == 1


async def first_part(nodes: Fleet, verb: str, body: dict[str, object], *tokens: Token) -> object:
    async with (
        nodes.connected("alpha", *tokens) as channel,
        aclosing(channel.stream(verb, Map(body))) as answers,
    ):
        return await anext(answers)


@pytest.mark.parametrize(
    ("verb", "body"),
    [("query", QUERY), ("query.follow", QUERY), ("stream.log", LOG)],
    ids=["query", "query.follow", "stream.log"],
)
async def test_a_token_that_shows_less_does_not_pay(
    tmp_path: Path, verb: str, body: dict[str, object]
) -> None:
    body = body if verb == "stream.log" else {**body, "query": "[:find ?e ?a ?v :where [?e ?a ?v]]"}
    async with fleet(tmp_path, "alpha") as nodes:
        await put(nodes, 1, 2, 3)
        full = nodes.token((READING, "**"), budget={Resource.ROWS: 2})
        less = nodes.token((READING, "**"), attrs=LESS)
        for tokens in ((full, less), (full,)):
            with trio.fail_after(20), pytest.raises(RemoteError, match="has 2 rows left"):
                await first_part(nodes, verb, body, *tokens)
        assert (await left(nodes, full))["rows"] == 2


async def test_a_token_that_shows_less_does_not_pay_for_an_agent(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await put(nodes, 1, 2, 3)
        full = nodes.token((READING, "**"), budget={Resource.ROWS: 2})
        less = nodes.token((READING, "**"), attrs=LESS)
        source = '(count (q \'[:find ?e ?a ?v :where [?e ?a ?v]] "facts"))'
        agent = await nodes.spawn("alpha", source, full, less)
        _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["shortage"]) == ("paused", ("rows", 4))


async def test_a_token_that_shows_some_pays_for_them(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await put(nodes, 1, 2, 3)
        source = '(count (q \'[:find ?e ?a ?v :where [?e ?a ?v]] "facts"))'
        other = nodes.token((READING, "**"), attrs=("n",))
        for rows, outcome in ((3, "done"), (2, "paused")):
            some = nodes.token((READING, "**"), attrs=("n",), budget={Resource.ROWS: rows})
            agent = await nodes.spawn("alpha", source, some)
            _, row = await nodes.settled("alpha", agent)
            assert row["state"] == outcome, row["reason"]
        agent = await nodes.spawn("alpha", source, some, other)  # which shows as much
        _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["result"]) == ("done", "3")


async def test_another_token_that_shows_as_much_lets_one_go_on(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await put(nodes, 1)
        first, second = nodes.token((READING, "**")), nodes.token((READING, "**"))
        async with (
            nodes.connected("alpha", first, second) as channel,
            aclosing(channel.stream("query.follow", Map(QUERY))) as answers,
        ):
            with trio.fail_after(20):
                await anext(answers)
                await revoke(nodes, first)
                await put(nodes, 2)
                assert (await anext(answers)).body["added"] == Set([(2,)])


@pytest.mark.parametrize(
    ("verb", "body"), [("stream.log", {**LOG, "follow": True}), ("query.follow", QUERY)]
)
async def test_what_was_paid_for_a_part_lasts_when_it_is_sent(
    tmp_path: Path, verb: str, body: dict[str, object]
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await put(nodes, 0)
        token = nodes.token((READING, "**"), budget={Resource.ROWS: 100})
        node = nodes.nodes["alpha"]
        lasting: list[int] = []

        async def take(part: Map) -> None:
            meter = Meter(node.authority.key)
            with node.streams.batch() as batch:
                meter.load(batch.scan(METER_TABLE))
            verified = node.authority.verify_chain(token.to_bytes())
            lasting.append(meter.left(verified)[Resource.ROWS])
            assert lasting[-1] == node.authority.left(verified)[0][Resource.ROWS]
            if len(lasting) == 3:
                done.cancel()
            await put(nodes, len(lasting))

        with trio.fail_after(20), trio.CancelScope() as done:
            await node.control.request(session_of(nodes, token), verb, Map(body), take)
        assert len(lasting) == 3
        assert lasting == sorted({*lasting}, reverse=True)  # each cost something


async def test_of_a_log_as_much_is_sent_as_is_paid_for(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        for number in range(5):
            await put(nodes, number)  # two rows each, with the time
        token = nodes.token((READING, "**"), budget={Resource.ROWS: 5})
        got: list[Map] = []

        async def take(part: Map) -> None:
            got.append(part)

        request = nodes.nodes["alpha"].control.request
        with trio.fail_after(20), pytest.raises(Denied, match="has 1 rows left, not 2"):
            await request(session_of(nodes, token), "stream.log", Map(LOG), take)
        assert [part["t"] for part in got] == [1, 2]
        refusals = "[:find (count ?e) . :where [?e :audit/allowed false] [?e :audit/budget :rows]]"
        found = await nodes.ask("alpha", "query", stream=AUDIT_STREAM, query=refusals)
        assert found["value"] == 1


async def test_a_stream_may_be_named_with_its_node(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await put(nodes, 1)
        token = nodes.token((READING, "alpha/facts"))
        for name in ("facts", "alpha/facts"):
            assert len(await told(nodes, token, "stream.log", stream=name)) == 1
            body = {**QUERY, "stream": name}
            async with nodes.connected("alpha", token) as channel:
                assert (await channel.request("query", Map(body)))["value"] == Set([(1,)])
            async with following(nodes, token, "query.follow", **body) as parts:
                assert (await anext(parts))["added"] == Set([(1,)])

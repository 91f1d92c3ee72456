"""Answers that go on for a while: each part of them is allowed when it is sent, and paid for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from fleet import Fleet, fleet

from capabilities.caveats import Resource, Verb
from capabilities.revocation import Revocation
from capabilities.tokens import Token
from datomstore.value import Keyword, Map
from protocol.errors import RemoteError
from protocol.messages import Item
from yind.limits import FOLLOW_BUFFER
from yind.watching import _Committed

READING = Verb.READ | Verb.HISTORY | Verb.SUBSCRIBE | Verb.QUERY
QUERY: dict[str, object] = {"stream": "facts", "query": "[:find ?n :where [_ :n ?n]]"}
ASKS = '(request-token {:verbs [:read] :streams ["x/y"]})'


async def put(nodes: Fleet, *numbers: int) -> None:
    data = tuple(Map({Keyword("n"): number}) for number in numbers)
    await nodes.ask("alpha", "stream.transact", stream="facts", data=data)


@asynccontextmanager
async def following(
    nodes: Fleet, token: Token, verb: str, **body: object
) -> AsyncIterator[AsyncIterator[Map]]:
    """Yield what comes of an answer, part by part."""

    async def parts() -> AsyncIterator[Map]:
        async for one in answers:
            if isinstance(one, Item):
                yield one.body

    async with (
        nodes.connected("alpha", token) as channel,
        aclosing(channel.stream(verb, Map(body))) as answers,
    ):
        with trio.fail_after(20):
            yield parts()


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

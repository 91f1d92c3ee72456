"""A node that gives an agent away twice: it is named by whoever asks the others, and caught by one that had the agent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
from commands import beside
from dishonest import audit, besieged, visited
from fleet import Fleet, fleet

from capabilities.journey import Receipt
from capabilities.keys import PublicKey
from datomstore.value import Keyword
from protocol.errors import RemoteError
from protocol.messages import Own

VISIT = '(do (hop! "mallory") (sleep 600000))'


async def receipts(nodes: Fleet, name: str, count: int) -> list[dict[str, Any]]:
    """Return what a node's audit stream says of so many receipts, once it does; a refusal waits for the next commit."""
    with trio.fail_after(10):
        while True:
            noted = [row for row in await audit(nodes, name) if "receipt" in row]
            if len(noted) >= count:
                return noted


async def found(nodes: Fleet, captured: pytest.CaptureFixture[str], *arguments: str) -> Any:
    answer = await beside(nodes.cluster, captured, "audit", "contradictions", "--json", *arguments)
    document = json.loads(answer.out)
    assert answer.code == (1 if document["items"] else 7 if document["missed"] else 0)
    return document


async def test_who_gives_an_agent_to_two_nodes_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with besieged(tmp_path, "alpha", "beta", "gamma") as (nodes, mallory):
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        for name in ("beta", "gamma"):
            assert isinstance(await mallory.offers(name, mallory.hand_on(offer, name)), Own)
        told = await found(nodes, capsys)
        (item,) = told["items"]
        assert (item["agent"], item["epoch"]) == (offer.agent.hex()[:12], 2)
        assert (item["kind"], item["dishonest"], item["excuse"]) == ("twice", ["mallory"], "")
        shown = [item["first"], item["second"]]
        assert {one["node"] for one in shown} == {one["to"] for one in shown} == {"beta", "gamma"}
        first, second = (
            Receipt.from_bytes(bytes.fromhex(one["receipt"]), PublicKey.parse(one["from_key"]))
            for one in shown
        )
        assert first.contradicts(second)
        assert list(told["missed"]) == ["mallory"]  # it does not answer such questions
        text = await beside(nodes.cluster, capsys, "audit", "contradictions")
        assert "mallory was not asked" in text.err
        assert text.out.count("twice") == 1
        nobody = await found(nodes, capsys, "--agent", "000000000000")
        assert (nobody["items"], nobody["receipts"]) == ([], 0)
        await nodes.stop("gamma")
        told = await found(nodes, capsys)
        assert (told["items"], sorted(told["missed"])) == ([], ["gamma", "mallory"])


async def test_the_other_of_two_is_refused_where_the_first_has_been(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with besieged(tmp_path, "alpha", "beta", "gamma", "delta") as (nodes, mallory):
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        assert isinstance(await mallory.offers("beta", mallory.hand_on(offer, "beta")), Own)
        await nodes.ask("beta", "agent.migrate", id=offer.agent.hex(), node="alpha")
        assert isinstance(await mallory.offers("gamma", mallory.hand_on(offer, "gamma")), Own)
        await nodes.ask("gamma", "agent.migrate", id=offer.agent.hex(), node="delta")
        with pytest.raises(RemoteError, match="there are two of agent"):  # from an honest node
            await nodes.ask("delta", "agent.migrate", id=offer.agent.hex(), node="beta")
        noted = await receipts(nodes, "beta", 2)
        assert [row["allowed"] for row in noted] == [True, False]
        had, refused = (Receipt.from_bytes(row["receipt"], mallory.key.public) for row in noted)
        assert had.contradicts(refused)
        assert (noted[1]["verb"], noted[1]["from"]) == (Keyword("migrate"), mallory.key.public.text)
        assert refused.leg.taker == mallory.key_of("gamma")
        await nodes.stop("gamma")  # beta alone knows both
        told = await found(nodes, capsys, "--nodes", "beta")
        (item,) = told["items"]
        assert (item["kind"], item["dishonest"]) == ("twice", ["mallory"])
        assert [item["first"]["taken"], item["second"]["taken"]] == [True, False]
        # The agent itself goes on where it is, and may come back.
        await nodes.ask("alpha", "agent.migrate", id=offer.agent.hex(), node="beta")
        agent = nodes.nodes["beta"].agents.get(offer.agent)
        assert agent is not None
        assert (agent.record.epoch, agent.ended) == (4, False)


async def test_honest_journeys_contradict_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = '(do (hop! "beta") (hop! "alpha") (hop! "beta") (hop! "gamma") (hop! "alpha") (here))'
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        assert await nodes.result("alpha", source, nodes.token(), nodes.token()) == '"alpha"'
        told = await found(nodes, capsys)
        assert (told["items"], told["receipts"], told["missed"]) == ([], 5, {})

"""The block with which a token is handed on says what was handed over: another state, or epoch, is refused."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
from fleet import Fleet, fleet
from msgspec.structs import replace

from capabilities.caveats import Verb
from datomstore.value import Keyword, Map
from protocol import handoff
from protocol.messages import Go, HandOff, Offer, Own, Refuse
from protocol.transport import Channel, SendItem, client_context, connect
from yind.luggage import offer_of, packed_of

HERE = "(do (here) (sleep 100000))"


@dataclass
class Listener:
    """What a node hears that the test plays."""

    answers: list[HandOff] = field(default_factory=list)
    heard: trio.Event = field(default_factory=trio.Event)

    async def request(self, channel: Channel, verb: str, body: Map, send: SendItem) -> Map:
        return Map()

    def message(self, channel: Channel, message: HandOff) -> None:
        self.answers.append(message)
        self.heard.set()


@asynccontextmanager
async def as_alpha(nodes: Fleet, listener: Listener) -> AsyncIterator[Channel]:
    """Yield a connection to beta that is alpha's: a member that says what it likes."""
    identity = nodes.nodes["alpha"].identity.now
    member = nodes.cluster.node("beta")
    async with connect(
        member.addresses[0],
        context=client_context(identity.key, identity.certificate, [member.certificate]),
        server=member.key,
        name="alpha",
        nonce=os.urandom(16),
        handler=listener,
    ) as channel:
        yield channel


async def offers(nodes: Fleet) -> tuple[Offer, Offer]:
    """Return the honest offer of an agent on alpha, and one of the same agent in another state with the same tokens."""
    alpha, beta = nodes.nodes["alpha"], nodes.cluster.node("beta")
    token = nodes.token((Verb.MIGRATE, "*"))
    known = await nodes.spawn("beta", HERE, nodes.token())  # so that beta knows the program
    del known
    agent_id = await nodes.spawn(
        "alpha", HERE, token, arguments=Map({Keyword("a"): 1}), paused=True
    )
    agent = alpha.agents.get(agent_id)
    assert agent is not None
    alpha.agents.load(agent)
    packed = packed_of(agent.record, paused=False, reason="")
    tokens = alpha.authority.hand_on(agent, beta.key, "beta", state=packed.digest, epoch=1)
    attempt = handoff.new_attempt(alpha.clock.now_ms(), os.urandom(handoff.CHANCE_BYTES))
    honest = offer_of(agent.record, packed, attempt, tokens)
    agent.record.name = "somebody else"
    forged = packed_of(agent.record, paused=False, reason="")
    return honest, offer_of(agent.record, forged, attempt + 1, tokens)


async def answer(channel: Channel, listener: Listener, offer: Offer) -> HandOff:
    listener.heard = trio.Event()
    await channel.send(offer)
    await channel.send(Go(offer.agent, offer.epoch, offer.attempt))
    with trio.fail_after(10):
        await listener.heard.wait()
    return listener.answers[-1]


async def test_only_the_state_that_was_signed_over_is_taken(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        listener = Listener()
        honest, forged = await offers(nodes)
        async with as_alpha(nodes, listener) as channel:
            refused = await answer(channel, listener, forged)
            assert isinstance(refused, Refuse)
            assert "another state" in refused.reason
            assert isinstance(await answer(channel, listener, honest), Own)


@pytest.mark.parametrize("epoch", [2, 7])
async def test_a_token_signed_over_for_one_epoch_does_not_bring_another(
    tmp_path: Path, epoch: int
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        listener = Listener()
        honest, _ = await offers(nodes)
        async with as_alpha(nodes, listener) as channel:
            refused = await answer(channel, listener, replace(honest, epoch=epoch))
            assert isinstance(refused, Refuse)
            assert "another epoch" in refused.reason

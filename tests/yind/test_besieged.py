"""A node whose agent a hostile one plays with: every message of a hand-off, true or false, at any time, and crashes between.

`protocol/test_handoff_explored.py` walks the rules through whole for this; here it is the daemon, with its disk. The seed
fixes what is said. BESIEGED_SEEDS=300 in the environment looks for what is rare.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import trio
from dishonest import Dishonest, besieged, fresh_attempt
from fleet import Fleet
from msgspec.structs import replace

from protocol.errors import ProtocolError
from protocol.messages import CancelOffer, Go, HandOff, Offer, Own, Refuse, Want
from protocol.transport import Channel
from yind.agent import State

SEEDS = int(os.environ.get("BESIEGED_SEEDS", "6"))
WORDS = 120
CRASHES = 2
AS_TARGET = (Own, Want)
AS_SOURCE = (Go, Go, CancelOffer)
RESTLESS = """
(loop [i 0]
  (try (hop! "mallory") (catch Exception e nil))
  (transact! "visits" [{:visit/number i}])
  (sleep 1)
  (recur (inc i)))
"""


class Storm:
    """What a hostile node says of an agent that it is given now and then."""

    def __init__(
        self, nodes: Fleet, mallory: Dishonest, agent: bytes, chance: random.Random
    ) -> None:
        self._nodes = nodes
        self._mallory = mallory
        self._agent = agent
        self._chance = chance
        self._brought: list[Offer] = []

    async def blow(self) -> None:
        """Say much of what it can, over several connections; alpha is cut off now and then."""
        self._mallory.answers_own = False
        crashes = CRASHES
        left = WORDS
        while left:
            async with self._mallory.connected("alpha") as channel:
                for _ in range(self._chance.randint(1, 2 * WORDS // (CRASHES + 1))):
                    left = max(0, left - 1)
                    await self._say(channel)
            if crashes:
                crashes -= 1
                await self._nodes.crash("alpha")
                await self._nodes.start("alpha")

    async def _say(self, channel: Channel) -> None:
        try:
            for message in self._words():
                await channel.send(message)
        except ProtocolError as error:
            raise AssertionError(f"alpha ended the connection: {error}") from error
        match self._chance.randrange(3):
            case 0:
                await channel.request("node.info")  # what came before has been taken
            case 1:
                await trio.sleep(self._chance.choice([0.001, 0.01]))

    def _words(self) -> list[HandOff]:
        given = [offer for offer in self._mallory.given if offer.agent == self._agent]
        if not given:
            return []
        offer = given[-1] if self._chance.random() < 0.8 else self._chance.choice(given)
        no = Refuse(offer.agent, offer.epoch, offer.attempt, "node/full", "no room")
        match self._chance.randrange(5):
            case 0:
                said = self._chance.choice(AS_TARGET)
                return [said(offer.agent, offer.epoch, offer.attempt)]
            case 1:
                return [no]
            case 2:
                return [self._bring(offer)]
            case 3:  # it is refused and taken while it is checked and written
                bring = self._bring(offer)
                return [bring, no, Go(bring.agent, bring.epoch, bring.attempt)]
            case _ if self._brought:
                known = self._brought[-1 - int(self._chance.expovariate(1.0)) % len(self._brought)]
                kind = self._chance.choice(AS_SOURCE)
                return [kind(known.agent, known.epoch, known.attempt)]
        return []

    def _bring(self, offer: Offer) -> Offer:
        bring = self._mallory.hand_on(offer, "alpha")
        self._brought.append(replace(bring, attempt=fresh_attempt(self._chance.randbytes(10))))
        return self._brought[-1]


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_whatever_a_hostile_node_says_a_node_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("yind.departures.HAND_OFF_RETRY_S", 0.05)
    # Who speaks over one of two connections is not cut off, however slow the machine is: only what it says may end it.
    monkeypatch.setattr("yind.peers.RETIRE_S", 3600)
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        agent = await nodes.spawn("alpha", RESTLESS, nodes.token())
        with trio.fail_after(60):
            await mallory.went.wait()
            await Storm(nodes, mallory, agent, random.Random(seed)).blow()
            assert await nodes.result("beta", '(hop! "alpha") (here)', nodes.token()) == '"alpha"'
            await nodes.crash("alpha")
            alpha = await nodes.start("alpha")
        found = alpha.agents.get(agent)
        assert found is not None
        assert found.record.state not in {State.DONE, State.FAILED, State.KILLED}

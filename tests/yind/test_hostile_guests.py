"""Agents that a member has made up: images and luggage that are nearly right, offered and run on an honest node.

The fuzzing of images (`fuzzing`) asks the same of the machine alone, under sanitizers; here it is the daemon: what it lets in
runs on its loop, with its streams, until it ends, waits or lacks something. The seed fixes what is offered.
GUESTS_SEEDS=20 in the environment looks for what is rare.
"""

from __future__ import annotations

import os
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from dishonest import Dishonest, besieged, visited
from fleet import Fleet
from fuzzing import changed_bytes, changed_fields

from capabilities.caveats import Rights, Verb
from protocol.errors import RemoteError
from protocol.messages import Offer, Own
from yind.agent import State
from yind.luggage import COUNT_MAX, opened

SEEDS = int(os.environ.get("GUESTS_SEEDS", "2"))
GUESTS = 120
TRAVELLED = """
(let [seen (atom {:visits [1 2.5 "three"] :nested {:k #{1 2}}})
      note (fn [x] (transact! "visits" [{:visit/number x}]) (swap! seen update :visits conj x))]
  (doseq [i (range 3)] (note i))
  (hop! "mallory")
  (doseq [i (range 3 6)] (note i))
  (sleep 1)
  (q '[:find ?n :where [_ :visit/number ?n]] "visits")
  (spawn! (fn [] (reduce + (:visits @seen))))
  (try (hop! "mallory") (catch Exception e (str e)))
  (count (:visits @seen)))
"""
RIGHTS = tuple(Rights(verb, "**") for verb in (Verb.READ, Verb.APPEND, Verb.SCHEMA, Verb.SPAWN))


def luggage(chance: random.Random) -> dict[str, Any]:
    """Return what its luggage says otherwise: seldom more than one thing."""
    number = chance.choice((0, 1, 17, 1 << 31, COUNT_MAX, COUNT_MAX + 1, -1))
    fields: list[tuple[str, Any]] = [
        ("memory_max", number),
        ("fuel_max", number),
        ("fuel_owed", number),
        ("wake_ms", number),
        ("hop_count", number),
        ("created_ms", number),
        ("log_dropped", number),
        ("paused", True),
        ("session", True),
        ("reason", "\x1b[2J" * number if number == 17 else "because"),
        ("log", ["a line\n" * 17] * min(abs(number), 2000)),
        ("denied_right", "read **"),
        ("shortage", ("rows", number)),
        ("shortage", ("gold", number)),
        ("name", "n" * min(abs(number), 1 << 17)),
    ]
    return dict(chance.sample(fields, chance.choice((0, 0, 0, 1, 2))))


def guest(mallory: Dishonest, taken: Offer, chance: random.Random) -> Offer:
    """Return an agent that is nearly the one it was given."""
    known, image = opened(taken)
    image = mallory.arrived(image)
    if chance.random() < 0.9:
        image = (changed_bytes if chance.random() < 0.3 else changed_fields)(chance, image)
    return mallory.own_agent(
        "alpha", image, known.program, rights=RIGHTS, programs=taken.programs, says=luggage(chance)
    )


async def settled(nodes: Fleet, agent: bytes) -> dict[str, Any]:
    """Return a row of an agent that does nothing more by itself; who computes for ever is killed."""
    known = nodes.nodes["alpha"].agents.get(agent)
    assert known is not None
    with trio.move_on_after(0.2):
        while known.record.state not in (State.DONE, State.FAILED, State.PAUSED):
            await trio.testing.wait_all_tasks_blocked(0.001)
    with suppress(RemoteError):  # it has ended meanwhile
        await nodes.ask("alpha", "agent.kill", id=agent.hex())
    found: dict[str, Any] = await nodes.ask("alpha", "agent.show", id=agent.hex())
    return found


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_a_node_outlives_the_agents_that_a_member_made_up(tmp_path: Path, seed: int) -> None:
    chance, came = random.Random(seed), 0
    async with besieged(tmp_path, "alpha") as (nodes, mallory):
        taken = await visited(nodes, mallory, TRAVELLED, nodes.token())
        for _ in range(GUESTS):
            offer = guest(mallory, taken, chance)
            answer = await mallory.offers("alpha", offer)
            if isinstance(answer, Own):
                came += 1
                row = await settled(nodes, offer.agent)
                assert "internal" not in str(row), row
        await nodes.stop("alpha")
        await nodes.start("alpha")  # what was kept of them is read again
        assert len(nodes.nodes["alpha"].agents) > came
    assert came > GUESTS // 20

"""Whole nodes in simulated worlds: nothing is lost or done twice whatever happens there, and a seed is one world.

`make simulate` has thousands. What a world is made of is tested here, too: a network that loses nothing by itself, disks
that outlive a crash.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest
import trio
import trio.testing
from missteps import MISSTEPS
from wires import Wires, at

WORLDS = int(os.environ.get("SIMULATED_WORLDS", "12"))
SEED = int(
    os.environ.get("SIMULATED_SEED", "0")
)  # the first of them; any change makes another world of a seed
UNTIL_SHOWN = 150  # worlds; most mistakes take ten or twenty


def simulating(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "simulating", *arguments]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=400
    )


@pytest.mark.timeout(420)
def test_whatever_happens_in_a_world_agents_are_once_and_do_all_once() -> None:
    run = simulating("--seed", str(SEED), "--worlds", str(WORLDS))
    sys.stdout.write(run.stdout)  # shown when it fails
    assert run.returncode == 0, run.stderr
    assert run.stdout.count(" hops ") == WORLDS


def test_a_seed_is_one_world() -> None:
    first, second = (simulating("--seed", "7", "--trace") for _ in range(2))
    assert first.stdout.count("\n") > 500
    assert first.stdout == second.stdout


@pytest.mark.timeout(420)
@pytest.mark.parametrize("name", MISSTEPS)
def test_every_mistake_shows(name: str) -> None:
    run = simulating("--seed", "0", "--worlds", str(UNTIL_SHOWN), "--mistake", name)
    assert run.returncode == 1, run.stderr
    assert "went wrong" in run.stderr


# -- the world itself --


async def test_bytes_arrive_in_their_order_whatever_they_take(autojump_clock: object) -> None:
    wires = Wires(random.Random(5), lambda line: None)
    said = bytes(range(256)) * 40
    with at("beta"):
        (listener,) = await wires.open_tcp_listeners(1)
    with at("alpha"):
        here = await wires.open_tcp_stream("beta", 1)
    there = await listener.accept()
    for start in range(0, len(said), 100):
        await here.send_all(said[start : start + 100])
    await here.aclose()
    assert b"".join([part async for part in there]) == said


async def test_places_that_are_parted_hear_nothing_and_lose_nothing(
    autojump_clock: object,
) -> None:
    wires = Wires(random.Random(5), lambda line: None)
    pair = frozenset({"alpha", "beta"})
    with at("beta"):
        (listener,) = await wires.open_tcp_listeners(1)
    with at("alpha"):
        here = await wires.open_tcp_stream("beta", 1)
        there = await listener.accept()
        wires.part(pair)
        await here.send_all(b"hello")
        with trio.move_on_after(100) as waiting:
            await there.receive_some()
        assert waiting.cancelled_caught
        with trio.move_on_after(100) as waiting:
            await wires.open_tcp_stream("beta", 1)
        assert waiting.cancelled_caught
    wires.join(pair)
    assert await there.receive_some() == b"hello"


async def test_of_a_process_that_ends_what_it_has_sent_arrives_and_then_the_end(
    autojump_clock: object,
) -> None:
    for power in (False, True):
        wires = Wires(random.Random(5), lambda line: None)
        with at("beta"):
            (listener,) = await wires.open_tcp_listeners(1)
        with at("alpha"):
            here = await wires.open_tcp_stream("beta", 1)
            there = await listener.accept()
            await there.send_all(b"last words")
            wires.take_down("beta", power=power)
            heard = b""
            with trio.move_on_after(100) as waiting:
                while data := await here.receive_some():
                    heard += data
            assert waiting.cancelled_caught == power
            assert heard == (b"" if power else b"last words")
            if not power:
                with pytest.raises(trio.BrokenResourceError):
                    await here.send_all(b"is anybody there")
                with pytest.raises(OSError, match="nobody listens"):
                    await wires.open_tcp_stream("beta", 1)

"""Some hundred hops among three daemons that are killed, parted and cut off: every agent ends once, with its effects.

`make soak` has ten thousand.
"""

from __future__ import annotations

import os
import random
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from proxies import network
from soaking import soak

from cli.cluster import free_port


@pytest.mark.timeout(240)
def test_agents_in_a_storm_end_exactly_once_with_what_they_did(tmp_path: Path) -> None:
    seed = random.Random().randrange(1 << 32)
    with soak(tmp_path, seed) as run:
        outcome = run.run(agents=12, steps=25)
    said = "\n".join(outcome.lines())
    sys.stdout.write(
        f"seed {seed}\n{said}\n"
    )  # shown when it fails; `python -m soaking` takes a seed
    assert outcome.good
    assert outcome.states == {"done": 12}
    assert outcome.migrations == 12 * 25


# -- the network that misbehaves, by itself --


async def echo(stream: trio.SocketStream) -> None:
    async for data in stream:
        await stream.send_all(data)


async def test_a_node_is_known_by_its_process_and_parted_from_another() -> None:
    """Here one process is both nodes: what it says to itself is held back."""
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        real = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, echo, [listener])
        port, pair = free_port("127.0.0.1"), frozenset({"alpha", "beta"})
        here = {"beta": os.getpid()}
        nodes = {port: ("alpha", real), free_port("127.0.0.1"): ("beta", 1)}
        with network(nodes, here.get) as net:
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(b"hello")
                assert await stream.receive_some() == b"hello"
                net.do(lambda: net.part(pair))
                await stream.send_all(b"is anybody there")
                with trio.move_on_after(0.2):
                    await stream.receive_some()
                    raise AssertionError("nothing should come")
                net.do(lambda: net.join(pair))
                assert await stream.receive_some() == b"is anybody there"
                net.do(lambda: net.cut(pair, within=True))
                await stream.send_all(b"four" * 2)
                received = b""
                with suppress(trio.BrokenResourceError):
                    while data := await stream.receive_some():
                        received += data
                assert len(received) < 8
        nursery.cancel_scope.cancel()


async def test_who_is_no_node_is_passed_through_untouched() -> None:
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        real = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, echo, [listener])
        port = free_port("127.0.0.1")
        nobody: dict[str, int] = {}
        with network({port: ("alpha", real)}, nobody.get) as net:
            net.do(lambda: net.part(frozenset({"alpha", "beta"})))
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(b"hello")
                assert await stream.receive_some() == b"hello"
        nursery.cancel_scope.cancel()

"""Over a line that takes little at a time: what is small does not wait until what is large has got through."""

from __future__ import annotations

from pathlib import Path

import trio
import trio.testing
from fleet import Fleet, fleet, until

from capabilities.revocation import Revocation
from protocol.limits import MESSAGE_BYTES_MAX, WRITE_BYTES
from yind.agent import State

LARGE = """
(let [ballast (apply str (map (fn [n] (str "n" (* n 7919))) (range 200000)))]
  (hop! "beta")
  (count ballast))
"""
SMALL = '(do (hop! "beta") (here))'


class ThinLine:
    """The connection from one node to another, whose writes each wait until there is leave for one."""

    def __init__(self, nodes: Fleet, source: str, target: str) -> None:
        channel = nodes.nodes[source].peers.open_channel(target)
        assert channel is not None, target
        self._stream = channel._stream
        self._write = self._stream.send_all
        self._leave, self._left = trio.open_memory_channel[None](MESSAGE_BYTES_MAX // 1024)
        self.written = 0
        self._stream.send_all = self._send_all  # type: ignore[method-assign]
        self._stream.send_now = self._send_now  # type: ignore[attr-defined]
        self._kept = b""
        self._is_open = False

    def _send_now(self, data: bytes) -> bool:
        self._kept += data
        return False

    async def _send_all(self, data: bytes | bytearray | memoryview) -> None:
        if not self._is_open:
            await self._left.receive()
        kept, self._kept = self._kept, b""
        self.written += len(kept) + len(data)
        await self._write(kept + data)

    async def let(self, writes: int) -> None:
        """Let some writes through, one after the other."""
        for _ in range(writes):
            self._leave.send_nowait(None)
            await trio.testing.wait_all_tasks_blocked()

    def open(self) -> None:
        """Let everything through from now on."""
        self._is_open = True
        self._leave.send_nowait(None)


async def test_small_agents_and_revocations_overtake_a_large_agent(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha, beta = nodes.nodes["alpha"], nodes.nodes["beta"]
        await nodes.result("alpha", SMALL, nodes.token())  # its program is at both from now on
        large = await nodes.spawn("alpha", LARGE, nodes.token(), paused=True)
        line = ThinLine(nodes, "alpha", "beta")
        await nodes.ask("alpha", "agent.resume", id=large.hex())
        leaving = alpha.migration._departures
        await until(lambda: leaving.holds(large))
        size = len(leaving._under_way[large].offer.body)
        assert size > 4 * WRITE_BYTES
        await line.let(2)

        small = await nodes.spawn("alpha", SMALL, nodes.token())
        token = nodes.token()
        revocation = Revocation.sign(nodes.cluster.root_key, token, 0)
        await nodes.ask(
            "alpha", "token.revoke", revocation=revocation.to_bytes(), token=token.to_bytes()
        )
        began = line.written
        while beta.agents.get(small) is None or not len(beta.authority.revoked):
            assert line.written - began < size / 2, "they wait for the large one"
            await line.let(1)
        assert beta.agents.get(large) is None
        line.open()
        place, row = await nodes.settled("alpha", large)
        assert (place, row["state"]) == ("beta", State.DONE)
        place, row = await nodes.settled("alpha", small)
        assert (place, row["result"]) == ("beta", '"beta"')

"""What may come with the peer's Hello: nothing."""

from __future__ import annotations

import pytest
import trio.testing

from protocol.connection import Connection
from protocol.errors import RemoteFault
from protocol.messages import Ping
from protocol.transport import _greet


async def test_what_comes_with_the_hello_is_refused() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    peer = Connection(name="peer", nonce=bytes(16))
    hello = peer.hello()
    peer.receive_data(Connection(name="any", nonce=bytes(16)).hello())
    await theirs.send_all(hello + peer.send(Ping(1)))
    with pytest.raises(RemoteFault) as refused:
        await _greet(ours, name="node", nonce=bytes(16))
    assert refused.value.code == "wire/order"

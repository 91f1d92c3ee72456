"""A proof of possession is good for the connection it was made on, at the node it was made for."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleet import fleet

from capabilities.keys import PrivateKey
from capabilities.tokens import Caveats
from datomstore.value import Map
from protocol.errors import RemoteError

ANN = PrivateKey(b"a" * 32)


async def test_a_proof_is_good_once_and_at_one_node(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        operator = nodes.cluster.operator_key
        token = nodes.token().append(operator, ANN.public, Caveats())
        alpha, beta = (nodes.cluster.node(name).key for name in ("alpha", "beta"))
        async with nodes.connected("alpha") as channel:
            proof = token.prove(ANN, alpha, channel.peer_challenge).to_bytes()
            await channel.request("session.present", Map({"tokens": (proof,)}))
            await channel.request("agent.list")
            for bad in (
                token.to_bytes(),
                token.prove(ANN, beta, channel.peer_challenge).to_bytes(),
                token.prove(ANN, alpha, bytes(16)).to_bytes(),
                token.prove(ANN, alpha, channel.challenge).to_bytes(),
            ):
                with pytest.raises(RemoteError, match=r"token|signature|bound"):
                    await channel.request("session.present", Map({"tokens": (bad,)}))
        async with nodes.connected("alpha") as another:
            with pytest.raises(RemoteError):
                await another.request("session.present", Map({"tokens": (proof,)}))

"""What a node writes down is written by the node alone, whatever one's tokens say."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleet import fleet

from datomstore.value import Keyword, Map
from protocol.errors import RemoteError
from yind.limits import SYSTEM_STREAMS


async def test_an_agent_does_not_write_what_the_node_writes(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        for stream in sorted(SYSTEM_STREAMS):
            source = f'(try (transact! "{stream}" [{{:n 1}}]) (catch Exception e (ex-message e)))'
            assert "by the node alone" in await nodes.result("alpha", source, nodes.token())


async def test_a_person_does_not_write_what_the_node_writes(tmp_path: Path) -> None:
    data = (Map({Keyword("n"): 1}),)
    async with fleet(tmp_path, "alpha") as nodes:
        for stream in sorted(SYSTEM_STREAMS):
            for verb, fields in (
                ("stream.transact", {"data": data}),
                ("stream.restore", {"transactions": ()}),
            ):
                with pytest.raises(RemoteError, match="by the node alone"):
                    await nodes.ask("alpha", verb, stream=stream, **fields)

"""Agents on one node: spawn, results, faults, effects, pause and resume, restart."""

from __future__ import annotations

from pathlib import Path

from fleet import fleet


async def test_an_agents_result_is_its_last_value(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        assert await nodes.result("alpha", "(reduce + (map inc [1 2 3]))") == "9"

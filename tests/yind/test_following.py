"""What several nodes send as it happens, also those that come later, or come again."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
import trio
from fleet import Fleet, fleet

from cli import following
from cli.cluster import add_node
from cli.errors import CliError, Exit
from cli.following import followed
from datomstore.value import Map

ASK = '(request-token {:verbs [:read] :streams ["*/facts"]})'


async def following_one(news: Generator[tuple[str, Map], None, None]) -> tuple[str, bytes]:
    """Return where the next request is, and whose it is."""
    with trio.fail_after(20):
        name, row = await trio.to_thread.run_sync(next, news)
    return name, row["agent"]


async def asks(nodes: Fleet, name: str) -> tuple[str, bytes]:
    return name, await nodes.spawn(name, ASK)


async def test_a_node_that_is_down_is_heard_when_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(following, "AGAIN_S", 0.02)
    async with fleet(tmp_path, "alpha") as nodes:
        add_node(nodes.cluster, "beta", listen="127.0.0.1:0")
        names = ("alpha", "beta")
        news = followed(nodes.cluster, names, "request.follow", Map(), again=True)
        first = await asks(nodes, "alpha")
        assert await following_one(news) == first
        await nodes.start("beta")
        second = await asks(nodes, "beta")
        assert await following_one(news) == second
        assert capsys.readouterr().err == "no answer from beta: it is asked again\n"
        await nodes.stop("beta")
        await nodes.start("beta")
        assert await following_one(news) == second  # it waits still, and is told again
        news.close()


async def test_who_is_to_be_followed_and_answers_not_at_all_is_said(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        add_node(nodes.cluster, "beta", listen="127.0.0.1:0")
        add_node(nodes.cluster, "gamma", listen="127.0.0.1:0")
        for names, again in ((("beta", "gamma"), True), (("beta",), False)):
            news = followed(nodes.cluster, names, "request.follow", Map(), again=again)
            with pytest.raises(CliError) as missed:
                await following_one(news)
            assert missed.value.exit_code is Exit.UNREACHABLE

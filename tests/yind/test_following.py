"""What several nodes send as it happens, also those that come later, or come again."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import pytest
import trio
from fleet import Fleet, fleet

from cli.cluster import add_node
from cli.errors import CliError, Exit
from cli.following import followed
from datomstore.value import Map
from protocol.client import Client
from protocol.errors import RemoteError

ASK = '(request-token {:verbs [:read] :streams ["*/facts"]})'


News = Generator[tuple[str, Map | None], None, None]


async def following_one(news: News) -> tuple[str, bytes]:
    """Return where the next request is, and whose it is."""
    row = None
    while row is None:
        name, row = await following(news)
    return name, row["agent"]


async def following(news: News) -> tuple[str, Map | None]:
    with trio.fail_after(20):
        return await trio.to_thread.run_sync(next, news)


async def asks(nodes: Fleet, name: str) -> tuple[str, bytes]:
    return name, await nodes.spawn(name, ASK)


async def test_a_node_that_is_down_is_heard_when_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cli.following.AGAIN_S", 0.02)
    monkeypatch.setattr("cli.following.AGAIN_MAX_S", 0.02)
    async with fleet(tmp_path, "alpha") as nodes:
        add_node(nodes.cluster, "beta", listen="127.0.0.1:0")
        names = ("alpha", "beta")
        news = followed(nodes.cluster, names, "request.follow", Map())
        first = await asks(nodes, "alpha")
        assert await following_one(news) == first
        await nodes.start("beta")
        second = await asks(nodes, "beta")
        assert await following_one(news) == second
        lost, back = "no answer from beta: it is asked again\n", "beta answers now\n"
        assert capsys.readouterr().err == lost + back
        await nodes.stop("beta")
        assert await following(news) == ("beta", None)
        await nodes.start("beta")
        assert await following_one(news) == second  # it waits still, and is told again
        news.close()


async def test_who_is_to_be_followed_and_answers_not_at_all_is_said(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        add_node(nodes.cluster, "beta", listen="127.0.0.1:0")
        add_node(nodes.cluster, "gamma", listen="127.0.0.1:0")
        for names in (("beta", "gamma"), ("beta",)):
            news = followed(nodes.cluster, names, "request.follow", Map())
            with pytest.raises(CliError) as missed:
                await following_one(news)
            assert missed.value.exit_code is Exit.UNREACHABLE


async def test_who_may_not_follow_is_told_so(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        news = followed(nodes.cluster, ("alpha",), "query.follow", Map({"query": "[:find ?x"}))
        with pytest.raises(CliError) as refused:
            await following(news)
        assert refused.value.exit_code is Exit.FAILURE


async def test_who_is_cut_off_while_following_asks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cli.following.AGAIN_S", 0.02)
    real, turns = Client.stream, iter((True, False))

    def cut_off() -> Iterator[Map]:
        yield Map({"agent": b"first"})
        raise RemoteError("request/invalid", "followed more slowly than it changes")

    def stream(self: Client, verb: str, body: Map, **more: float | None) -> Iterable[Map]:
        if verb == "request.follow" and next(turns):
            return cut_off()
        return real(self, verb, body, **more)

    async with fleet(tmp_path, "alpha") as nodes:
        monkeypatch.setattr(Client, "stream", stream)
        news = followed(nodes.cluster, ("alpha",), "request.follow", Map())
        assert await following_one(news) == ("alpha", b"first")
        second = await asks(nodes, "alpha")
        assert await following_one(news) == second
        news.close()
    assert capsys.readouterr().err == ""

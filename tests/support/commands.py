"""Commands as a person types them, run in this process.

Is:     a command's exit code and what it printed.
Is not: a node: tests say which they need.
Fits:   tests of `cli`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

from cli.cluster import Cluster
from cli.main import main


class Answer(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Yin = Callable[..., Answer]


def code_of(*arguments: str) -> int:
    """Run a command; return its exit code."""
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    assert isinstance(left.value.code, int)
    return left.value.code


def answers(captured: pytest.CaptureFixture[str]) -> Yin:
    """Return what runs a command on the cluster `dev`, and takes what it prints."""
    return partial(_answer, captured, "dev")


async def beside(cluster: Cluster, captured: pytest.CaptureFixture[str], *arguments: str) -> Answer:
    """Run a command of the operator of a cluster whose nodes run in this thread meanwhile."""
    return await trio.to_thread.run_sync(_answer, captured, str(cluster.folder), *arguments)


def _answer(captured: pytest.CaptureFixture[str], cluster: str, *arguments: str) -> Answer:
    captured.readouterr()
    code = code_of("--cluster", cluster, *arguments)
    printed = captured.readouterr()
    return Answer(code, printed.out, printed.err)


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Be in a folder for the length of a block."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def cluster(nodes: int) -> Iterator[None]:
    """Have a cluster `dev` running in this folder for the length of a block."""
    assert code_of("--cluster", "dev", "up", "--nodes", str(nodes)) == 0
    yield
    assert code_of("--cluster", "dev", "down") == 0

"""docs/repl.md: its transcripts, typed into sessions on a node."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cli.ephemeral import NODE, Ephemeral, ephemeral_node
from cli.repl.entries import Console, Entries
from cli.repl.evaluation import Evaluation
from cli.sources import host_of
from yang.session import Session

PAGE = Path(__file__).parent.parent.parent / "docs" / "repl.md"
BLOCKS = re.findall(r"```transcript\n(.*?)```", PAGE.read_text(), flags=re.S)
PROMPT = re.compile(r"([\w.]+)=> (.*)")
MORE = "    .. "
MEMORY = 64 << 20


class Entry(NamedTuple):
    """One entry of a transcript and what it printed."""

    namespace: str
    text: str
    shown: str


def entries_of(block: str) -> Iterator[Entry]:
    namespace, typed, shown = "", [""], [""]
    for line in [*block.splitlines(), "end=> "]:
        prompt = PROMPT.fullmatch(line)
        if prompt is not None:
            if namespace:
                yield Entry(namespace, "\n".join(typed), "\n".join(shown))
            namespace, typed, shown = prompt.group(1), [prompt.group(2)], []
        elif line.startswith(MORE) and not shown:
            typed.append(line.removeprefix(MORE))
        else:
            shown.append(line)


def without_hints(text: str) -> list[str]:
    """Return the lines that say what happened: advice may get better without the page."""
    return [line for line in text.split("\n") if not line.strip().startswith("hint: ")]


@pytest.fixture(scope="module", name="node")
def _node() -> Iterator[Ephemeral]:
    with ephemeral_node(memory_max=MEMORY) as own:
        yield own


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0])
def test_a_transcript_is_what_a_session_shows(node: Ephemeral, block: str) -> None:
    lines: list[str] = []
    session = Session(host_of(None))
    evaluation = Evaluation.begun(
        node.cluster,
        NODE,
        session,
        tokens=[node.token],
        memory_max=MEMORY,
        fuel_max=None,
        printed=lines.append,
    )
    entries = Entries(session, evaluation, Console(lines.append, lines.append, lines.append))
    for entry in entries_of(block):
        assert session.namespace == entry.namespace
        lines.clear()
        entries.enter(entry.text)
        assert without_hints("\n".join(lines)) == without_hints(entry.shown)
    evaluation.end()

"""Entries from a terminal: edited, completed, coloured, remembered.

Is:     prompt_toolkit told what an entry of ours is: when it ends, how it looks, what its names are.
Is not: what happens to an entry (`cli.repl.entries`).
Fits:   imported only when standard input is a terminal; `cli.commands.repl` reads from it.

Enter ends an entry that the reader finds complete, and begins a new line in one that is not; Escape Enter always ends.
The history is a file that only its owner can read. What looks like a secret is not written to it, nor is what begins
with a blank.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from prompt_toolkit.output import ColorDepth, Output
from pygments import highlight
from pygments.formatters import TerminalFormatter
from pygments.lexers.jvm import ClojureLexer

from cli.repl.entries import COMMAND, COMMANDS, Entries
from yang.reader.clojure import is_complete

HISTORY_BYTES_MAX = 1 << 20
HISTORY_MODE = 0o600
_NAME = re.compile(r"[^\s()\[\]{}\"@`~^']*$")
_PATH = re.compile(r"\((?:load-file|slurp)\s+\"([^\"]*)$")
_SECRET = re.compile(
    r"(?i)pass(word|phrase|wd)|secret|\btoken\b|api[-_]?key|private[-_]?key"
    r"|\"[A-Za-z0-9+/_=-]{32,}\""
)


def is_secret(text: str) -> bool:
    """Return whether an entry is not to be remembered."""
    return text.startswith((" ", "\t")) or _SECRET.search(text) is not None


def history_path() -> Path:
    """Return where entries are remembered."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "yin" / "repl_history"


class PrivateHistory(FileHistory):
    """Entries in a file that only its owner can read, without what looks like a secret."""

    def store_string(self, string: str) -> None:
        """Remember an entry."""
        if not is_secret(string):
            super().store_string(string)


def open_history(path: Path) -> History:
    """Return the history of a file, made if it is missing; one in memory where it cannot be kept."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, HISTORY_MODE)
        with os.fdopen(descriptor, "r+b") as file:
            os.fchmod(file.fileno(), HISTORY_MODE)
            _forget_oldest(file.fileno())
    except OSError:
        return InMemoryHistory()
    return PrivateHistory(str(path))


def _forget_oldest(descriptor: int) -> None:
    """Leave the newer half of a file that has become too large."""
    size = os.fstat(descriptor).st_size
    if size <= HISTORY_BYTES_MAX:
        return
    kept = os.pread(descriptor, HISTORY_BYTES_MAX // 2, size - HISTORY_BYTES_MAX // 2)
    kept = kept[kept.find(b"\n# ") + 1 :]  # where an entry begins
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, kept, 0)


class NameCompleter(Completer):
    """Names in scope, keywords seen, commands; paths where a form takes one."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterable[Completion]:
        """Yield what may stand where the cursor is."""
        before = document.text_before_cursor
        path = _PATH.search(before)
        if path is not None:
            yield from self._paths.get_completions(Document(path.group(1)), event)
            return
        found = _NAME.search(before)
        begun = found.group() if found else ""
        names = (f"{COMMAND}{name}" for name in COMMANDS) if before.startswith(COMMAND) else ()
        if not begun:
            return
        for name in sorted({*names, *self._entries.names()}):
            if name.startswith(begun):
                yield Completion(name, start_position=-len(begun))


def key_bindings() -> KeyBindings:
    """Return what Enter does."""
    bindings = KeyBindings()

    @bindings.add("enter")
    def _enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        state = buffer.complete_state
        if state is not None and state.current_completion is not None:
            buffer.complete_state = None
            return
        text = buffer.text
        at_end = not buffer.document.text_after_cursor.strip()
        if at_end and (text.startswith(COMMAND) or is_complete(text)):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n" + " " * indentation(buffer.document.text_before_cursor))

    @bindings.add("escape", "enter")
    def _always(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    return bindings


_TOKEN = re.compile(r"\"(?:\\.|[^\"\\])*\"?|;[^\n]*|\\.|[()\[\]{}]|\n|[^\"\\;()\[\]{}\n]+", re.S)


def indentation(text: str) -> int:
    """Return the column where the next line of an unfinished entry begins: in a call by two, else below the first item."""
    open_: list[int] = []
    column = 0
    for found in _TOKEN.finditer(text):
        piece = found.group()
        if piece in "([{":
            open_.append(column + (2 if piece == "(" else 1))
        elif piece in ")]}" and open_:
            open_.pop()
        column = len(piece) - piece.rfind("\n") - 1 if "\n" in piece else column + len(piece)
    return open_[-1] if open_ else 0


class Terminal:
    """The person's end of a session."""

    def __init__(
        self,
        entries: Entries,
        *,
        history: History,
        in_color: bool,
        source: Input | None = None,
        target: Output | None = None,
    ) -> None:
        """Begin. `source` and `target` are the terminal's unless a test gives its own."""
        self._entries = entries
        self._prompts: PromptSession[str] = PromptSession(
            history=history,
            lexer=PygmentsLexer(ClojureLexer) if in_color else None,
            completer=NameCompleter(entries),
            complete_while_typing=False,
            multiline=True,
            key_bindings=key_bindings(),
            prompt_continuation=_continued,
            color_depth=None if in_color else ColorDepth.DEPTH_1_BIT,
            input=source,
            output=target,
        )

    def read(self) -> str:
        """Return the next entry. Raises EOFError at the end, KeyboardInterrupt when it is given up."""
        return self._prompts.prompt(f"{self._entries.session.namespace}=> ")


def _continued(width: int, line: int, is_soft: int) -> str:
    return "" if is_soft else f"{'..':>{max(width - 1, 2)}} "


def coloured(text: str) -> str:
    """Return a value's text with colours."""
    return str(
        highlight(text, ClojureLexer(stripnl=False, ensurenl=False), TerminalFormatter())
    ).rstrip("\n")

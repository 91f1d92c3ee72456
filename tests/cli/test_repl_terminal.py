"""`yin repl` on a real terminal, with keys as a person presses them."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.fleet import is_readable

PATIENCE_S = 100.0
# A process gets a terminal of its own, so that its keys are signals to it.
CHILD = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from cli.main import main
main(["repl"])
"""


class Person:
    """Who types, and reads what is shown."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self._master = master
        self._process = process
        self._unread = ""

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def see(self, text: str) -> None:
        """Return when a text has been shown, and forget everything up to it."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self._unread:
            left = deadline - time.monotonic()
            assert is_readable(self._master, max(0.0, left)), f"{text!r} is not in {self._unread!r}"
            self._unread += os.read(self._master, 1 << 16).decode(errors="replace")
        self._unread = self._unread.partition(text)[2]

    def left(self) -> int:
        return self._process.wait(PATIENCE_S)


@pytest.fixture(name="person")
def _person(tmp_path: Path) -> Iterator[Person]:
    master, slave = pty.openpty()
    environment = {
        **os.environ,
        "TERM": "xterm",
        "NO_COLOR": "1",
        "PROMPT_TOOLKIT_NO_CPR": "1",
        "XDG_STATE_HOME": str(tmp_path),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment,
        start_new_session=True,
    )
    os.close(slave)
    yield Person(master, process)
    os.close(master)
    if process.poll() is None:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.mark.timeout(240)
def test_an_entry_an_interrupt_and_the_end(person: Person, tmp_path: Path) -> None:
    person.see("user=>")
    person.type("(def a\r20)\r")
    person.see("#'user/a\r\n")
    person.type('(do (println "begun") (loop [] (recur)))\r')
    person.see("begun\r\n")
    person.type("\x03")
    person.see("interrupted")
    person.type("(+ a 3)\r")
    person.see("23\r\n")
    person.see("user=>")
    person.type("\x04")
    assert person.left() == 0
    history = (tmp_path / "yin" / "repl_history").read_text()
    assert "+(def a\n+  20)\n" in history

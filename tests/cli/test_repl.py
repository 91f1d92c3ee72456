"""Entries, commands, the terminal and the history of `yin repl`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput
from sessions import Entered

from cli.errors import Exit
from cli.repl.entries import ENTRY_BYTES_MAX, Console, Entries
from cli.repl.evaluation import Kind, Outcome
from cli.repl.prompt import (
    HISTORY_BYTES_MAX,
    NameCompleter,
    Terminal,
    coloured,
    indentation,
    is_secret,
    open_history,
)
from yang.session import Unit

ESCAPE = "\x1b"
ENTER = "\r"


class OnMachine:
    """An evaluation on a machine of the test's own."""

    def __init__(self) -> None:
        self.entered = Entered()
        self.fuel_used = 0

    def evaluate(self, unit: Unit) -> Outcome:
        outcome = self.entered.outcome(unit)
        self.fuel_used = self.entered.machine.fuel_used
        if outcome.error is not None:
            return Outcome(Kind.ERROR, outcome.error)
        return Outcome(Kind.VALUE, "nil" if outcome.value is None else str(outcome.value))


class Typed:
    """Entries and what was shown of them."""

    def __init__(self, *, is_script: bool = False) -> None:
        self.values: list[str] = []
        self.wrong: list[str] = []
        self.told: list[str] = []
        machine = OnMachine()
        console = Console(self.values.append, self.wrong.append, self.told.append)
        self.entries = Entries(machine.entered.session, machine, console, is_script=is_script)

    def enter(self, text: str) -> Exit:
        return self.entries.enter(text)


# -- entries --


def test_each_form_of_an_entry_is_shown() -> None:
    typed = Typed()
    assert typed.enter("(def x 1) x nil") is Exit.OK
    assert typed.values == ["#'user/x", "1", "nil"]


def test_a_script_shows_values_but_no_definitions_and_no_nil() -> None:
    typed = Typed(is_script=True)
    assert typed.enter("(def x 1) (ns a) nil user/x") is Exit.OK
    assert typed.values == ["1"]


def test_an_entry_ends_at_its_first_error() -> None:
    typed = Typed()
    assert typed.enter("1 (/ 1 0) 2") is Exit.AGENT_FAILED
    assert (typed.values, typed.wrong) == (["1"], ["Divide by zero"])
    assert typed.enter("(oops)") is Exit.FAILURE
    assert "entry 2:1:2: unresolved symbol: oops" in typed.wrong[-1]


def test_an_entry_that_cannot_be_read_does_nothing() -> None:
    typed = Typed()
    assert typed.enter("(def x 1) )") is Exit.FAILURE
    assert typed.values == []


def test_an_entry_that_is_too_large_is_refused() -> None:
    typed = Typed()
    assert typed.enter(f'"{"x" * ENTRY_BYTES_MAX}"') is Exit.LIMIT


# -- commands --


def test_commands_are_listed_and_others_refused() -> None:
    typed = Typed()
    assert typed.enter(",help") is Exit.OK
    assert any(line.startswith(",asm FORM") for line in typed.told)
    assert typed.enter(",nothing") is Exit.USAGE
    assert "no command ,nothing" in typed.wrong[0]


def test_code_is_looked_at_without_being_entered() -> None:
    typed = Typed()
    typed.enter("(defmacro unless [c x] `(if ~c nil ~x)) (def y 1)")
    assert typed.enter(",expand (unless y 2)") is Exit.OK
    assert typed.told == ["(if y nil 2)"]
    assert typed.enter(",ast (def z y)") is Exit.OK
    assert "def" in typed.told[-1]
    assert "variable" in typed.told[-1]
    assert typed.enter(",asm (inc y)") is Exit.OK
    assert "increment" in typed.told[-1]
    assert typed.enter("z") is Exit.FAILURE
    assert typed.enter(",expand (unless") is Exit.FAILURE


def test_time_tells_what_an_evaluation_took() -> None:
    typed = Typed()
    assert typed.enter(",time (reduce + (range 100))") is Exit.OK
    assert typed.values == ["4950"]
    assert "units of fuel" in typed.told[0]


def test_namespaces_are_listed_with_the_current_one_marked() -> None:
    typed = Typed()
    typed.enter("(ns app.one) (def x 1)")
    typed.enter(",ns")
    assert "* app.one (1)" in typed.told
    assert any(line.startswith("  clojure.string (") for line in typed.told)


# -- completion --


def completed(typed: Typed, text: str) -> list[str]:
    found = NameCompleter(typed.entries).get_completions(Document(text), CompleteEvent())
    return [completion.text for completion in found]


def test_names_in_scope_are_completed() -> None:
    typed = Typed()
    typed.enter("(defn my-function [] {:my-key 1}) (require '[clojure.string :as text])")
    assert completed(typed, "(my-f") == ["my-function"]
    assert completed(typed, "(get m :my-") == [":my-key"]
    assert completed(typed, "(partition-") == ["partition-all", "partition-by"]
    assert "text/upper-case" in completed(typed, "(text/up")
    assert "clojure.set/union" in completed(typed, "(clojure.set/un")
    assert "when-let" in completed(typed, "(when-")
    assert completed(typed, ",he") == [",help"]
    assert completed(typed, "(") == []


def test_paths_are_completed_in_load_file(tmp_path: Path) -> None:
    (tmp_path / "program.clj").write_text("1")
    assert completed(Typed(), f'(load-file "{tmp_path}/pro') == ["gram.clj"]


# -- the terminal --


@pytest.fixture(name="keys")
def _keys() -> Iterator[PipeInput]:
    with create_pipe_input() as made:
        yield made


def terminal(keys: PipeInput, typed: Typed | None = None) -> Terminal:
    return Terminal(
        (typed or Typed()).entries,
        history=InMemoryHistory(),
        in_color=False,
        source=keys,
        target=DummyOutput(),
    )


def test_enter_ends_what_is_complete_and_goes_on_with_what_is_not(keys: PipeInput) -> None:
    reading = terminal(keys)
    keys.send_text(f"(+ 1{ENTER}2){ENTER}'x{ENTER}")
    assert reading.read() == "(+ 1\n  2)"
    assert reading.read() == "'x"


def test_escape_enter_ends_an_entry_as_it_is(keys: PipeInput) -> None:
    keys.send_text(f"(+ 1{ESCAPE}{ENTER}")
    assert terminal(keys).read() == "(+ 1"


def test_enter_in_the_middle_of_an_entry_breaks_the_line(keys: PipeInput) -> None:
    left = f"{ESCAPE}[D"
    keys.send_text(f"[1 2]{left * 3}{ENTER}{ESCAPE}[F{ENTER}")
    assert terminal(keys).read() == "[1\n  2]"


def test_interrupt_gives_up_an_entry_and_end_of_input_leaves(keys: PipeInput) -> None:
    reading = terminal(keys)
    keys.send_text("(abc\x03")
    with pytest.raises(KeyboardInterrupt):
        reading.read()
    keys.send_text("\x04")
    with pytest.raises(EOFError):
        reading.read()


def test_a_wrong_entry_ends_so_that_its_error_is_told(keys: PipeInput) -> None:
    keys.send_text(f"(]{ENTER}")
    assert terminal(keys).read() == "(]"


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("(defn f [x]", 2),
        ("(let [a 1", 6),
        ("(f {:a", 4),
        ('(f "(["', 2),
        ("(f ; (", 2),
        ("(f \\(", 2),
        ("(a\n  (b", 4),
        ("(a (b)", 2),
        ("x", 0),
    ],
)
def test_a_new_line_begins_inside_its_form(text: str, column: int) -> None:
    assert indentation(text) == column


def test_colours_change_no_text() -> None:
    plain = '{:a [1 "two" nil]}'
    shown = coloured(plain)
    assert shown != plain
    parts = shown.split("\x1b[")
    assert "".join([parts[0], *(part.partition("m")[2] for part in parts[1:])]) == plain


# -- history --


def test_the_history_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "yin" / "repl_history"
    before = os.umask(0)
    try:
        history = open_history(path)
    finally:
        os.umask(before)
    history.append_string("(+ 1\n 2)")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(open_history(path).load_history_strings()) == ["(+ 1\n 2)"]


def test_a_history_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "repl_history"
    path.touch(0o644)
    path.chmod(0o644)
    open_history(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "text",
    [
        ' (login "x")',
        '(def password "x")',
        "(def api-key 1)",
        '(connect {:token "x"})',
        f'(f "{"a1B2" * 10}")',
    ],
)
def test_what_looks_like_a_secret_is_not_remembered(tmp_path: Path, text: str) -> None:
    assert is_secret(text)
    path = tmp_path / "repl_history"
    open_history(path).append_string(text)
    assert path.read_text() == ""


@pytest.mark.parametrize("text", ["(+ 1 2)", '(str "a b c")', "(tokenize x)", "(map key m)"])
def test_other_entries_are_remembered(text: str) -> None:
    assert not is_secret(text)


def test_a_history_without_a_place_is_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    history = open_history(tmp_path / "file" / "repl_history")
    history.append_string("1")
    assert history.get_strings() == ["1"]


def test_a_history_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "repl_history").symlink_to(tmp_path / "elsewhere")
    open_history(tmp_path / "repl_history").append_string("1")
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_a_long_history_forgets_its_oldest_entries(tmp_path: Path) -> None:
    path = tmp_path / "repl_history"
    entry = "\n# 2024-01-01\n+(f {number})\n"
    count = 2 * HISTORY_BYTES_MAX // len(entry)
    path.write_text("".join(entry.format(number=number) for number in range(count)))
    history = open_history(path)
    assert path.stat().st_size <= HISTORY_BYTES_MAX
    kept = list(history.load_history_strings())
    assert kept[0] == f"(f {count - 1})"
    assert all(text.startswith("(f ") and text.endswith(")") for text in kept)

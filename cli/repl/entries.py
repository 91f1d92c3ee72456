"""What happens to an entry: compiled, evaluated form by form, shown; and the commands that begin with a comma.

Is:     the loop's body, the same for people, for scripts and for tests.
Is not: reading from a terminal (`cli.repl.prompt`) or the agent (`cli.repl.evaluation`).
Fits:   `cli.commands.repl` hands it texts; values go to standard output, what went wrong to standard error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import NamedTuple, Protocol

from cli.errors import Exit
from cli.repl.evaluation import EXITS, Kind, Outcome
from datomstore import edn
from yang.about import keywords_in
from yang.disassemble import disassemble
from yang.errors import Source, YangError
from yang.forms import Form, text_of
from yang.reader.clojure import read_source
from yang.render import tree_text
from yang.session import Session, Unit

ENTRY_BYTES_MAX = 1 << 20
COMMAND = ","
CODE = "code"  # the stream of the programs that a node knows, those of this session among them


class Evaluates(Protocol):
    """What runs units."""

    fuel_used: int

    def evaluate(self, unit: Unit) -> Outcome:
        """Return what a unit came to."""


class Console(NamedTuple):
    """Where texts go."""

    value: Callable[[str], None]
    wrong: Callable[[str], None]
    told: Callable[[str], None]  # what commands say


def _is_name(form: Form) -> bool:
    return form.kind == "symbol" or (form.kind == "literal" and isinstance(form.value, str))


class Command(NamedTuple):
    """What a command takes, and one line about it."""

    takes: str
    help: str
    run: Callable[[Entries, Source], Exit]


class Entries:
    """A session, what evaluates it, and the entries so far."""

    def __init__(
        self, session: Session, evaluation: Evaluates, console: Console, *, is_script: bool = False
    ) -> None:
        self.session = session
        self.evaluation = evaluation
        self.console = console
        self.keywords: set[str] = set()
        self._is_script = is_script
        self._count = 0

    def enter(self, text: str, name: str | None = None) -> Exit:
        """Evaluate an entry; return how it went. Raises SessionOver or CliError when nothing more can be entered."""
        self._count += 1
        if len(text) > ENTRY_BYTES_MAX:
            self.console.wrong(f"an entry of {len(text)} characters; at most {ENTRY_BYTES_MAX}")
            return Exit.LIMIT
        head, _, rest = text.strip().partition(" ")
        source = Source(name or f"entry {self._count}", text)
        if not self._is_script and head.startswith(COMMAND) and len(head) > 1:
            return self._command(head.removeprefix(COMMAND), Source(source.name, rest))
        return self._evaluate(source)

    def _evaluate(self, source: Source) -> Exit:
        try:
            self.keywords.update(keywords_in(read_source(source)))
            for unit in self.session.units(source, grouped=self._is_script):
                outcome = self.evaluation.evaluate(unit)
                if outcome.kind is not Kind.VALUE:
                    self.console.wrong(outcome.text)
                    return EXITS[outcome.kind]
                self._show(unit, outcome)
        except YangError as error:
            self.console.wrong(str(error))
            return Exit.FAILURE
        return Exit.OK

    def _show(self, unit: Unit, outcome: Outcome) -> None:
        """Show a value; of a script's forms, those that say something."""
        text = outcome.text if unit.shown is None else unit.shown
        if not self._is_script or (unit.shown is None and text != "nil"):
            self.console.value(text)

    def names(self) -> Iterator[str]:
        """Yield everything that can be written here, for completion."""
        yield from self.session.names()
        yield from self.keywords
        namespaces = self.session.namespaces()
        for alias, namespace in (
            *self.session.aliases().items(),
            *((namespace, namespace) for namespace in namespaces),
        ):
            yield alias
            for name in namespaces.get(namespace, ()):
                yield f"{alias}/{name}"

    # -- commands --

    def _command(self, name: str, source: Source) -> Exit:
        command = COMMANDS.get(name)
        if command is None:
            self.console.wrong(f"no command {COMMAND}{name}; {COMMAND}help lists them")
            return Exit.USAGE
        try:
            return command.run(self, source)
        except YangError as error:
            self.console.wrong(str(error))
            return Exit.FAILURE

    def help(self, source: Source) -> Exit:
        """List the commands."""
        width = max(len(f"{name} {command.takes}") for name, command in COMMANDS.items())
        for name, command in COMMANDS.items():
            self.console.told(f"{COMMAND}{f'{name} {command.takes}':<{width}}  {command.help}")
        self.console.told('(doc f) (source f) (apropos "part") (dir namespace) (load-file "path")')
        self.console.told(
            "*1 *2 *3 are the last values, *e the last error; *print-length* can be set!"
        )
        return Exit.OK

    def expand(self, source: Source) -> Exit:
        """Show core forms."""
        for form in self.session.core_forms(source):
            self.console.told(text_of(form))
        return Exit.OK

    def ast(self, source: Source) -> Exit:
        """Show the Universal AST."""
        self.console.told(tree_text(self.session.tree(source)))
        return Exit.OK

    def asm(self, source: Source) -> Exit:
        """Show instructions."""
        self.console.told(disassemble(self.session.segment(source)))
        return Exit.OK

    def time(self, source: Source) -> Exit:
        """Evaluate, and tell what it cost."""
        began, fuel = time.monotonic(), self.evaluation.fuel_used
        code = self._evaluate(source)
        spent = self.evaluation.fuel_used - fuel
        self.console.told(f"{(time.monotonic() - began) * 1e3:.1f} ms, {spent:,} units of fuel")
        return code

    def query(self, source: Source) -> Exit:
        """Ask streams of the node, with the rights of the session."""
        forms = read_source(source)
        names = list(takewhile(_is_name, forms))
        if len(names) == len(forms):
            self.console.wrong(
                f"{COMMAND}q takes a query: {COMMAND}q {CODE} [:find ?e :where [?e]]"
            )
            return Exit.USAGE
        query, *arguments = forms[len(names) :]
        streams = [form.value for form in names] or [CODE]
        written = " ".join([edn.write(name) for name in streams] + [text_of(a) for a in arguments])
        return self._evaluate(Source(source.name, f"(q '{text_of(query)} {written})"))

    def namespaces(self, source: Source) -> Exit:
        """List namespaces."""
        for name, names in sorted(self.session.namespaces().items()):
            here = "*" if name == self.session.namespace else " "
            self.console.told(f"{here} {name} ({len(names)})")
        return Exit.OK


COMMANDS: dict[str, Command] = {
    "help": Command("", "this list", Entries.help),
    "expand": Command("FORM", "its core forms, macros and syntax expanded", Entries.expand),
    "ast": Command("FORM", "its Universal AST", Entries.ast),
    "asm": Command("FORM", "its instructions", Entries.asm),
    "time": Command("FORM", "its value, the time and the fuel it took", Entries.time),
    "q": Command(
        "[STREAM ...] QUERY [INPUT ...]",
        f"what a Datalog query finds in streams of the node, {CODE} if none is named",
        Entries.query,
    ),
    "ns": Command("", "the namespaces", Entries.namespaces),
    "quit": Command("", "leave, as the end of input (Ctrl-D) does", Entries.help),
}

"""Sessions on a machine of their own: entries go in, texts and errors come out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from evaluated import PROGRAMS
from language import GLOBALS, HOST, MEMORY, Outcome, core_code, outcome_of

from yang.errors import Source, YangError
from yang.host import Host
from yang.session import LAST_ERROR, Session, Unit
from yind.cesk import Code, Machine, Status
from yind.cesk.errors import ValueInvalid


class Entered:
    """A session and the machine that enters its units."""

    def __init__(self, host: Host = HOST, read: Callable[[str], str] | None = None) -> None:
        self.session = Session(host, read)
        self.lines: list[str] = []  # printed
        self.machine = Machine(
            Code(self.session.first.segment, core_code()), memory_max=MEMORY, globals=GLOBALS
        )
        PROGRAMS[self.session.first.program.hash] = self.session.first.program
        assert self.machine.run(10**6) is Status.DONE
        self._count = 0

    def enter(self, text: str) -> str:
        """Return what is shown for the last form of an entry, or the message of its error."""
        shown = ""
        try:
            for unit in self._units(text, shows=True):
                outcome = self.outcome(unit)
                if outcome.error is not None:
                    return f"error: {outcome.error}"
                shown = str(outcome.value) if unit.shown is None else unit.shown
        except YangError as error:
            return f"refused: {error}"
        return shown

    def values(self, text: str) -> Iterator[Outcome]:
        """Yield the value of each form, nil for one that only a machine can hold; or the error that ends the entry."""
        for unit in self._units(text, shows=False):
            try:
                outcome = self.outcome(unit)
            except ValueInvalid:
                outcome = Outcome()
            yield outcome
            if outcome.error is not None:
                return

    def _units(self, text: str, *, shows: bool) -> Iterator[Unit]:
        self._count += 1
        return self.session.units(Source(f"entry {self._count}", text), shows=shows)

    def outcome(self, unit: Unit) -> Outcome:
        """Return what a unit came to; the session learns what it evaluated."""
        PROGRAMS[unit.program.hash] = unit.program
        self.machine.enter(Code(unit.segment, core_code(), self.machine.code), LAST_ERROR)
        before = len(self.machine.units())
        outcome = outcome_of(self._hearing())
        for code in self.machine.units()[before:]:
            self.session.adopt(PROGRAMS[code.program_hash])
        return outcome

    def _hearing(self) -> _Hearing:
        return _Hearing(self.machine, self.lines)


class _Hearing:
    """A machine whose log is kept."""

    def __init__(self, machine: Machine, lines: list[str]) -> None:
        self._machine = machine
        self._lines = lines

    def __getattr__(self, name: str) -> object:
        if name == "effect" and self._machine.effect[0] == "log!":
            self._lines.append(str(self._machine.effect[1][0]))
        return getattr(self._machine, name)

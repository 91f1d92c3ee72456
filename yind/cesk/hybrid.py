"""The hybrid machine: a program begins at once on the direct machine, and moves to the compiled one when it gets hot.

Is:     counting calls and rounds, asking for compiled code, the move at a safe point; one interface before and after.
Is not: the move itself (`transfer.py`), the compiler, or a thread: `compiled` is the caller's, and may take its time.
Fits:   `Machine` and `ReferenceMachine` have the same interface; images are those of the compiled machine in every mode.

All of the program is compiled at once, since a function's calls of others are linked when it is. From the first hot
function or loop on, `compiled` is asked at each safe point until it gives code; then the whole state moves: frames,
captured continuations, closures, lazy seqs, in the middle of a loop, a recursion or a callback.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from datomstore.value import Map
from yind.cesk._core import Code, Fault, FrameView, Machine, Status
from yind.cesk.errors import StateInvalid
from yind.cesk.limits import HOT_COUNT
from yind.cesk.reference import Evaluate, Node, ReferenceCode, ReferenceMachine
from yind.cesk.transfer import is_safe, transferred

Compiled: TypeAlias = Callable[[], Code | None]  # None: it is not there yet


class HybridMachine:
    """One agent, on two machines one after the other.

    Args:
        code: the program for the direct machine.
        compiled: gives the same program compiled, or None while it is in the making; asked by `run` once the program is
            hot, and then at every safe point, and by `image`.
        memory_max: bytes of heap, once it is compiled; before it is not metered.
        fuel_max: fuel over its whole life, None for no bound; direct steps and compiled ones count alike.
        globals: values of globals that are bound before it starts.
        hash_key: see Machine.
        hot_count: calls of one function, or rounds of one loop, from which on it is hot; None: never.
    """

    def __init__(
        self,
        code: ReferenceCode,
        compiled: Compiled,
        *,
        memory_max: int,
        fuel_max: int | None = None,
        globals: Mapping[str, object] = {},  # noqa: A002
        hash_key: bytes = b"",
        hot_count: int | None = HOT_COUNT,
    ) -> None:
        self.memory_max = memory_max
        self.fuel_max = fuel_max
        self.hash_key = hash_key
        self.hot_count = hot_count
        self.entries: dict[Node, int] = {}  # of each body, by its node
        self._compiled = compiled
        self._is_hot = False
        self._machine: ReferenceMachine | Machine = ReferenceMachine(
            code, memory_max=memory_max, fuel_max=fuel_max, globals=globals
        )

    # -- running --

    def run(self, fuel: int) -> Status:
        """Run one slice and return why it ended.

        Before the move a slice ends at a safe point: a few steps later than its fuel, at most those of one body.
        """
        machine = self._machine
        if isinstance(machine, Machine):
            return machine.run(fuel)
        end = self.fuel_used + fuel
        if self.fuel_max is not None:
            end = min(end, self.fuel_max)
        while machine.status is Status.OUT_OF_FUEL:
            if is_safe(machine):
                self._count(machine)
                if self._is_hot and self.move():
                    return self._machine.run(max(0, end - machine.fuel_used))
                if machine.fuel_used >= end:
                    break
            machine.step()
        return machine.status

    def _count(self, machine: ReferenceMachine) -> None:
        """Count a call or a round that begins."""
        control = machine.control
        if self.hot_count is not None and isinstance(control, Evaluate) and control.node.is_body:
            entries = self.entries.get(control.node, 0) + 1
            self.entries[control.node] = entries
            self._is_hot |= entries >= self.hot_count

    def move(self) -> bool:
        """Move to the compiled machine, if that can be done now; return whether it is there."""
        machine = self._machine
        if isinstance(machine, Machine):
            return True
        if not is_safe(machine):
            return False
        code = self._compiled()
        if code is None:
            return False
        self._machine = self._transferred(machine, code)
        return True

    def _transferred(self, machine: ReferenceMachine, code: Code) -> Machine:
        return transferred(
            machine,
            code,
            memory_max=self.memory_max,
            fuel_max=self.fuel_max,
            hash_key=self.hash_key,
        )

    @property
    def is_compiled(self) -> bool:
        """Whether it runs on the compiled machine."""
        return isinstance(self._machine, Machine)

    def image(self) -> bytes:
        """Return the state as bytes, the same whether it has moved or not.

        Raises:
            StateInvalid: the program is not compiled yet, or the state too large for an image.
        """
        machine = self._machine
        if isinstance(machine, ReferenceMachine):
            code = self._compiled()
            if code is None:
                raise StateInvalid("the program is not compiled yet")
            machine = self._transferred(machine, code)
        return machine.image()

    # -- code that comes while it runs --

    @property
    def code(self) -> Code:
        """The compiled code that what comes next continues; a program that has more than one runs compiled."""
        return self._moved().code

    def units(self) -> list[Code]:
        """Return the code it has so far, the oldest first."""
        return self._moved().units()

    def standing(self) -> bytes:
        """Return where it stands; see Machine."""
        return self._moved().standing()

    def extend(self, code: Code) -> None:
        """Answer the effect that waits with the top level of more code; see Machine."""
        self._moved().extend(code)

    def charge(self, fuel: int) -> bool:
        """Count work that was done outside for the agent; see Machine."""
        return self._machine.charge(fuel)

    def _moved(self) -> Machine:
        """Return the compiled machine, to which the program moves here at the latest. Raises StateInvalid."""
        if not self.move():
            raise StateInvalid("the program is not compiled yet")
        assert isinstance(self._machine, Machine)
        return self._machine

    def frames(self) -> list[FrameView]:
        """Return a view of each frame, innermost first."""
        return self._machine.frames()

    # -- what both machines have --

    @property
    def status(self) -> Status:
        """Why the last slice ended."""
        return self._machine.status

    @property
    def fuel_used(self) -> int:
        """Fuel spent in its life."""
        return self._machine.fuel_used

    @property
    def memory_used(self) -> int:
        """Bytes of live blocks; 0 before the move."""
        return self._machine.memory_used if isinstance(self._machine, Machine) else 0

    @property
    def effect(self) -> tuple[str, tuple[object, ...]]:
        """Name and arguments of the effect that waits."""
        return self._machine.effect

    @property
    def effect_name(self) -> str:
        """Name of the effect that waits."""
        return self._machine.effect_name

    def asks_for(self, name: str, text: str) -> bool:
        """Return whether the effect that waits has a name, and a text as its only argument."""
        return self._machine.asks_for(name, text)

    def effect_parts(self, most: int) -> int:
        """Return how many parts the arguments of the effect that waits have when they are written out; see Machine."""
        return self._machine.effect_parts(most)

    def resume(self, value: object) -> None:
        """Answer the effect that waits."""
        self._machine.resume(value)

    def resume_error(self, message: str, data: Map) -> None:
        """Let the effect that waits throw an error in the agent."""
        self._machine.resume_error(message, data)

    @property
    def result(self) -> object:
        """The program's value when DONE."""
        return self._machine.result

    @property
    def result_text(self) -> str:
        """The program's value as readable text."""
        return self._machine.result_text

    def result_parts(self, most: int) -> int:
        """Return how many parts the program's value has when it is written out; see Machine."""
        return self._machine.result_parts(most)

    @property
    def fault(self) -> Fault:
        """The error that ended the program."""
        return self._machine.fault

"""The programs a node knows: kept by hash, compiled here, shown as datoms in the stream `code`.

Is:     admission of programs (hash checked, compiled by this node's own rules), and machines made of them.
Is not: a way in for machine code: what is kept and sent is the canonical AST; segments are a cache.
Fits:   `yind.control` and `yind.migrate` admit; `yind.agents` restores machines.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import cast

import structlog
import trio

from datomstore.batch import Batch
from datomstore.streams import Streams
from yang.code_schema import code_schema
from yang.compile import Compiled, compile_program
from yang.core import core_segment, core_source
from yang.errors import EvaluationRefused, YangError
from yang.evaluation import Asked, Evaluations, Made
from yang.limits import EVALUATION_FUEL_MAX
from yang.lower import tree_of_files
from yang.program import Program, tree_of
from yang.session import LAST_ERROR
from yang.stored import CodeFacts, code_datoms, code_facts
from yang.units import Units, version
from yind.cesk import Code, Machine
from yind.cesk.evaluate import evaluate
from yind.cesk.hybrid import HybridMachine
from yind.cesk.limits import HOT_COUNT, MEMORY_MIN, UNITS_MAX
from yind.cesk.reference import ReferenceCode
from yind.errors import FuelSpent, YindError
from yind.limits import CODE_KEPT_TIMES

MODES = ("direct", "compiled", "hybrid")
PROGRAM_TABLE = "program"
UNIT_TABLE = "unit"  # key of a unit -> what was derived of it; b"" -> whose results they are
CODE_STREAM = "code"

_log = structlog.get_logger()
Write = Callable[[Callable[[Batch], None]], Awaitable[None]]


class CodeUnknown(YindError):
    """An image names a program that this node does not have."""

    code = "code/unknown"


class MemoryTooSmall(YindError):
    """Whoever asks, or a budget, leaves an agent less memory than a machine begins with."""

    code = "agent/memory"


class CodeLibrary:
    """Programs by hash; thread-safe, because machines are restored in threads."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._programs: dict[bytes, Program] = {}
        self._codes: dict[bytes, Code] = {}
        self._lock = threading.Lock()
        self._units = Units(find=self._kept_unit)
        self.units_derived = 0  # that no earlier program, and no earlier run of the node, had
        self._evaluations = Evaluations(evaluate, self._known)
        self._core = Code(core_segment(), None)
        self._codes[self._core.program_hash] = self._core

    def recover(self, batch: Batch) -> None:
        """Read what earlier runs of this node knew; compiling waits until it is needed."""
        for key, value in batch.scan(PROGRAM_TABLE):
            self._programs[key] = Program.from_bytes(value)
        if batch.get(UNIT_TABLE, b"") != version():  # another compiler's
            for key, _ in list(batch.scan(UNIT_TABLE)):
                batch.delete(UNIT_TABLE, key)
            batch.put(UNIT_TABLE, b"", version())

    def knows(self, program_hash: bytes) -> bool:
        """Return whether a program need not be sent here."""
        return program_hash in self._programs or program_hash in self._codes

    def is_loaded(self, program_hash: bytes) -> bool:
        """Return whether machines of a program are restored without compiling anything."""
        return program_hash in self._codes

    def find(self, program_hash: bytes) -> Program | None:
        """Return a program that this node knows."""
        return self._programs.get(program_hash)

    async def admit(self, program: Program, write: Write, made: Compiled | None = None) -> None:
        """Compile a program whose hash has been checked, and keep it and its datoms durably.

        `made`: the program, where this node has compiled it already.
        """
        if self.knows(program.hash):
            return
        compiled, facts = await trio.to_thread.run_sync(self._compiled, program, made)
        code = Code(compiled.segment, self._core)

        def stage(batch: Batch) -> None:
            batch.put(PROGRAM_TABLE, program.hash, program.to_bytes())
            for key, derived in compiled.anew.items():
                batch.put(UNIT_TABLE, key, derived.to_bytes())
            self._append(batch, facts)

        await write(stage)
        with self._lock:
            self._programs[program.hash] = program
            self._codes[program.hash] = code

    def _compiled(self, program: Program, made: Compiled | None) -> tuple[Compiled, CodeFacts]:
        compiled = self._compile(program) if made is None else made
        return compiled, code_facts(compiled)

    def _compile(self, program: Program) -> Compiled:
        compiled = compile_program(program, units=self._units)
        self.units_derived += len(compiled.anew)
        return compiled

    def _kept_unit(self, key: bytes) -> bytes | None:
        with self._streams.storage.transaction(write=False) as storage:
            return storage.get(UNIT_TABLE, key)

    def _append(self, batch: Batch, facts: CodeFacts) -> None:
        stream = self._streams.open(CODE_STREAM)
        database = stream.db()
        schema = code_schema(database)
        if schema:
            database = batch.transact(stream, schema).db_after
        batch.transact(stream, code_datoms(facts, database))

    def code_of(self, program_hash: bytes) -> Code:
        """Return the loaded code of a known program. Raises CodeUnknown."""
        with self._lock:
            code = self._codes.get(program_hash)
            if code is None:
                program = self._programs.get(program_hash)
                if program is None:
                    raise CodeUnknown(f"program {program_hash.hex()[:12]} is not known here")
                code = Code(self._compile(program).segment, self._core)
                self._codes[program_hash] = code
            return code

    def machine_of(
        self,
        program_hash: bytes,
        mode: str,
        *,
        memory_max: int,
        fuel_max: int | None,
        globals: Mapping[str, object],  # noqa: A002
        hash_key: bytes,
    ) -> Machine:
        """Return a machine at a program's beginning, which runs in one of MODES. Raises CodeUnknown or MemoryTooSmall."""
        _check_memory(memory_max)
        code = self.code_of(program_hash)
        if mode == "compiled":
            return Machine(
                code, memory_max=memory_max, fuel_max=fuel_max, globals=globals, hash_key=hash_key
            )
        program = self._programs[program_hash]
        hybrid = HybridMachine(
            _direct_code(program),
            lambda: code,
            memory_max=memory_max,
            fuel_max=fuel_max,
            globals=globals,
            hash_key=hash_key,
            hot_count=None if mode == "direct" else HOT_COUNT,
        )
        return cast(Machine, hybrid)  # it has the same interface

    def enter(self, machine: Machine, program_hash: bytes) -> None:
        """Let a session's machine begin a known program as its next unit.

        Raises:
            CodeUnknown: the program is not known here.
            MachineError: the session has too many units, or its machine cannot go on.
        """
        code = Code(self.code_of(program_hash).segment, self._core, machine.code)
        machine.enter(code, LAST_ERROR)

    def make(
        self, machine: Machine, asked: Asked, pay: Callable[[int], None], *, refused: int = 0
    ) -> Made:
        """Return what a form comes to for the agent of a machine, which is charged for it. May take seconds.

        Args:
            machine: that waits for `compile*`.
            asked: its arguments.
            pay: takes the fuel of a part of the work from budgets, before it is done; what it raises passes through.
            refused: bytes of code that the agent has made here and may not run.

        Raises:
            EvaluationRefused: the form is wrong, or too much.
            FuelSpent: the agent has not so much fuel left.
        """
        spent = 0

        def charge(fuel: int) -> None:
            nonlocal spent
            spent += fuel
            pay(fuel)
            if not machine.charge(fuel):
                raise FuelSpent(f"fuel limit of {machine.fuel_max} reached")
            if spent > EVALUATION_FUEL_MAX:
                raise EvaluationRefused("compiling this takes too long")

        programs = [code.program_hash for code in machine.units()]
        try:
            made = self._evaluations.make(programs, asked, charge)
        except (EvaluationRefused, YindError):
            raise
        except YangError as error:
            raise EvaluationRefused(str(error)) from error
        except Exception as error:  # ours: this agent's error, not the node's end
            _log.exception("a form could not be compiled", form=repr(asked.data)[:200])
            raise EvaluationRefused(f"the compiler failed: {type(error).__name__}") from error
        is_new = made.program is not None and made.program.hash not in programs
        if is_new and len(programs) >= UNITS_MAX:
            raise EvaluationRefused(f"an agent has at most {UNITS_MAX} pieces of code")
        if is_new and made.program is not None:
            self._check_room(machine, programs[1:], made.program, refused)
        return made

    def _check_room(
        self, machine: Machine, had: Sequence[bytes], program: Program, refused: int
    ) -> None:
        """Return if an agent has memory for more code beside what it has made: the node keeps all of it for ever."""
        size = refused + sum(self._known(one).size for one in had) + program.size
        if machine.memory_used + CODE_KEPT_TIMES * size > machine.memory_max:
            most = machine.memory_max
            raise EvaluationRefused(
                f"code counts as memory: {program.size} bytes more are over the budget of {most}"
            )

    def extend(self, machine: Machine, program_hash: bytes) -> None:
        """Answer the effect of a machine with the top level of a known program."""
        for code in machine.units():
            if code.program_hash == program_hash:
                machine.extend(code)
                return
        machine.extend(Code(self.code_of(program_hash).segment, self._core, machine.code))

    def _known(self, program_hash: bytes) -> Program:
        found = self._programs.get(program_hash)
        if found is None:
            raise CodeUnknown(f"program {program_hash.hex()[:12]} is not known here")
        return found

    def restore(self, image: bytes, *, memory_max: int, fuel_max: int | None) -> Machine:
        """Return the machine of an image. Raises ImageInvalid, CodeUnknown or MemoryTooSmall."""
        _check_memory(memory_max)
        return Machine.restore(image, self.code_of, memory_max=memory_max, fuel_max=fuel_max)


def _check_memory(memory_max: int) -> None:
    if memory_max < MEMORY_MIN:
        raise MemoryTooSmall(f"{memory_max} bytes of memory; an agent has at least {MEMORY_MIN}")


def _direct_code(program: Program) -> ReferenceCode:
    tree = tree_of(program)
    return ReferenceCode.of_tree(tree, _direct_core(), tree.parts)


@cache
def _direct_core() -> ReferenceCode:
    """Return the core library as the direct machine runs it."""
    source = core_source()
    return ReferenceCode.of_tree(tree_of_files(source, core=True), None, source.parts)

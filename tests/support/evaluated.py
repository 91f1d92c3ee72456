"""What a node does for `compile*`, without a node: programs by hash, and the machines that get them.

A test that runs a program in which `eval` comes notes the program; what is made of it is noted here.
"""

from __future__ import annotations

from typing import Any

from datomstore.value import Keyword, Map
from yang.compile import Compiled, compile_program
from yang.core import core_segment
from yang.errors import EvaluationRefused
from yang.evaluation import Asked, Evaluations
from yang.nodes import Tree
from yang.program import Program, program_of, tree_of
from yind.cesk import Code
from yind.cesk.evaluate import evaluate
from yind.cesk.reference import ReferenceCode, ReferenceMachine

PROGRAMS: dict[bytes, Program] = {}
EVALUATIONS = Evaluations(evaluate, PROGRAMS.__getitem__)


def noted(compiled: Compiled) -> Compiled:
    """Return a compiled program, which may evaluate from now on."""
    PROGRAMS[compiled.program.hash] = compiled.program
    return compiled


def noted_tree(tree: Tree) -> Tree:
    """Return a tree, whose program may evaluate from now on."""
    program = program_of(tree)
    PROGRAMS[program.hash] = program
    return tree


def answer_evaluation(machine: Any, arguments: tuple[object, ...]) -> None:
    """Answer `compile*` as a node does."""
    hashes = [code.program_hash for code in machine.units()]
    try:
        made = EVALUATIONS.make(hashes, Asked.of(arguments), machine.charge)
    except EvaluationRefused as error:
        machine.resume_error(str(error), Map({Keyword("fault"): Keyword("compile")}))
        return
    if made.program is None:
        machine.resume(made.value)
        return
    PROGRAMS[made.program.hash] = made.program
    known = [code for code in machine.units() if code.program_hash == made.program.hash]
    machine.extend(known[0] if known else _code_of(machine, made.program))


def _code_of(machine: Any, program: Program) -> Any:
    if isinstance(machine, ReferenceMachine):
        return ReferenceCode.of_tree(tree_of(program), machine.code.library)
    return Code(compile_program(program).segment, machine.code.core, machine.code)


def code_of(program_hash: bytes) -> Code:
    """Return the code of a noted program, or the core library's, for an image."""
    core = Code(core_segment(), None)
    if program_hash == core.program_hash:
        return core
    return Code(compile_program(PROGRAMS[program_hash]).segment, core)

"""Every bound of the compiler, with unit and reason.

Is:     constants.
Is not: a budget of running programs, which their tokens give.
Fits:   imported where the bound is enforced. Walks over trees keep their own stacks; NESTING_MAX bounds the few
        walks over quoted data that recurse, far below Python's own limit.
"""

from __future__ import annotations

from typing import NamedTuple

SOURCE_BYTES_MAX = 8 << 20  # one source text
NESTING_MAX = 200  # forms inside forms, as written
TREE_DEPTH_MAX = 2_000  # nodes inside nodes, after expansion: a `cond` nests once for each clause
MACRO_CALLS_MAX = 100_000  # of one program: a macro may expand to calls of itself for ever
MACRO_DEPTH_MAX = 500  # macro calls in what macro calls expanded to
NODE_COUNT_MAX = 1_000_000  # nodes of one program
PROGRAM_BYTES_MAX = 32 << 20  # canonical bytes of one program
SPANS_BYTES_MAX = 32 << 20
SHIPPED_BYTES_MAX = PROGRAM_BYTES_MAX + SPANS_BYTES_MAX + (1 << 12)
NAME_LENGTH_MAX = 1_000  # characters of a name in shipped bytes
POSITION_MAX = (1 << 31) - 1  # a line or column in shipped bytes
ERRORS_SHOWN_MAX = 20  # of one source text; what follows is mostly their echo
FOLDED_BYTES_MAX = 256  # of a constant that a call is compiled as, in canonical form
ASKED_FACTS_MAX = 2_000_000  # of what passes said of programs that queries asked about, in memory
ASKED_NODES_MAX = 100_000  # of programs that one query has analysed: some 1 s; the next one goes on
UNITS_BYTES_MAX = 64 << 20  # of what was derived of units, in memory: some 100,000 lines
# Of one kind in the cache folder: versions of this package that a user has side by side.
KEPT_FILES_MAX = 8
OWN_RULES_SECONDS_MAX = 60  # for the rules of a user's file over one program
OWN_RULES_ROUNDS_MAX = 100_000  # of one recursion in them; trees are not as deep
EVALUATED_FORMS_MAX = 20_000  # parts of a form that a program evaluates
EVALUATED_TEXT_MAX = 1 << 18  # characters of a text that it loads
EVALUATED_WORLDS_MAX = (
    64  # what is known of the names of so many agents, or versions of one, is kept
)
EVALUATED_KEPT_MAX = 1_024  # answers that are kept
EVALUATED_KEPT_BYTES_MAX = 1 << 16  # of the program of one of them: what is larger is made again


class _EvaluationFuel(NamedTuple):
    """What compiling at run time costs, in fuel: about as long as an agent could have computed for it."""

    once: int = 500_000
    node: int = 1_000
    character: int = 200


EVALUATION_FUEL = _EvaluationFuel()
EVALUATION_FUEL_MAX = 400_000_000  # of one evaluation, macros included: some seconds

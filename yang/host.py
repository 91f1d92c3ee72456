"""What the compiler is given from outside.

Is:     three functions that the command, the daemon and the tests pass in; without one, what needs it is an error.
Is not: authority: the compiler itself opens no file, and macros run without any effect.
Fits:   `yang.expand` hands macros to `evaluate` and names of namespaces to `load`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from datomstore.value import Map
from yang.program import Program
from yang.segment import Segment


class Host(NamedTuple):
    """Evaluation of macros, and where required code comes from."""

    # The value of a program that is given a map as *args*. Raises yang.errors.MacroFault.
    evaluate: Callable[[Segment, Map], object] | None = None
    # The name of the file that has a namespace, and its text; None if there is none.
    load: Callable[[str], tuple[str, str] | None] | None = None
    # The program with a hash, whose hash has been checked; None if it is not known.
    program: Callable[[bytes], Program | None] | None = None


ALONE = Host()

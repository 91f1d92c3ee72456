"""The audit of the hostile build finds a count that is wrong."""

from __future__ import annotations

import pytest
from language import core_code

from yang.compile import compile_source
from yind.cesk import Code, Machine, Status


def test_a_count_that_is_too_high_is_found() -> None:
    source = '(let [x (vec (map str (range 10)))] (now) (count x))'  # fmt: skip
    machine = Machine(
        Code(compile_source(source, "audit.clj").segment, core_code()), memory_max=1 << 20
    )
    assert machine.run(1 << 20) is Status.EFFECT
    machine.audit()
    machine.miscount()
    with pytest.raises(AssertionError, match="references, but a count of"):
        machine.audit()

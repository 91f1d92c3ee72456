"""A few cases of each source of chance; `make fuzz` runs many under a sanitizer."""

from __future__ import annotations

import fuzzing
import pytest

CASES = {"segments": 40, "images": 80, "programs": 2}


@pytest.mark.parametrize("source", CASES)
def test_what_nobody_wrote_is_refused_or_runs(source: str) -> None:
    for number in range(CASES[source]):
        fuzzing.run_case(source, number)

"""`yin demo` as `make demo` runs it: what the README promises of it happens, and it ends well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(180)
def test_the_demo_shows_what_the_readme_says() -> None:
    yin = Path(sys.executable).parent / "yin"
    done = subprocess.run([yin, "demo"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for said in (
        "a breadth-first search over the sources says the same",
        "without a token: paused, because read alpha/stdlib: no token was presented",
        "whose token is revoked on gamma: paused, because",
        "a new one with that token: refused, because",
    ):
        assert said in done.stdout

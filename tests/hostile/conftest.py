"""These tests need a build that audits itself; `make hostile` runs them."""

from yind.cesk._core import IS_HOSTILE

if not IS_HOSTILE:
    collect_ignore_glob = ["test_*.py"]

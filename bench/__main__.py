"""`python -m bench [admission] [authority] [executor] [store] [datomstore] [facts] [hop] [machine] [migration] [yang]`: figures beside those of peers.

Without a name: the short overview over all parts. `machine` is the whole table of the executor, `yang` that of the compiler,
`datomstore` that of the store (with `--quick`, `--cpu` or `--groups=`).
"""

from __future__ import annotations

import importlib
import sys

from bench.report import last_line

PARTS = {
    "admission": ("bench.admission", "run"),
    "authority": ("bench.authority", "run"),
    "executor": ("bench.machine", "overview"),
    "store": ("bench.store", "run"),
    "datomstore": ("bench.datomstore", "run"),
    "facts": ("bench.facts", "run"),
    "hop": ("bench.hop", "run"),
    "machine": ("bench.machine", "run"),
    "migration": ("bench.migration", "run"),
    "yang": ("bench.yang", "run"),
}
OVERVIEW = ("executor", "store", "hop")


def main() -> None:
    """Run the parts named, or the overview."""
    parts = [part for part in sys.argv[1:] if not part.startswith("--")] or list(OVERVIEW)
    reports = []
    for part in parts:
        if part not in PARTS:
            sys.exit(f"bench: no part {part!r}; there are {', '.join(PARTS)}")
        module, function = PARTS[part]
        report = getattr(importlib.import_module(module), function)()
        report.show()
        reports.append(report)
    last_line(reports)


if __name__ == "__main__":
    main()

"""`python -m bench [machine] [datomstore] [hop]`: figures beside those of peers, from the same run."""

from __future__ import annotations

import importlib
import sys

from bench.report import last_line

PARTS = ("machine", "datomstore", "hop")
LONG = ("soak",)  # only when named


def main() -> None:
    """Run the parts named, or all."""
    parts = sys.argv[1:] or list(PARTS)
    reports = []
    for part in parts:
        if part not in PARTS + LONG:
            sys.exit(f"bench: no part {part!r}; there are {', '.join(PARTS + LONG)}")
        report = importlib.import_module(f"bench.{part}").run()
        report.show()
        reports.append(report)
    last_line(reports)


if __name__ == "__main__":
    main()

"""Every public name of Clojure's libraries means something here, or docs/clojure.md says that it does not."""

from __future__ import annotations

import re
from pathlib import Path

from yang.core import core_library
from yang.definitions import REWRITTEN
from yang.derived import DERIVED, WRITTEN_OUT
from yang.expand import CONSTANTS
from yang.resolve import names_known
from yang.special import SPECIAL

ROOT = Path(__file__).parent.parent.parent
PUBLICS = Path(__file__).parent / "clojure" / "publics.txt"  # `make clojure-differences`
PAGE = ROOT / "docs" / "clojure.md"
HEADING = "## What is not here"
OTHERS = {"*ns*", "gensym"}  # the expander's own


def known() -> set[str]:
    names = {*names_known(core_library()), *DERIVED, *SPECIAL, *REWRITTEN, *CONSTANTS, *OTHERS}
    return names | {name for name, _ in WRITTEN_OUT}


def missing() -> set[str]:
    names = {line.removeprefix("clojure.core/") for line in PUBLICS.read_text("utf-8").split()}
    return names - known()


def documented() -> set[str]:
    _, _, section = PAGE.read_text("utf-8").partition(HEADING)
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    return set(re.findall(r"`([^`]+)`", "".join(rows)))


def test_what_is_missing_of_clojure_is_documented() -> None:
    assert sorted(missing() - documented()) == []


def test_what_is_documented_as_missing_is_missing() -> None:
    assert sorted(documented() - missing()) == []

"""Source text of any length for the compiler's benchmark: modules from templates and copies of the core library.

Is:     the same text for the same number of lines, in every run.
Is not: a program that does anything: it is compiled, never run.
Fits:   `bench.yang` compiles it.

Some two of five lines are the project's library (`yang/lib`), under names that a program may define; the rest are the modules
in `bench/programs/modules`, in which `@n` is a number that tells copies apart, `@a @b @c` are small numbers by chance and
`@word` is a word. A namespace holds one copy of the library, or two of every module.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from importlib import resources
from itertools import count
from pathlib import Path

from yang.core import FILES
from yang.resolve import CORE_ONLY

SEED = 5
OWN = ("impl-", "long-", "clojure-", "yin-")  # how the library's own names begin here
LIBRARY_SHARE = 0.42  # of the lines
MODULES = Path(__file__).parent / "programs" / "modules"
WORDS = (
    "apple",
    "river",
    "stone",
    "cloud",
    "lamp",
    "garden",
    "window",
    "paper",
    "copper",
    "violin",
)

_PREFIXED = re.compile(
    r"(?<![^\s()\[\]{}'`~@])(clojure\.\w+|yin\.core|impl|long)/(?=[^\s()\[\]{}])"
)
_NAME = re.compile(r"[^\s()\[\]{}'`~@\"]+")
_HOLE = re.compile(r"@(n|a|b|c|word)\b")


def source_of(lines: int) -> str:
    """Return a program of about so many lines."""
    library = _library(int(lines * LIBRARY_SHARE))
    modules = _modules(lines - sum(text.count("\n") for text in library))
    return "".join([*library, *modules])


def _modules(lines: int) -> list[str]:
    """Return namespaces with copies of the modules."""
    chance = random.Random(SEED)
    templates = [path.read_text(encoding="utf-8") for path in sorted(MODULES.glob("*.clj"))]
    numbers = count(1)
    found: list[str] = []
    while lines > 0:
        chance.shuffle(templates)
        parts = [_namespace(f"shop.part{next(numbers)}")]
        parts += [_filled(template, next(numbers), chance) + "\n" for template in templates * 2]
        text = _cut("".join(parts), lines)
        lines -= max(text.count("\n"), 1)
        found.append(text)
    return found


def _library(lines: int) -> list[str]:
    """Return namespaces with copies of the library; the last is its beginning only."""
    files = resources.files("yang") / "lib"
    whole = "".join((files / name).read_text(encoding="utf-8") for name in FILES)
    plain = _PREFIXED.sub(lambda found: found[1].replace(".", "-") + "-", whole)
    found: list[str] = []
    for number in count(1):
        if lines <= 0:
            return found
        text = _cut(plain, lines)
        found.append(f"(ns library.copy{number})\n{_stubs(text)}\n{text}")
        lines -= text.count("\n")
    raise AssertionError


def _stubs(text: str) -> str:
    """Return definitions of the names that are the library's own and that a beginning of it lacks."""
    used = {name for name in _NAME.findall(text) if name in CORE_ONLY or name.startswith(OWN)}
    return " ".join(f"(defn {name} [& more] more)" for name in sorted(used - _defined(text)))


def _defined(text: str) -> set[str]:
    return set(re.findall(r"^\(defn-? (\S+)", text, flags=re.MULTILINE))


def _namespace(name: str) -> str:
    return (
        f"(ns {name}\n  (:require [clojure.string :as str]\n            [clojure.set :as set]))\n\n"
    )


def _filled(template: str, number: int, chance: random.Random) -> str:
    def fill(found: re.Match[str]) -> str:
        match found[1]:
            case "n":
                return str(number)
            case "word":
                return chance.choice(WORDS)
            case _:
                return str(chance.randrange(2, 1_000))

    return _HOLE.sub(fill, template)


def _cut(text: str, lines: int) -> str:
    """Return the whole top-level forms at the beginning of a text that are about so many lines."""
    if text.count("\n") <= lines:
        return text
    kept: list[str] = []
    for line in _forms(text):
        kept.append(line)
        lines -= line.count("\n")
        if lines <= 0:
            break
    return "".join(kept)


def _forms(text: str) -> Iterator[str]:
    """Yield pieces of a text that each begin where a line begins with a bracket."""
    yield from re.split(r"^(?=\()", text, flags=re.MULTILINE)

"""The compiler's rules: text files in Datalog, loaded once.

Is:     reading `*.dl` (EDN: a comment that says what the file derives, then one vector of rules) into rule values.
Is not: evaluation (`datomstore.datalog`), nor what is done with the facts (`yang.compile`).
Fits:   `yang.compile` evaluates each stage's files over the facts of a program.

Two shorthands of the files are spelt out here for the engine: a constant in a rule's head, and a rule without a body,
which is a fact.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from datomstore.edn import read
from datomstore.value import List, Symbol

Rules = tuple[tuple[object, ...], ...]

FILES = (
    *("scope", "tail", "names", "constants", "conditions", "slots", "liveness", "execution"),
    "errors",
)
GROUND = Symbol("ground")
_BEST = (Symbol("min"), Symbol("max"))  # of a value in a head: only the least, or greatest, stays


class RuleFileError(Exception):
    """A rule file of the package is not a vector of rules."""

    code = "rules/file"


def text_of(name: str) -> str:
    """Return the text of a file of rules."""
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


@cache
def load(*names: str) -> Rules:
    """Return the rules of these files, in order, as the engine takes them."""
    rules: list[tuple[object, ...]] = []
    for name in names:
        value = read(text_of(f"{name}.dl"), source=f"{name}.dl")
        rules += spelt_out(value, f"{name}.dl")
    return tuple(rules)


def spelt_out(rules: object, file: str) -> Rules:
    """Return rules without the shorthands. Raises RuleFileError."""
    if not isinstance(rules, tuple):
        raise RuleFileError(f"{file} does not hold a vector of rules")
    return tuple(_spelt_out(rule, file) for rule in rules)


@cache
def digest() -> bytes:
    """Return the hash of all rule files: compiled code depends on them."""
    whole = hashlib.sha256()
    for name in FILES:
        whole.update(text_of(f"{name}.dl").encode() + b"\0")
    return whole.digest()


def _spelt_out(rule: object, file: str) -> tuple[object, ...]:
    if not isinstance(rule, tuple) or not rule or not isinstance(rule[0], List):
        raise RuleFileError(f"{file} holds what is not a rule: {rule!r}")
    head, body = rule[0], rule[1:]
    arguments: list[object] = [head[0]]
    grounds: list[object] = []
    for place, argument in enumerate(head[1:]):
        if isinstance(argument, List) and argument and argument[0] in _BEST:
            arguments.append(argument)
            continue
        if isinstance(argument, Symbol):
            repeated = argument in arguments
            variable = Symbol(f"{argument.name}-again{place}") if repeated else argument
            if repeated:
                grounds.append((List([Symbol("identity"), argument]), variable))
        else:
            variable = Symbol(f"?constant{place}")
            grounds.append((List([GROUND, argument]), variable))
        arguments.append(variable)
    return (List(arguments), *body, *grounds)

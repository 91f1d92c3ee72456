"""What a form that cannot be read would have defined, as far as its names tell.

Is:     a guess from the order of symbols and keywords alone, so that errors which only follow from it are not told.
Is not: reading: brackets are what is wrong with such a form, so they are not looked at.
Fits:   `yang.expand` asks for each form of the kind `unread` that `yang.reader.clojure` left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from datomstore.value import Keyword
from yang.forms import Form

_SHAPES = frozenset({"defmulti", "defprotocol", "defrecord", "deftype", "definterface"})
_REQUIRING = frozenset({"ns", "require", "use", "refer", "alias", "in-ns", "load-file"})
_ENTERING = frozenset({"ns", "in-ns"})


class Promised(NamedTuple):
    """Names that may be missed; local ones, of the namespace that the form is in."""

    values: frozenset[str]
    macros: frozenset[str]
    shapes: frozenset[
        str
    ]  # multimethods, protocols and types, with all names beside them: forms build on these
    namespace: str | None  # that it enters
    aliases: dict[str, str]  # short names of namespaces
    requires: bool  # it brings in names that are not written in it


def promised(form: Form) -> Promised:
    """Return what an unread form may define."""
    symbols = [leaf.value for leaf in form.value if leaf.kind == "symbol"]
    heads = {_local(name) for name in symbols}
    defined = set(_defined(symbols))
    entered = [after for name, after in pairwise(symbols) if _local(name) in _ENTERING]
    shapes = _with_constructors(symbols) if heads & _SHAPES else frozenset()
    return Promised(
        frozenset(name for _, name in defined) | shapes,
        frozenset(name for head, name in defined if head == "defmacro"),
        shapes,
        entered[0] if entered else None,
        dict(_aliases(form.value)),
        bool(heads & _REQUIRING),
    )


def _defined(symbols: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the head of what looks like a definition, and the name; of `declare` all names."""
    for place, name in enumerate(symbols):
        head = _local(name)
        if head == "declare":
            for declared in symbols[place + 1 :]:
                yield head, declared
        elif head.startswith("def"):
            for defined in symbols[place + 1 :]:
                yield head, defined
                if not defined[:1].isupper():  # else it may be a tag, ^String name
                    break


def _with_constructors(names: Sequence[str]) -> frozenset[str]:
    types = [name for name in names if name[:1].isupper()]
    return frozenset([*names, *(f"{made}{name}" for name in types for made in ("->", "map->"))])


def _aliases(leaves: Sequence[Form]) -> Iterator[tuple[str, str]]:
    for before, key, after in zip(leaves, leaves[1:], leaves[2:], strict=False):
        names = before.kind == after.kind == "symbol"
        if names and isinstance(key.value, Keyword) and key.value.name in ("as", "as-alias"):
            yield after.value, before.value


def _local(name: str) -> str:
    return name.rpartition("/")[2]

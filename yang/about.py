"""What is known of a name, for people: kind, arguments, doc string, source text.

Is:     the library's definitions, read from its own sources, and what a session's definition says of itself.
Is not: what a name means where it is used (`yang.namespaces`, `yang.resolve`).
Fits:   `yang.session` answers `doc`, `source`, `apropos` and `dir` from it, and completes names.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from datomstore.value import Keyword
from yang.core import core_library, core_source
from yang.derived import DERIVED
from yang.errors import Source
from yang.forms import Form, text_of
from yang.namespaces import CORE_NAMESPACES
from yang.primitives import PRIMITIVES, Kind, Primitive
from yang.reader.clojure import read_source
from yang.resolve import CORE_ONLY
from yang.segment import Span, place_in
from yang.special import SPECIAL
from yang.usage import USAGE

LIBRARY = "clojure.core"
DEFINING = frozenset({"def", "defn", "defn-", "defmacro", "defmulti", "defonce"})
_HIDDEN = ("impl/", "long/")


class About(NamedTuple):
    """What is known of one name."""

    name: str  # qualified
    kind: str  # function, macro, value, syntax, special form, host function, effect
    arglists: tuple[str, ...] = ()
    doc: str = ""
    source: str = ""  # its text, empty when there is none
    place: str = ""  # file and line

    def text(self) -> str:
        """Return it as `doc` shows it."""
        lines = ["-" * 25, self.name]
        if self.arglists:
            lines.append(f"({' '.join(self.arglists)})")
        if self.kind != "function":
            lines.append(self.kind)
        lines += [f"  {line.strip()}" for line in self.doc.splitlines()]
        return "\n".join(lines)


def about_form(name: str, form: Form, source: Source) -> About:
    """Return what a definition says of itself."""
    head = form.value[0].value if form.kind == "list" and form.value else ""
    kind = {"defmacro": "macro", "def": "value", "defonce": "value"}.get(head, "function")
    file, place = place_in(source.parts, source.name, form.span)
    arglists, doc = _said(form) if head in DEFINING else ((), "")
    text = text_at(source, form.span)
    return About(name, kind, arglists, doc, text, f"{file}:{place.line}")


def text_at(source: Source, span: Span) -> str:
    """Return the text of a place."""
    lines = source.text.split("\n")[span.line - 1 : span.end_line]
    if not lines:
        return ""
    lines[-1] = lines[-1][: span.end_column - 1]
    lines[0] = lines[0][span.column - 1 :]
    return "\n".join(lines)


def _said(form: Form) -> tuple[tuple[str, ...], str]:
    """Return the parameter vectors and the doc string of a definition."""
    _, name, *rest = form.value
    found = {text_of(key): value for key, value in name.meta}
    doc = found[":doc"].value if ":doc" in found else ""
    if len(rest) > 1 and rest[0].kind == "literal" and isinstance(rest[0].value, str):
        doc = rest.pop(0).value
    if rest and rest[0].kind == "map" and len(rest) > 1:
        rest.pop(0)
    if form.value[0].value not in ("defn", "defn-", "defmacro"):
        return (), doc
    if rest and rest[0].kind == "vector":
        return (text_of(rest[0]),), doc
    bodies = [item.value[0] for item in rest if item.kind == "list" and item.value]
    return tuple(text_of(body) for body in bodies if body.kind == "vector"), doc


@cache
def library() -> dict[str, About]:
    """Return what is known of the library's names, by full name. Cost: reads its sources, once."""
    found = {f"{LIBRARY}/{row.name}": _host_function(row) for row in _named_primitives()}
    for name in (*SPECIAL, *DERIVED, *USAGE):
        if "~" not in name:
            found[f"{LIBRARY}/{name}"] = _syntax(name)
    found.update({about.name: about for about in _written()})
    return found


def _syntax(name: str) -> About:
    kind = "special form" if name in SPECIAL else "syntax"
    shape, doc = USAGE.get(name, ("", ""))
    return About(f"{LIBRARY}/{name}", kind, (f"{name} {shape}",) if shape else (), doc)


def _named_primitives() -> Iterator[Primitive]:
    return (row for row in PRIMITIVES if row.name not in CORE_ONLY and row.kind is not Kind.PORTION)


def _host_function(row: Primitive) -> About:
    least = [f"x{number}" if row.most != 1 else "x" for number in range(1, row.least + 1)]
    if row.most is None:
        arglists = [" ".join([*least, "& more"])]
    else:
        counts = range(row.least, row.most + 1)
        arglists = [
            " ".join(f"x{n}" if row.most > 1 else "x" for n in range(1, count + 1))
            for count in counts
        ]
    kind = "effect" if row.kind is Kind.EFFECT else "host function"
    shown = tuple(f"[{names}]" for names in arglists)
    return About(f"{LIBRARY}/{row.name}", kind, shown, row.doc)


def _written() -> Iterator[About]:
    """Yield the library's definitions that programs may name."""
    source, exported = core_source(), core_library().exports
    for form in read_source(source):
        if form.kind != "list" or len(form.value) < 3 or form.value[0].value not in DEFINING:
            continue
        name: str = form.value[1].value
        if name in exported and not name.startswith(_HIDDEN):
            full = name if "/" in name.strip("/") else f"{LIBRARY}/{name}"
            yield about_form(full, form, source)


def namespaces() -> dict[str, list[str]]:
    """Return the local names of the library's namespaces, sorted."""
    found: dict[str, list[str]] = {}
    for name in sorted(library()):
        namespace, _, local = split_name(name)
        found.setdefault(namespace, []).append(local)
    return found


def split_name(name: str) -> tuple[str, str, str]:
    """Return the namespace of a qualified name, the slash, and the local name, which may have slashes itself."""
    return name.partition("/")


def full_name(name: str, namespace: str | None) -> str:
    """Return the library's name in `library()` for a local name in one of its namespaces."""
    where = LIBRARY if namespace is None or namespace in CORE_NAMESPACES else namespace
    return f"{where}/{name}"


def keywords_in(forms: tuple[Form, ...]) -> Iterator[str]:
    """Yield the texts of the keywords in forms."""
    stack = list(forms)
    while stack:
        form = stack.pop()
        if form.kind == "literal":
            if isinstance(form.value, Keyword):
                yield f":{form.value.name}"
        elif not form.is_leaf:
            stack += form.value

"""Forms as source text that people read: lines of a page's width, indented as Clojure's are.

Is:     a pretty printer with one style per kind of form: bodies two in, bindings and clauses by two, arguments in a column.
Is not: a formatter of source text: comments and the author's own lines are no part of a form.
Fits:   `yang.clojure` prints with it. What the reader spells out (quote, deref, #"...") is written short again.

Cost: linear in the text; no recursion, so forms of any depth can be shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from datomstore import edn
from yang.forms import Exact, Form, text_of

WIDTH = 100
HEAD_WIDTH = 22  # after a longer one the arguments go below
COLUMN_MAX = 56  # where arguments start beside their head, at most

_OPENERS = {"list": "(", "vector": "[", "map": "{", "set": "#{", "function": "#("}
_CLOSERS = {"list": ")", "vector": "]", "map": "}", "set": "}", "function": ")"}
_PREFIXES = {"quote": "'", "clojure.core/deref": "@", "var": "#'"}
_PATTERN = "clojure.core/re-pattern"

# How many forms stand on the line of a head before its body.
_BODY_AFTER = {
    **dict.fromkeys(["do", "try", "finally", "comment", "lazy-seq", "reset", "async"], 0),
    **dict.fromkeys(["with-out-str", "cond"], 0),
    **dict.fromkeys(["let", "let*", "loop", "loop*", "letfn", "letfn*", "binding", "for"], 1),
    **dict.fromkeys(["doseq", "dotimes", "when", "when-not", "when-let", "when-some"], 1),
    **dict.fromkeys(["when-first", "if-let", "if-some", "if-not", "while", "case", "fn", "fn*"], 1),
    **dict.fromkeys(["def", "defn", "defn-", "defmacro", "prompt", "shift", "doto"], 1),
    **dict.fromkeys(["cond->", "cond->>", "ns", "defmethod"], 1),
    **dict.fromkeys(["catch", "control", "control0", "shift-at", "condp"], 2),
}
_BINDERS = frozenset(
    [
        "let",
        "let*",
        "loop",
        "loop*",
        "letfn*",
        "binding",
        "for",
        "doseq",
        "dotimes",
        "if-let",
        "if-some",
        "when-let",
        "when-some",
        "when-first",
    ]
)
_CLAUSES = frozenset(["cond", "case", "cond->", "cond->>"])  # whose bodies go by two

Entry: TypeAlias = "str | int | _Piece"  # a text, a line break with its indentation, a form


class _Piece(NamedTuple):
    form: Form
    reserve: int  # closing brackets after it
    style: str = ""  # "bindings" for a vector of pairs


def layout(form: Form) -> str:
    """Return the text of a form; its first line starts in column 1."""
    return _Layout(form).text()


class _Layout:
    def __init__(self, form: Form) -> None:
        self.root = form
        self.widths = _widths(form)
        self.kept: list[Form] = []  # made here, so that no other form gets their identity

    def text(self) -> str:
        out: list[str] = []
        column = 0
        stack: list[Entry] = [_Piece(self.root, 0)]
        while stack:
            entry = stack.pop()
            if isinstance(entry, int):
                out.append("\n" + " " * entry)
                column = entry
            elif isinstance(entry, str):
                out.append(entry)
                newline = entry.rfind("\n")
                column = column + len(entry) if newline < 0 else len(entry) - newline - 1
            elif self.fits(entry, column):
                flat = _flat(entry.form)
                out.append(flat)
                column += len(flat)
            else:
                stack.extend(reversed(self.broken(entry, column)))
        return "".join(out)

    def fits(self, piece: _Piece, column: int) -> bool:
        """Return whether a form goes on its line; several bindings do so only where all around them does."""
        if piece.style == "bindings" and len(piece.form.value) > 2:
            return False
        return column + self.widths[id(piece.form)] + piece.reserve <= WIDTH

    def broken(self, piece: _Piece, column: int) -> list[Entry]:
        """Return the parts of a form that does not fit on its line, and where lines break."""
        form = piece.form
        if form.meta:
            return self.described(piece, column)
        if _is_leaf(form):
            return [_leaf_text(form)]
        prefix = _prefix_of(form)
        if prefix is not None:
            if form.value[0].value == _PATTERN:
                return [f'#"{form.value[1].value}"']
            return [prefix, _Piece(form.value[1], piece.reserve)]
        opener = _OPENERS[form.kind]
        inner = column + len(opener)
        if form.kind in ("list", "function"):
            parts = self.list_parts(form, inner, piece.reserve + 1)
        elif form.kind == "map" or piece.style == "bindings":
            parts = self.by_two(form.value, inner, piece.reserve + 1)
        else:
            parts = self.items(form.value, inner, piece.reserve + 1)
        return [opener, *parts, _CLOSERS[form.kind]]

    def described(self, piece: _Piece, column: int) -> list[Entry]:
        """Return metadata on a line of its own, and what it is said of."""
        plain = piece.form._replace(meta=())
        before = _meta_text(piece.form)
        self.widths[id(plain)] = self.widths[id(piece.form)] - len(before)
        self.kept.append(plain)
        return [before.rstrip(), column, _Piece(plain, piece.reserve, piece.style)]

    def items(self, items: Sequence[Form], indent: int, reserve: int) -> list[Entry]:
        """Return the items of a vector or set: as many leaves on a line as fit, collections each on its own."""
        if not all(_is_leaf(item) for item in items):
            return _lines(items, indent, reserve)
        out: list[Entry] = []
        column = indent
        for position, item in enumerate(items):
            width = self.widths[id(item)]
            if position and column + 1 + width + 2 > WIDTH:
                out.append(indent)
                column = indent
            elif position:
                out.append(" ")
                column += 1
            out.append(_Piece(item, 0))
            column += width
        return out

    def list_parts(self, form: Form, inner: int, reserve: int) -> list[Entry]:
        """Return the parts of a call or special form."""
        items = form.value
        head = _head(form)
        if not items:
            return []
        if head in _BODY_AFTER and len(items) > _BODY_AFTER[head] + 1:
            return self.body_parts(head, items, inner, reserve)
        if len(items) == 1:
            return [_Piece(items[0], reserve)]
        width = self.widths[id(items[0])]
        if head is None:
            return _lines(items, inner, reserve)
        if width > HEAD_WIDTH or self.is_far(items[1:], inner + width + 1, inner + 1):
            return [_Piece(items[0], 0), *_below(items[1:], inner + 1, reserve)]
        column = inner + width + 1
        return [_Piece(items[0], 0), " ", *_lines(items[1:], column, reserve)]

    def by_two(self, items: Sequence[Form], indent: int, reserve: int) -> list[Entry]:
        """Return forms in pairs: a pair on a line, or the second one below where it does not fit."""
        out: list[Entry] = []
        last = len(items) - 1
        for position, item in enumerate(items):
            if position % 2:
                column = indent + self.widths[id(items[position - 1])] + 1
                is_far = column > indent + 8 and self.is_far([item], column, indent + 2)
                out.append(indent + 2 if is_far else " ")
            elif position:
                out.append(indent)
            style = "bindings" if position and _is_let(items[position - 1]) else ""
            out.append(_Piece(item, reserve if position == last else 0, style))
        return out

    def is_far(self, items: Sequence[Form], column: int, below: int) -> bool:
        """Return whether a form fits below its head, but not beside it."""
        widest = max(self.widths[id(item)] for item in items)
        if column + widest <= WIDTH - 2:
            return False
        return below + widest <= WIDTH - 2 or column > COLUMN_MAX

    def body_parts(self, head: str, items: Sequence[Form], inner: int, reserve: int) -> list[Entry]:
        """Return a head with what stands on its line, and the body two columns in from its bracket."""
        count = _BODY_AFTER[head]
        if head in ("fn", "fn*", "defn", "defn-", "defmacro"):
            count = _head_count(items)
        out: list[Entry] = [_Piece(items[0], 0)]
        for position, item in enumerate(items[1 : count + 1]):
            style = "bindings" if head in _BINDERS and not position else ""
            out += [" ", _Piece(item, 0, style)]
        body = items[count + 1 :]
        indent = inner + 1
        if head in _CLAUSES:
            return [*out, indent, *self.by_two(body, indent, reserve)]
        return [*out, *_below(body, indent, reserve)]


def _head_count(items: Sequence[Form]) -> int:
    """Return how many forms come before the body of a function: its name, its parameters."""
    count = 1 if len(items) > 1 and items[1].kind == "symbol" else 0
    return count + (len(items) > count + 1 and items[count + 1].kind == "vector")


def _lines(items: Sequence[Form], indent: int, reserve: int) -> list[Entry]:
    """Return forms, each on a line of its own."""
    out: list[Entry] = []
    last = len(items) - 1
    for position, item in enumerate(items):
        if position:
            out.append(indent)
        out.append(_Piece(item, reserve if position == last else 0))
    return out


def _below(items: Sequence[Form], indent: int, reserve: int) -> list[Entry]:
    return [indent, *_lines(items, indent, reserve)] if items else []


def _is_let(form: Form) -> bool:
    return form.kind == "literal" and repr(form.value) == ":let"


def _head(form: Form) -> str | None:
    first = form.value[0]
    return first.value.removeprefix("yin.core/") if first.kind == "symbol" else None


def _prefix_of(form: Form) -> str | None:
    """Return what the reader writes for a list of two: ' @ #' or #"."""
    if form.kind != "list" or len(form.value) != 2 or form.value[0].kind != "symbol":
        return None
    head = form.value[0].value
    if head == _PATTERN:
        text = form.value[1].value if form.value[1].kind == "literal" else None
        return '#"' if isinstance(text, str) and _is_pattern(text) else None
    return _PREFIXES.get(head)


def _is_pattern(text: str) -> bool:
    """Return whether a text stands between #" and " as it is."""
    escaped = False
    for character in text:
        if escaped:
            escaped = False
        elif character == '"':
            return False
        else:
            escaped = character == "\\"
    return not escaped


def _is_leaf(form: Form) -> bool:
    """Return whether a form is printed as a whole: leaves, and what only the arguments of macros have."""
    return form.kind not in _OPENERS


def _leaf_text(form: Form) -> str:
    if not form.is_leaf or form.kind == "auto":
        return text_of(form)
    if form.kind == "symbol":
        return f'#yin/name "{form.value}"' if isinstance(form.value, Exact) else form.value
    return edn.write(form.value)


def _meta_text(form: Form) -> str:
    """Return what stands before a form for its metadata."""
    parts: list[str] = []
    for key, value in form.meta:
        if value.kind == "literal" and value.value is True:
            parts.append(f"^{_flat(key)} ")
        else:
            parts.append(f"^{{{_flat(key)} {_flat(value)}}} ")
    return "".join(parts)


def _flat(root: Form) -> str:
    """Return a form on one line."""
    parts: list[str] = []
    stack: list[str | Form] = [root]
    while stack:
        form = stack.pop()
        if isinstance(form, str):
            parts.append(form)
            continue
        if form.meta:
            parts.append(_meta_text(form))
        prefix = None if _is_leaf(form) else _prefix_of(form)
        if _is_leaf(form):
            parts.append(_leaf_text(form))
        elif prefix == '#"':
            parts.append(f'#"{form.value[1].value}"')
        elif prefix is not None:
            parts.append(prefix)
            stack.append(form.value[1])
        else:
            stack.append(_CLOSERS[form.kind])
            for position in range(len(form.value) - 1, -1, -1):
                stack.append(form.value[position])
                if position:
                    stack.append(" ")
            stack.append(_OPENERS[form.kind])
    return "".join(parts)


def _widths(root: Form) -> dict[int, int]:
    """Return the width on one line of every form, by identity. A text of several lines is wider than any."""
    order, stack = [], [root]
    while stack:
        form = stack.pop()
        order.append(form)
        if not _is_leaf(form):
            stack.extend(form.value)
    widths: dict[int, int] = {}
    for form in reversed(order):
        before = len(_meta_text(form)) if form.meta else 0
        if _is_leaf(form):
            widths[id(form)] = before + len(_leaf_text(form))
            continue
        prefix = _prefix_of(form)
        if prefix == '#"':
            widths[id(form)] = before + len(form.value[1].value) + 3
        elif prefix is not None:
            widths[id(form)] = before + len(prefix) + widths[id(form.value[1])]
        else:
            inner = sum(widths[id(item)] for item in form.value) + max(len(form.value) - 1, 0)
            widths[id(form)] = before + inner + len(_OPENERS[form.kind]) + 1
    return widths

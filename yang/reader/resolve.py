"""Forms that depend on the namespace: `::a`, `#::{}`, syntax quote with its unquotes.

Is:     a walk over one top-level form that replaces these kinds by plain forms.
Is not: reading, nor expansion: what a name means is asked of `Names`.
Fits:   `yang.expand` calls it for each top-level form in turn, since `ns` changes what follows it.
Source: clojure.lang.LispReader's SyntaxQuoteReader, Clojure 1.11. A template without splices becomes a call of `list` or
        a literal collection instead of `(seq (concat (list ...) ...))`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from datomstore.value import Keyword
from yang.errors import SourceError
from yang.forms import Form, call, function_list, symbol
from yang.reader.clojure import with_namespace
from yang.segment import Span

_RESOLVED = frozenset(
    {"auto", "namespaced", "syntax-quote", "unquote", "unquote-splicing", "tagged"}
)
_BUILDERS = {"vector": "yin.core/vector", "map": "yin.core/hash-map", "set": "yin.core/hash-set"}


class Names(Protocol):
    """What names mean where a form stands."""

    @property
    def current(self) -> str:
        """Return the name of the namespace."""

    def namespace_of(self, alias: str) -> str | None:
        """Return the namespace that an alias stands for, None if there is none."""

    def full_name(self, name: str) -> str:
        """Return a symbol as syntax quote resolves it."""

    def fresh_symbol(self, name: str) -> str:
        """Return a symbol that nobody else has."""

    def error(self, message: str, span: Span, hint: str | None = None) -> SourceError:
        """Return (not raise) the error of a place."""


def is_plain(form: Form) -> bool:
    """Return whether nothing in a form depends on the namespace."""
    stack = [form]
    while stack:
        form = stack.pop()
        if form.kind in _RESOLVED:
            return False
        if form.meta:
            stack += [part for entry in form.meta for part in entry]
        if not form.is_leaf:
            stack += form.value
    return True


def resolve(form: Form, names: Names) -> Form:
    """Return a form without such kinds. Recursion is bounded by the reader's NESTING_MAX.

    Raises:
        SourceError: an unknown alias or tag, an unquote outside of a syntax quote.
    """
    return form if is_plain(form) else _Walk(names).form(form, 0)


class _Walk:
    def __init__(self, names: Names) -> None:
        self.names = names

    def form(self, form: Form, depth: int) -> Form:
        """Resolve one form inside so many syntax quotes."""
        if form.meta:
            meta = tuple([(self.form(k, depth), self.form(v, depth)) for k, v in form.meta])
            form = form._replace(meta=meta)
        match form.kind:
            case "literal" | "symbol":
                return form
            case "auto":
                return form._replace(kind="literal", value=Keyword(self._auto(form)))
            case "namespaced":
                alias, entries = form.value
                namespace = self._namespace(alias.value, alias.span)
                return self.form(with_namespace(entries, namespace), depth)
            case "tagged":
                tag = form.value[0]
                hint = "there are #inst, #uuid, #bytes"
                raise self.names.error(f"no reader for the tag #{tag.value}", tag.span, hint)
            case "syntax-quote":
                return _Template(self.names).of(self.form(form.value[0], depth + 1))
            case "unquote" | "unquote-splicing":
                if depth == 0:
                    mark = "~" if form.kind == "unquote" else "~@"
                    raise self.names.error(f"{mark} outside of a syntax quote `", form.span)
                return form._replace(value=(self.form(form.value[0], depth - 1),))
        return form._replace(value=tuple([self.form(item, depth) for item in form.value]))

    def _auto(self, form: Form) -> str:
        alias, slash, local = form.value.partition("/")
        if not slash:
            return f"{self.names.current}/{alias}"
        return f"{self._namespace(alias, form.span)}/{local}"

    def _namespace(self, alias: str, span: Span) -> str:
        if not alias:
            return self.names.current
        found = self.names.namespace_of(alias)
        if found is None:
            hint = f"(:require [some.namespace :as {alias}])"
            raise self.names.error(f"no alias {alias}", span, hint)
        return found


class _Template:
    """One syntax quote, whose `x#` all mean one symbol."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.made: dict[str, str] = {}

    def of(self, form: Form) -> Form:
        """Return the code that makes a form."""
        if form.kind == "unquote":
            return form.value[0]  # type: ignore[no-any-return]
        if form.kind == "unquote-splicing":
            raise self.names.error("~@ has no list around it to be spliced into", form.span)
        if form.kind == "literal":
            return form
        if _is_constant(form):
            return call(form.span, "quote", self._quoted(form))
        if form.kind == "function":
            form = function_list(form)
        return self._collection(form)

    def _collection(self, form: Form) -> Form:
        items: Sequence[Form] = form.value
        span = form.span
        if all(item.kind != "unquote-splicing" for item in items):
            made = [self.of(item) for item in items]
            if form.kind == "list":
                return call(span, "yin.core/list", *made)
            return Form(form.kind, tuple(made), span)
        joined = call(span, "yin.core/concat", *self._parts(items, span))
        if form.kind == "list":
            return call(span, "yin.core/seq", joined)
        return call(span, "yin.core/apply", symbol(_BUILDERS[form.kind], span), joined)

    def _parts(self, items: Sequence[Form], span: Span) -> list[Form]:
        parts: list[Form] = []
        together: list[Form] = []
        for item in items:
            if item.kind == "unquote-splicing":
                if together:
                    parts.append(call(span, "yin.core/list", *together))
                    together = []
                parts.append(item.value[0])
            else:
                together.append(self.of(item))
        if together:
            parts.append(call(span, "yin.core/list", *together))
        return parts

    def _quoted(self, form: Form) -> Form:
        """Return a form without unquotes, its symbols resolved."""
        if form.kind == "function":
            form = function_list(form)
        if form.kind == "symbol":
            return form._replace(value=self._name(form.value))
        if form.kind == "literal":
            return form
        return form._replace(value=tuple([self._quoted(item) for item in form.value]))

    def _name(self, name: str) -> str:
        if name[0] == "%" and (len(name) == 1 or name[1] == "&" or name[1:].isdecimal()):
            return name  # a parameter of #( )
        if name.endswith("#") and "/" not in name and len(name) > 1:
            if name not in self.made:
                self.made[name] = self.names.fresh_symbol(f"{name[:-1]}__auto")
            return self.made[name]
        return self.names.full_name(name)


def _is_constant(form: Form) -> bool:
    stack = [form]
    while stack:
        form = stack.pop()
        if form.kind == "unquote" or form.kind == "unquote-splicing":
            return False
        if not form.is_leaf:
            stack += form.value
    return True

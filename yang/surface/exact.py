"""Core forms with every name exact.

Is:     the last way to write a statement, which always means the tree that it came from.
Is not: for people, mostly: `yang.surface.rules` is.
Fits:   `yang.clojure` uses it when rules and plain core forms come back different.
"""

from __future__ import annotations

from yang.forms import Exact, Form
from yang.reader.literals import is_internal
from yang.surface.questions import exactly, is_name, is_symbol


def exact_form(form: Form) -> Form:
    """Return a core form with all its names exact, for when nothing else will do. Recursion is as deep as the form."""
    if form.kind == "symbol":
        return exactly(form)
    if form.is_leaf or not form.value:
        return form
    head, *rest = form.value
    if not is_symbol(head) or head.value not in CORE_FORMS:
        return form._replace(value=tuple([exact_form(item) for item in form.value]))
    if head.value == "quote":
        return form
    if head.value == "catch":
        rest = [rest[0], *[exact_form(item) for item in rest[1:]]]
        return form._replace(value=(head, *rest))
    return form._replace(value=(head, *[_exact_part(item) for item in rest]))


def exact_internals(form: Form) -> Form:
    """Return a form with the names of the core library's own parts exact: in no other way does a text name them."""
    if form.kind == "symbol":
        is_plain = not isinstance(form.value, Exact) and is_internal(form.value)
        return exactly(form) if is_plain else form
    if form.is_leaf or (form.kind == "list" and form.value and is_name(form.value[0], "quote")):
        return form
    return form._replace(value=tuple([exact_internals(item) for item in form.value]))


def _exact_part(form: Form) -> Form:
    """Return a part of a core form; & stays as it is among parameters."""
    if form.kind == "list" and form.value and form.value[0].kind == "vector":
        parameters, *body = form.value
        return form._replace(value=(_exact_part(parameters), *[exact_form(item) for item in body]))
    if form.kind == "vector":
        items = [item if is_name(item, "&") else exact_form(item) for item in form.value]
        return form._replace(value=tuple(items))
    return exact_form(form)


CORE_FORMS = frozenset(
    ["quote", "if", "do", "def", "let*", "loop*", "letfn*", "fn*", "recur", "try", "throw", "catch"]
)

"""Questions about core forms that rules ask.

Is:     one-line tests of shape, and the parts of frequent shapes.
Is not: rules: nothing here knows what a form is written as.
Fits:   imported by every module of this package.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from yang.forms import Exact, Form
from yang.namespaces import CORE, SLASHED

Scope: TypeAlias = frozenset[str]


Pairs: TypeAlias = list[tuple[Form, Form]]


_SYMBOL = re.compile(r"[^\s,()\[\]{}\"@^`~;\\#':0-9][^\s,()\[\]{}\"@^`~;\\]*")


CONSTANTS = frozenset(["nil", "true", "false", "gensym", "*ns*", "&"])


def is_readable(name: str) -> bool:
    """Return whether a name is read as a symbol, and stands for itself."""
    return (
        _SYMBOL.fullmatch(name) is not None
        and name not in CONSTANTS
        and name[0] not in "."
        and name[-1] != "."
        and (name in SLASHED or (name[0] != "/" and name[-1] != "/") or name.endswith("//"))
        and not re.fullmatch(r"[+-][0-9].*", name)
    )


def exactly(form: Form) -> Form:
    """Return a symbol that nothing resolves."""
    return form._replace(value=Exact(form.value))


def is_symbol(form: Form) -> bool:
    """Return whether a form is a symbol."""
    return form.kind == "symbol"


def is_name(form: Form, name: str) -> bool:
    """Return whether a form is this symbol."""
    return form.kind == "symbol" and bool(form.value == name)


def is_made(form: Form, beginning: str) -> bool:
    """Return whether a form is a symbol that expansion made with this beginning."""
    return form.kind == "symbol" and bool(re.fullmatch(rf"{re.escape(beginning)}~\d+", form.value))


def is_call(form: Form, head: str, count: int | None = None) -> bool:
    """Return whether a form is a list with this head, and so many forms after it."""
    return (
        form.kind == "list"
        and bool(form.value)
        and is_name(form.value[0], head)
        and (count is None or len(form.value) == count + 1)
    )


def is_core(form: Form, name: str, *operands: str | None) -> bool:
    """Return whether a form is the call of a function of the library with such names as operands; None for any form."""
    return is_call(form, CORE + name, len(operands)) and all(
        operand is None or is_name(item, operand)
        for operand, item in zip(operands, form.value[1:], strict=True)
    )


def is_nil(form: Form) -> bool:
    """Return whether a form is nil."""
    return form.kind == "literal" and form.value is None


def is_constant(form: Form, value: object) -> bool:
    """Return whether a form is this value, of the same type."""
    return form.kind == "literal" and type(form.value) is type(value) and form.value == value


def pairs_of(form: Form) -> Pairs:
    """Return names and values of a binding vector."""
    return list(zip(form.value[::2], form.value[1::2], strict=True))


def names_of(pairs: Pairs) -> Scope:
    """Return the names that pairs bind."""
    return frozenset([name.value for name, _ in pairs])


def thunk_body(form: Form) -> Form | None:
    """Return the body of `(fn* ([] body))`."""
    if not is_call(form, "fn*", 1) or form.value[1].kind != "list":
        return None
    parameters, body = form.value[1].value
    return None if parameters.value else body


def function_of(form: Form) -> tuple[Form, Form] | None:
    """Return parameter and body of `(fn* ([x] body))`."""
    if not is_call(form, "fn*", 1) or form.value[1].kind != "list":
        return None
    parameters, body = form.value[1].value
    is_plain = len(parameters.value) == 1 and "~" not in parameters.value[0].value
    return (parameters.value[0], body) if is_plain else None

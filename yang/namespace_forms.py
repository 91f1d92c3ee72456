"""The derived forms of namespaces: ns, in-ns, require, use, refer, alias.

Is:     what they say about names, while the program is compiled; all of them are nil when it runs.
Is not: finding files: the host does (`yang.host`), through `Expander.require_file`.
Fits:   part of `yang.derived`'s table.
Source: clojure.core/ns of Clojure 1.11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from datomstore.value import Keyword
from yang.errors import ANYTHING
from yang.forms import Form, literal, text_of

if TYPE_CHECKING:
    from yang.expand import Expander

_FLAGS = frozenset({"reload", "reload-all", "verbose"})


def ns(expander: Expander, form: Form) -> Form:
    """Enter a namespace; `(:require ...)`, `(:use ...)` and `(:refer-clojure ...)` are understood, others refused."""
    name, *clauses = expander.count(form, 1, None, "(ns name (:require ...))")
    if name.kind != "symbol":
        raise expander.error("ns takes a name", name.span)
    if not expander.core:
        expander.enter(name.value)
    while clauses and (_is_text(clauses[0]) or clauses[0].kind == "map"):
        clauses = clauses[1:]
    for clause in clauses:
        items = clause.value if clause.kind in ("list", "vector") else ()
        head = _keyword(items[0]) if items else None
        if head == "require":
            _require_all(expander, items[1:])
        elif head == "use":
            _require_all(expander, items[1:], uses=True)
        elif head != "refer-clojure":
            shown = text_of(items[0]) if items else text_of(clause)
            raise expander.error(f"{shown} in ns is not supported", clause.span)
    return literal(None, form.span)


def in_ns(expander: Expander, form: Form) -> Form:
    """Enter a namespace."""
    (name,) = expander.count(form, 1, 1, "(in-ns 'name)")
    expander.enter(_quoted_symbol(expander, name))
    return literal(None, form.span)


def require(expander: Expander, form: Form) -> Form:
    """Load namespaces and give them aliases."""
    _require_all(expander, [_quoted(expander, item) for item in form.value[1:]])
    return literal(None, form.span)


def use(expander: Expander, form: Form) -> Form:
    """Load namespaces and refer to all that they show."""
    _require_all(expander, [_quoted(expander, item) for item in form.value[1:]], uses=True)
    return literal(None, form.span)


def refer(expander: Expander, form: Form) -> Form:
    """Refer to what a loaded namespace shows."""
    name, *options = expander.count(form, 1, None, "(refer 'name :only [names])")
    namespace = _quoted_symbol(expander, name)
    if namespace == "clojure.core":
        return literal(None, form.span)
    found = _options(expander, [_quoted(expander, option) for option in options])
    _refer(expander, namespace, name, found)
    return literal(None, form.span)


def alias(expander: Expander, form: Form) -> Form:
    """Give a namespace another name."""
    short, name = expander.count(form, 2, 2, "(alias 'short 'name)")
    namespace = _quoted_symbol(expander, name)
    if expander.namespace_of(namespace) is None:
        raise expander.error(f"no namespace {namespace}", name.span)
    expander.globals.current.aliases[_quoted_symbol(expander, short)] = namespace
    return literal(None, form.span)


def _keyword(form: Form) -> str | None:
    if form.kind == "literal" and isinstance(form.value, Keyword):
        return form.value.name
    return None


def _is_text(form: Form) -> bool:
    return form.kind == "literal" and isinstance(form.value, str)


def _quoted(expander: Expander, form: Form) -> Form:
    if form.kind == "list" and len(form.value) == 2 and form.value[0].value == "quote":
        return form.value[1]  # type: ignore[no-any-return]
    if form.kind == "literal":
        return form
    if form.kind == "vector":
        return form._replace(value=tuple([_quoted(expander, item) for item in form.value]))
    raise expander.error("names of namespaces are quoted here, for they are no values", form.span)


def _quoted_symbol(expander: Expander, form: Form) -> str:
    found = _quoted(expander, form)
    if found.kind != "symbol":
        raise expander.error("the name of a namespace is a symbol", form.span)
    return found.value  # type: ignore[no-any-return]


def _require_all(expander: Expander, specifications: Sequence[Form], *, uses: bool = False) -> None:
    again = {_keyword(form) for form in specifications} & {"reload", "reload-all"}
    for form in specifications:
        if form.kind == "literal" and _keyword(form) in _FLAGS:
            continue
        if again and expander.is_open:
            expander.forget(form)
        if form.kind == "list" and form.value:  # (prefix name [name :as x])
            prefix, *inner = form.value
            for item in inner:
                _require_one(expander, _prefixed(prefix, item), uses=uses)
        else:
            _require_one(expander, form, uses=uses)


def _prefixed(prefix: Form, form: Form) -> Form:
    if form.kind == "vector" and form.value:
        return form._replace(value=(_prefixed(prefix, form.value[0]), *form.value[1:]))
    return form._replace(value=f"{prefix.value}.{form.value}")


def _require_one(expander: Expander, form: Form, *, uses: bool) -> None:
    """Take `clojure.string`, `[app.text :as t :refer [words]]` or `["hash of code" :as t]`."""
    name, *rest = form.value if form.kind == "vector" and form.value else (form,)
    options = _options(expander, rest)
    if _is_text(name):
        namespace = expander.require_code(name.value, name.span)
    elif name.kind != "symbol":
        raise expander.error(f"{text_of(name)} is not the name of a namespace", name.span)
    else:
        namespace = name.value
        only_alias = "as-alias" in options and "as" not in options
        known = expander.library_of(namespace) is not None
        if only_alias:
            expander.globals.namespaces.setdefault(
                namespace, type(expander.globals.current)(namespace)
            )
        elif not known:
            _require_file(expander, namespace, name)
    for key in ("as", "as-alias"):
        if key in options:
            short = options[key]
            if short.kind != "symbol":
                raise expander.error(f":{key} takes a symbol", short.span)
            expander.globals.current.aliases[short.value] = namespace
    if uses or "refer" in options or "only" in options:
        _refer(expander, namespace, name, options)


def _require_file(expander: Expander, namespace: str, name: Form) -> None:
    """Load a namespace's file. One that is not there is told once, and taken to have every name."""
    if not expander.require_file(namespace, name.span):
        hint = expander.require_hint(namespace)
        expander.note(expander.error(f"no namespace {namespace} to require", name.span, hint))
        expander.miss(namespace)


def _options(expander: Expander, rest: Sequence[Form]) -> dict[str, Form]:
    if len(rest) % 2:
        raise expander.error("an option of require has no value", rest[-1].span)
    known = ("as", "as-alias", "refer", "only", "rename", "exclude")
    options: dict[str, Form] = {}
    for option, value in zip(rest[::2], rest[1::2], strict=True):
        key = _keyword(option)
        if key not in known:
            raise expander.error(f"{text_of(option)} in require is not supported", option.span)
        options[key] = value
    return options


def _refer(expander: Expander, namespace: str, place: Form, options: Mapping[str, Form]) -> None:
    """Make names of a namespace mean here what they mean there."""
    current = expander.globals.current
    renamed = options.get("rename")
    names = dict(zip(renamed.value[::2], renamed.value[1::2], strict=True)) if renamed else {}
    new = {old.value: name.value for old, name in names.items()}
    chosen = options.get("refer") or options.get("only")
    library = expander.library_of(namespace)
    if chosen is not None and _keyword(chosen) != "all":
        if chosen.kind not in ("vector", "list"):
            raise expander.error("names to refer to stand in a vector", chosen.span)
        for name in chosen.value:
            local = expander.check_local(name)
            full = (
                f"{library}/{local}" if library else expander.globals.global_name(local, namespace)
            )
            current.referred[new.get(local, local)] = full
            if library is None:
                expander.check_later(name, full, namespace)
        return
    if library is not None:
        raise expander.error(
            "of a library namespace say which names: :refer [name ...]", place.span
        )
    hidden = {item.value for item in options["exclude"].value} if "exclude" in options else set()

    def refer_to_all() -> None:
        if namespace in expander.missing:
            expander.missing.add(ANYTHING)
        for local, full in expander.globals.publics(namespace).items():
            if local not in hidden:
                current.referred[new.get(local, local)] = full

    expander.later(refer_to_all)

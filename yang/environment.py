"""What a unit tells of names to the code that comes after it, as data in its own tree.

Is:     the first statement of a unit of open code, which is never reached, made and taken over again.
Is not: code: what names hold is in the machine; what a macro does is a definition like any other.
Fits:   `yang.session` and `yang.expand` put it before units, `yang.evaluation` and resumed sessions read it.

Code is open when other code may be compiled against it while it runs: that of a session, and a program that mentions `eval`
or what is made of it. Its definitions are globals, looked up when they are read, because each has a second definition in

    (if false (do (def f nil) (def x nil) (quote {:home "user", :definitions {"f" {...}}})))

The map says what the tree itself does not: namespaces with their aliases, which definitions are private, dynamic or macros,
and of sessions the text that was typed. So a node that has the programs of an agent knows all that code for it can mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from datomstore.value import Keyword, Map
from yang.about import text_at
from yang.errors import Source, SourceError, SourceErrors
from yang.forms import Form, call, literal, symbol, value_of
from yang.macros import form_of
from yang.namespaces import Global, Globals, Namespace
from yang.reader.clojure import read_source
from yang.segment import Span

if TYPE_CHECKING:
    from yang.expand import Expander

# In open code any code may come later, so what it could need is there from the beginning.
FEATURES = frozenset({"eval", "references", "watches", "metas"})
_START = Span(1, 1, 1, 1)
_FLAGS = {"private": "private", "function": "is_function"}  # of a Global


# -- the statement --


def declarations(names: Iterable[str], record: Map | None, span: Span) -> Form:
    """Return a form that says which names a unit shares with others, and what is known of them; it does nothing."""
    start = Span(span.line, span.column, span.line, span.column)
    made = [call(start, "def", symbol(name, start), literal(None, start)) for name in sorted(names)]
    if record:
        made.append(call(start, "quote", literal(record, start)))
    return call(start, "if", literal(False, start), call(start, "do", *made))


def divided(forms: Iterable[Form]) -> tuple[Map | None, list[Form]]:
    """Return what the declarations among the statements of a unit say of names, and the other statements.

    Patterns of the text stand before declarations. Without any, there is None and all of them.
    """
    statements = list(forms)
    for place, form in enumerate(statements):
        record = _record_in(form)
        if record is not None:
            return record, statements[:place] + statements[place + 1 :]
    return None, statements


def _record_in(form: Form) -> Map | None:
    """Return what a statement that `declarations` made says of names; None for any other."""
    if head_of(form) != "if" or len(form.value) < 3 or form.value[1].value is not False:
        return None
    said = form.value[2]
    last = said.value[-1] if head_of(said) == "do" else said  # of one statement only that is left
    if head_of(last) != "quote":
        return None
    value = value_of(last.value[1])
    return value if isinstance(value, Map) else None


def defined_in(forms: Iterable[Form]) -> Iterator[tuple[str, Form]]:
    """Yield names and values of the definitions in core forms, in the order of the text."""
    stack = [*forms][::-1]
    while stack:
        form = stack.pop()
        if form.is_leaf or head_of(form) == "quote":
            continue
        stack += form.value[::-1]
        if head_of(form) == "def":
            yield form.value[1].value, form.value[2]


def definitions_in(forms: Iterable[Form]) -> set[str]:
    """Return the names that core forms define."""
    return {name for name, _ in defined_in(forms)}


def head_of(form: Form) -> str | None:
    """Return the name of the symbol a list starts with."""
    if form.kind == "list" and form.value and form.value[0].kind == "symbol":
        return form.value[0].value  # type: ignore[no-any-return]
    return None


# -- what is known, as data --


def record_of(before: Expander | None, after: Expander, *, texts: bool, stays: bool = True) -> Map:
    """Return what became known between two expanders, of which the second has gone on from the first.

    Args:
        before: None for a program.
        after: when all of the unit is expanded.
        texts: with the text of each definition.
        stays: code that follows begins in the namespace where this ended.
    """
    entries: dict[str, Any] = {}
    table = after.globals
    if before is None:
        entries["home"] = table.home
    if stays and (before is None or before.namespace != after.namespace):
        entries["namespace"] = after.namespace
    if table.everywhere and (before is None or before.globals.everywhere != table.everywhere):
        entries["everywhere"] = tuple(sorted(table.everywhere))
    namespaces = _namespaces(before, table)
    if namespaces:
        entries["namespaces"] = Map(namespaces)
    known = {} if before is None else before.globals.table
    definitions = {
        name: _definition(after, found, texts=texts)
        for name, found in table.table.items()
        if known.get(name) is not found
    }
    if definitions:
        entries["definitions"] = Map(definitions)
    loaded = after.loaded - (set() if before is None else before.loaded)
    if loaded:
        entries["loaded"] = tuple(sorted(loaded))
    return _keyed(entries)


def _keyed(entries: dict[str, Any]) -> Map:
    return Map([(Keyword(key), value) for key, value in entries.items()])


def _namespaces(before: Expander | None, table: Globals) -> dict[str, object]:
    known = {} if before is None else before.globals.namespaces
    return {
        name: (Map(found.aliases), Map(found.referred))
        for name, found in table.namespaces.items()
        if known.get(name) != found
    }


def _definition(expander: Expander, found: Global, *, texts: bool) -> Map:
    entries: dict[str, Any] = {"namespace": found.namespace, "kind": found.kind, "line": found.line}
    entries |= {key: True for key, flag in _FLAGS.items() if getattr(found, flag)}
    if found.more is not None:
        entries["more"] = found.more
    said = [pair for key, value in found.meta if (pair := _said(key, value)) is not None]
    if said:
        entries["meta"] = tuple(said)
    macro = expander.macros.table.get(found.name)
    if found.kind == "macro" and macro is not None:
        entries["arglists"] = tuple(value_of(parameters) for parameters in macro.arglists)
        entries["env"] = macro.sees_locals
    if texts and found.name in expander.written:
        form, source = expander.written[found.name]
        entries["text"] = (
            source.name,
            form.span.line,
            form.span.column,
            text_at(source, form.span),
        )
    return _keyed(entries)


def _said(key: Form, value: Form) -> tuple[object, object] | None:
    """Return an entry of metadata as data; None for one that is no data."""
    try:
        return value_of(key), value_of(value)
    except ValueError:
        return None


# -- and taken over --


def adopt(expander: Expander, record: Map, forms: Iterable[Form], *, texts: bool) -> None:
    """Let an expander know what a unit says, whose other core forms are given.

    Args:
        expander: changes.
        record: of the unit; whatever is not understood in it is as if it were not there.
        forms: the unit's statements.
        texts: also the text of definitions.
    """
    table = expander.globals
    if not table.table and isinstance(_get(record, "home"), str):
        _go_home(table, record[Keyword("home")])
    for name, found in _items(_get(record, "namespaces")):
        aliases, referred = found
        table.namespaces[name] = Namespace(name, dict(aliases.items()), dict(referred.items()))
        if table.current.name == name:
            table.current = table.namespaces[name]
    table.everywhere |= frozenset(_get(record, "everywhere") or ())
    expander.loaded |= set(_get(record, "loaded") or ())
    inits = dict(defined_in(forms))
    for form in forms:
        expander.macros.note(form)
    for name, said in _items(_get(record, "definitions")):
        _adopt_definition(expander, name, said, inits.get(name), texts=texts)
    namespace = _get(record, "namespace")
    if namespace is not None:
        expander.enter(namespace)


def _go_home(table: Globals, home: str) -> None:
    table.home = home
    table.namespaces = {home: Namespace(home)}
    table.current = table.namespaces[home]
    table.close_home()


def _get(record: Map, key: str) -> Any:
    return record.get(Keyword(key))


def _items(found: object) -> Iterable[tuple[Any, Any]]:
    return found.items() if isinstance(found, Map) else ()


def _adopt_definition(
    expander: Expander, name: str, said: Map, init: Form | None, *, texts: bool
) -> None:
    kind = str(_get(said, "kind"))
    meta = tuple((form_of(k, _START), form_of(v, _START)) for k, v in _get(said, "meta") or ())
    known = Global(name, _get(said, "namespace"), kind, meta=meta, more=_get(said, "more"))
    known.line = _get(said, "line") or 0
    for key, flag in _FLAGS.items():
        setattr(known, flag, _get(said, key) is True)
    expander.globals.table[name] = known
    expander.defined.add(name)
    expander.dynamic.discard(name)
    expander.macros.table.pop(name, None)
    if kind == "dynamic":
        expander.dynamic.add(name)
    if kind == "macro" and init is not None:
        arglists = [form_of(parameters, _START) for parameters in _get(said, "arglists") or ()]
        expander.macros.define(
            name,
            call(_START, "def", symbol(name, _START), init),
            sees_locals=_get(said, "env") is True,
            arglists=tuple(arglists),
        )
    text = _get(said, "text") if texts else None
    if text is not None:
        _adopt_text(expander, name, *text)


def _adopt_text(
    expander: Expander, name: str, file: str, line: int, column: int, text: str
) -> None:
    """Take the text of a definition, at its place in what was typed."""
    source = Source(file, "\n" * (line - 1) + " " * (column - 1) + text)
    try:
        (form,) = read_source(source)
    except (SourceError, SourceErrors, ValueError):
        return
    expander.written[name] = (form, source)

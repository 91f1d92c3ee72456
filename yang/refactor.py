"""Refactorings of source text: as few characters as possible change, and the program is compared before and after.

Is:     rename and extract-function over the files of one program: what to write where, or why not.
Is not: reading or writing files (`cli.commands.refactor`), nor edits of a program without a text (`yang.edit`).
Fits:   the tree says whom names mean (`yang.scopes`); forms say where they are written; both share their spans.

A rename is made only if the new text compiles to the old tree with exactly those names changed (of a macro: to the same
tree; of a record, protocol or multimethod: with all names that are made of the one), an extraction only if it compiles
to the tree that `yang.edit` makes of the old one. So a name that a macro writes, or one that is part of data, cannot
change what a program does: it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from datomstore.value import Keyword, Map, Symbol
from yang.edit import draft_of, extraction, refuse_other_meanings
from yang.errors import EditRefused, ProgramInvalid, Source, SourceError, SourceErrors
from yang.forms import Form
from yang.host import ALONE, Host
from yang.lower import expanded_tree, number_made
from yang.nodes import Item, Tree
from yang.program import canonical_items, program_of
from yang.reader.clojure import read_source
from yang.scopes import BINDERS, Scopes, scopes_of
from yang.segment import Part, Span
from yang.special import SPECIAL
from yang.surface.questions import is_readable

WIDTH = 100
_DO = "(do "
_DELIMITERS = frozenset(" \t\r\n\f\v,()[]{}\"@^`~;\\'#")
_LISTING = ("keys", "strs", "syms")  # what of a map pattern binds each name of a vector

Position = tuple[int, int]  # line and column, of the whole source


class Change(NamedTuple):
    """Text that is written instead of what stands from one place to another of a file."""

    file: str
    start: Position
    end: Position
    text: str


class Refactored(NamedTuple):
    """What a refactoring writes."""

    changes: tuple[Change, ...]
    files: Mapping[str, str]  # the new texts of the files that change
    before: bytes  # hashes of the program
    after: bytes


class _Text:
    """A program with its files: what stands where."""

    def __init__(self, source: Source, host: Host) -> None:
        self.host = host
        self.main = source
        self.tree, self.source = expanded_tree(source, host=host)
        self.scopes: Scopes = scopes_of(self.tree)
        self.lines = self.source.text.split("\n")
        self.parts = self.source.parts or (Part(1, source.name),)
        self.forms = [form for start, text in self._texts() for form in self._read(text, start)]
        self.around: dict[
            Position, list[Form]
        ] = {}  # of each symbol or keyword, the forms around it
        self.lists: dict[Span, Form] = {}
        for form in self.forms:
            self._note(form)
        self.named = self._named()

    def _texts(self) -> Iterable[tuple[int, str]]:
        ends = [part.line - 1 for part in self.parts[1:]] + [len(self.lines)]
        for part, end in zip(self.parts, ends, strict=True):
            yield part.line - 1, "\n".join(self.lines[part.line - 1 : end])

    def _read(self, text: str, lines_before: int) -> tuple[Form, ...]:
        return read_source(self.source, text, lines_before)

    def _note(self, form: Form) -> None:
        stack: list[tuple[Form, list[Form]]] = [(form, [])]
        while stack:
            form, above = stack.pop()
            if form.is_leaf:
                self.around.setdefault(_start(form), [*above, form])
            else:
                self.lists.setdefault(form.span, form)
                inside = [*above, form]
                stack.extend([(item, inside) for item in form.value])
            stack.extend([(part, above) for entry in form.meta for part in entry])

    def _named(self) -> dict[Position, list[int]]:
        """Return which nodes have their name written where."""
        found: dict[Position, list[int]] = {}
        for number, item in enumerate(self.tree.items):
            place = self.place(number, item)
            if place is not None:
                found.setdefault(place, []).append(number)
        return found

    def place(self, number: int, item: Item) -> Position | None:
        """Return where the name of a node is written, None if it is not in the text."""
        name = item.scalars[0] if item.scalars else None
        if not isinstance(name, str) or item.kind.name in ("program", "literal"):
            return None
        if item.kind.name in ("variable", "parameter", "binding"):
            position = (item.span.line, item.span.column)
            return position if self.is_written(position, name) else None
        form = self.lists.get(item.span)
        for part in form.value[:3] if form is not None else ():
            if part.kind == "symbol" and part.value == _local(name):
                return _start(part)
        return None

    def is_written(self, position: Position, name: str) -> bool:
        """Return whether a name stands at a place, by itself or behind an alias."""
        return _local(self.token(position)) == _local(name)

    def token(self, position: Position) -> str:
        """Return the symbol or keyword that starts at a place; of a keyword its name."""
        line, column = position
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        end = column - 1
        while end < len(text) and (
            text[end] not in _DELIMITERS or (end >= column and text[end] in "'#")
        ):
            end += 1
        return text[column - 1 : end].lstrip(":")

    def start_at(self, line: int, column: int) -> Position:
        """Return where the word begins that a place is in."""
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        start = min(column, len(text) + 1)
        while start > 1 and text[start - 2] not in _DELIMITERS:
            start -= 1
        return line, start

    def error(self, message: str, position: Position, hint: str | None = None) -> SourceError:
        """Return (not raise) the error of a place."""
        return self.source.error(message, Span(*position, *position), hint)

    def refusal(self, number: int, message: str) -> EditRefused:
        """Return (not raise) what `yang.edit` finds against a change."""
        return EditRefused(message, span=self.tree.items[number].span, entity=number)

    def change(self, start: Position, end: Position, text: str) -> Change:
        """Return a change of the file that a place is in."""
        part = next(part for part in reversed(self.parts) if part.line <= start[0])
        before = part.line - 1
        return Change(part.name, (start[0] - before, start[1]), (end[0] - before, end[1]), text)

    def after(self, changes: Iterable[Change]) -> tuple[Refactored, Tree]:
        """Return the files after changes, and the tree that they compile to. Raises SourceError, SourceErrors."""
        ordered = tuple(sorted(set(changes)))
        names = [part.name for part in self.parts]
        files: dict[str, str] = {}
        for name, (_, text) in zip(names, self._texts(), strict=True):
            own = [change for change in ordered if change.file == name]
            if own:
                files[name] = apply(text, own)
        tree = self._compiled(files)
        return Refactored(ordered, files, program_of(self.tree).hash, program_of(tree).hash), tree

    def _compiled(self, files: Mapping[str, str]) -> Tree:
        """Return the tree of the program with other texts of some files."""
        load = self.host.load

        def load_changed(namespace: str) -> tuple[str, str] | None:
            found = load(namespace) if load is not None else None
            return found if found is None else (found[0], files.get(*found))

        host = self.host._replace(load=load_changed if load is not None else None)
        main = Source(self.main.name, files.get(self.main.name, self.main.text))
        return expanded_tree(main, host=host)[0]


def apply(text: str, changes: Sequence[Change]) -> str:
    """Return a text with changes, which do not overlap."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    for change in sorted(changes, reverse=True):
        start, end = (starts[line - 1] + column - 1 for line, column in (change.start, change.end))
        text = text[:start] + change.text + text[end:]
    return text


# -- rename --


def rename(
    text: str, source_name: str, line: int, column: int, new: str, *, host: Host = ALONE
) -> Refactored:
    """Return the changes that give the name at a place another one, wherever it is meant, in all files of the program.

    Raises:
        SourceError: it cannot be, with the place that is against it.
        SourceErrors: the program does not compile.
    """
    whole = _Text(Source(source_name, text), host)
    position = whole.start_at(line, column)
    _check_name(whole, new, position)
    chosen = whole.named.get(position)
    word = whole.token(position)
    if _base(_local(word)) in _shapes(whole) and not _is_local(whole, position):
        return _rename_shape(whole, _base(_local(word)), new, position)
    if not chosen:
        if _local(word) in _macros(whole):
            return _rename_macro(whole, _local(word), new, position)
        message = f"{word} is no name of this program" if word else "there is no name here"
        raise whole.error(message, position, _hint_no_name(whole, position))
    old = _local(str(whole.tree.items[chosen[0]].scalars[0]))
    if old == new:
        raise whole.error(f"{old} has this name already", position)
    nodes, full = _meant(whole, chosen, position)
    changed = _checked(whole, nodes, full, new)
    changes: list[Change] = []
    for number in changed:
        changes += _renamed(whole, number, old, new)
    if full is not None:
        changes += _declared(whole, full, new)
    return _verified(whole, changed, full, new, changes, position)


def _check_name(whole: _Text, new: str, position: Position) -> None:
    if not is_readable(new) or "/" in new or new in SPECIAL or "%" in new[:1]:
        raise whole.error(f"{new} cannot be a name", position)


# -- macros: they are not in the tree, so the tree must stay what it is --


def _macros(whole: _Text) -> list[str]:
    """Return the names of the macros that the program defines, each as often as it does."""
    return [
        _local(form.value[1].value)
        for form in whole.lists.values()
        if _head(form) == "defmacro" and len(form.value) > 1 and form.value[1].kind == "symbol"
    ]


def _rename_macro(whole: _Text, old: str, new: str, position: Position) -> Refactored:
    """Rename what is called so and is no name of the tree. The macro's own text may use the name otherwise: also there."""
    if old == new:
        raise whole.error(f"{old} has this name already", position)
    if _macros(whole).count(old) > 1:
        raise whole.error(f"{old} is the name of several macros", position)
    written = {
        place: _local(above[-1].value)
        for place, above in whole.around.items()
        if above[-1].kind == "symbol"
    }
    if new in written.values() or new in _macros(whole):
        raise whole.error(f"{new} means something in this program already", position)
    changes = [
        _of_token(whole, place, new)
        for place, name in written.items()
        if name == old and place not in whole.named
    ]
    return _same_program(whole, whole.tree.items, new, changes, position)


# -- multimethods, protocols with their methods, records and types: one name in the text, several in the tree --

_SHAPING = frozenset({"defmulti", "defprotocol", "defrecord", "deftype"})
_MAKERS = ("map->", "->")  # before the name of a type, what makes one


def _base(name: str) -> str:
    """Return the name of a type in that of what makes one; another name as it is."""
    for maker in _MAKERS:
        if name.startswith(maker) and len(name) > len(maker):
            return name.removeprefix(maker)
    return name[:-1] if name.endswith(".") and len(name) > 1 else name


def _shapes(whole: _Text) -> set[str]:
    """Return the names that such forms define."""
    found: set[str] = set()
    for form in whole.lists.values():
        head = _head(form)
        if head in _SHAPING:
            found |= {part.value for part in form.value[1:2] if part.kind == "symbol"}
        if head == "defprotocol":
            found |= {name for part in form.value[2:] if (name := _head(part)) is not None}
    return found


def _is_local(whole: _Text, position: Position) -> bool:
    """Return whether the name at a place is that of a local."""
    kinds = {whole.tree.items[number].kind.name for number in whole.named.get(position, ())}
    bound = any(number in whole.scopes.binder_of for number in whole.named.get(position, ()))
    return bound or not kinds.isdisjoint(BINDERS)


def _rename_shape(whole: _Text, old: str, new: str, position: Position) -> Refactored:
    """Rename what a form defines under several names: all of them, where they are written and where they are made."""
    if old == new:
        raise whole.error(f"{old} has this name already", position)
    written: dict[Position, str] = {}
    for place, above in whole.around.items():
        form = above[-1]
        if form.kind == "symbol" and not any(_head(outer) == "quote" for outer in above):
            written[place] = _local(form.value)
    if any(_base(name) == new for name in written.values()):
        raise whole.error(f"{new} means something in this program already", position)
    changes = [
        _of_token(whole, place, name.replace(old, new))
        for place, name in written.items()
        if _base(name) == old and not _is_local(whole, place)
    ]
    try:
        done, tree = whole.after(changes)
    except (SourceError, SourceErrors) as error:
        found = error if isinstance(error, SourceError) else error.errors[0]
        message = f"with the name {new} the program does not compile: {found.message}"
        raise whole.error(message, position) from None
    if not _is_same_but(whole.tree, tree, old, new):
        message = f"with the name {new} it would be another program"
        raise whole.error(message, position, "the name is part of data or of a macro, too")
    return done


def _is_same_but(before: Tree, after: Tree, old: str, new: str) -> bool:
    """Return whether programs differ only in names made of one, and nothing means the old ones."""
    if len(before.items) != len(after.items):
        return False
    for one, other in zip(before.items[1:], after.items[1:], strict=True):
        if (one.kind, one.counts) != (other.kind, other.counts):
            return False
        for was, now in zip(one.scalars, other.scalars, strict=True):
            if was != now and _with_name(was, old, new) != now:
                return False
    return not any(_with_name(name, old, new) != name for name in _global_names(after))


def _global_names(tree: Tree) -> set[str]:
    defined = {str(item.scalars[0]) for item in tree.items if item.kind.name == "def"}
    return defined | set(scopes_of(tree).globals.values())


def _with_name(value: object, old: str, new: str) -> object:
    """Return a name, or data that a form made of it, with the new one in place of the old."""
    if isinstance(value, str):
        before, slash, local = value.rpartition("/")
        stem, tilde, rest = local.partition("~")
        is_made = _base(stem) == old
        return f"{before}{slash}{stem.replace(old, new)}{tilde}{rest}" if is_made else value
    if isinstance(value, Keyword | Symbol):
        return type(value)(str(_with_name(value.name, old, new)))
    if isinstance(value, tuple):
        return type(value)([_with_name(item, old, new) for item in value])
    if isinstance(value, Map):
        return Map([(_with_name(k, old, new), _with_name(v, old, new)) for k, v in value.items()])
    return value


def _hint_no_name(whole: _Text, position: Position) -> str | None:
    above = whole.around.get(position, [])
    if any(_head(form) == "defmacro" for form in above):
        return "what a macro is made of has no names in the tree"
    return "put the place on a local, a parameter, or the name of a definition"


def _meant(whole: _Text, chosen: Sequence[int], position: Position) -> tuple[list[int], str | None]:
    """Return all nodes that are meant by the name at a place; for a definition also its full name."""
    items = whole.tree.items
    for number in chosen:
        item = items[number]
        if item.kind.name == "def" or number in whole.scopes.globals:
            name = str(item.scalars[0])
            return _of_definition(whole, name, position), name
    return _of_local(whole, chosen, position), None


def _of_definition(whole: _Text, name: str, position: Position) -> list[int]:
    items = whole.tree.items
    defs = [
        n for n, item in enumerate(items) if item.kind.name == "def" and item.scalars[0] == name
    ]
    if not defs:
        message = f"{_local(name)} is of the library, not of this program"
        raise whole.error(message, position)
    return [*defs, *[n for n, found in whole.scopes.globals.items() if found == name]]


def _of_local(whole: _Text, chosen: Sequence[int], position: Position) -> list[int]:
    """Return the binders and uses of a local. One that is written once may have several: a loop's, a letfn's."""
    items, binder_of = whole.tree.items, whole.scopes.binder_of
    uses: dict[int, list[int]] = {}
    for variable, binder in binder_of.items():
        uses.setdefault(binder, []).append(variable)
    binders: set[int] = set()
    left = [
        number if items[number].kind.name in BINDERS else binder_of[number] for number in chosen
    ]
    while left:
        binder = left.pop()
        if binder in binders:
            continue
        binders.add(binder)
        for number in (binder, *uses.get(binder, ())):
            place = whole.place(number, items[number])
            for other in whole.named.get(place, ()) if place is not None else ():
                left += [other if items[other].kind.name in BINDERS else binder_of[other]]
    return sorted({number for binder in binders for number in (binder, *uses.get(binder, ()))})


def _checked(whole: _Text, nodes: Sequence[int], full: str | None, new: str) -> list[int]:
    """Return the nodes, if no name would mean something else afterwards. Raises SourceError."""
    name = new if full is None else _renamed_full(full, new)
    if full is not None:
        _refuse_taken(whole, nodes, name)
    try:
        refuse_other_meanings(whole.tree, whole.scopes, nodes, name, whole.refusal)
    except EditRefused as refused:
        place = (refused.span.line, refused.span.column)
        raise whole.error(str(refused), place, "choose another name") from None
    return list(nodes)


def _refuse_taken(whole: _Text, nodes: Sequence[int], name: str) -> None:
    items = whole.tree.items
    for number, item in enumerate(items):
        taken = item.kind.name == "def" and item.scalars[0] == name
        if taken or whole.scopes.globals.get(number) == name:
            place = whole.place(number, item) or (item.span.line, item.span.column)
            what = "is defined already" if taken else "means something else here already"
            raise whole.error(f"{_local(name)} {what}", place, "choose another name")


def _renamed(whole: _Text, number: int, old: str, new: str) -> list[Change]:
    """Return the changes for one node."""
    item = whole.tree.items[number]
    place = whole.place(number, item)
    if place is None and number in whole.scopes.globals:
        return []  # a macro writes it, whose body is changed, or else the program does not stay the same
    if place is None:
        calls = whole.tree.expansions.get(number, ())
        by = f"the macro {calls[0].macro}" if calls else "the form"
        message = f"{old} is made by {by} here, and not written in the text"
        raise whole.error(message, (item.span.line, item.span.column))
    listed = _listed(whole, place)
    if listed is not None:
        return _unlisted(whole, *listed, old, new)
    changes = [_of_token(whole, place, new)]
    changes += _defaults(whole, place, old, new)
    return changes


def _of_token(whole: _Text, place: Position, new: str) -> Change:
    """Return the change of a symbol's local part, behind its alias."""
    token = whole.token(place)
    skipped = len(token) - len(_local(token))
    start = (place[0], place[1] + skipped)
    return whole.change(start, (place[0], place[1] + len(token)), new)


def _listed(whole: _Text, place: Position) -> tuple[Form, Form, Form, Form] | None:
    """Return map, directive, vector and name of `{:keys [name]}`."""
    above = whole.around.get(place, [])
    if len(above) < 3 or above[-2].kind != "vector" or above[-3].kind != "map":
        return None
    pattern, names, name = above[-3:]
    for key, value in zip(pattern.value[::2], pattern.value[1::2], strict=True):
        is_listing = key.kind == "literal" and isinstance(key.value, Keyword)
        if value is names and is_listing and key.value.local_name in _LISTING:
            return pattern, key, names, name
    return None


def _unlisted(
    whole: _Text, pattern: Form, directive: Form, names: Form, name: Form, old: str, new: str
) -> list[Change]:
    """Return the changes that take a name out of `:keys [...]` and bind it with its key spelled out."""
    key = _key_text(directive.value, _written(name))
    items = list(names.value)
    at = items.index(name)
    changes = _defaults_of(whole, pattern, old, new)
    if len(items) == 1:
        return [*changes, whole.change(_start(directive), _end(names), f"{new} {key}")]
    if at == 0:  # names are bound in the order of their entries, which stays
        changes.append(whole.change(_start(directive), _start(directive), f"{new} {key} "))
        return [*changes, whole.change(_start(name), _start(items[1]), "")]
    after = "".join(
        f" {_local(_written(item))} {_key_text(directive.value, _written(item))}"
        for item in items[at + 1 :]
    )
    changes.append(whole.change(_end(items[at - 1]), _end(items[-1]), ""))
    return [*changes, whole.change(_end(names), _end(names), f" {new} {key}{after}")]


def _written(name: Form) -> str:
    """Return a name that stands as symbol or keyword."""
    return str(name.value) if name.kind == "symbol" else str(name.value.name)


def _key_text(directive: Keyword, written: str) -> str:
    before, slash, local = written.rpartition("/")
    namespace = before if slash else directive.namespace
    full = local if namespace is None else f"{namespace}/{local}"
    return {"keys": f":{full}", "strs": f'"{full}"', "syms": f"'{full}"}[directive.local_name]


def _defaults(whole: _Text, place: Position, old: str, new: str) -> list[Change]:
    """Return the changes of `:or {name default}` in the pattern that a name is bound by."""
    above = whole.around.get(place, [])
    return [
        change
        for form in above
        if form.kind == "map"
        for change in _defaults_of(whole, form, old, new)
    ]


def _defaults_of(whole: _Text, pattern: Form, old: str, new: str) -> list[Change]:
    changes: list[Change] = []
    for key, value in zip(pattern.value[::2], pattern.value[1::2], strict=True):
        is_or = key.kind == "literal" and key.value is Keyword("or") and value.kind == "map"
        names = value.value[::2] if is_or else ()
        changes += [
            _of_token(whole, _start(name), new)
            for name in names
            if name.kind == "symbol" and name.value == old
        ]
    return changes


def _declared(whole: _Text, full: str, new: str) -> list[Change]:
    """Return the changes where a definition is named and no node is made: declare, :refer, macros' bodies."""
    old = _local(full)
    changes: list[Change] = []
    for position, above in whole.around.items():
        form = above[-1]
        if form.kind != "symbol" or _local(form.value) != old or position in whole.named:
            continue
        heads = [_head(outer) for outer in above[:-1]]
        is_referred = heads[:1] in (["ns"], ["require"], ["use"], ["refer"]) and any(
            outer.kind in ("vector", "list") and _refers(outer, above) for outer in above
        )
        if heads[:1] in (["declare"], ["def"], ["defmacro"]) or is_referred:
            changes.append(_of_token(whole, position, new))
    return changes


def _refers(outer: Form, above: Sequence[Form]) -> bool:
    """Return whether a form of `ns` names what it refers to, one of which is the innermost form."""
    return any(
        key.kind == "literal"
        and key.value in (Keyword("refer"), Keyword("only"))
        and value in above
        for key, value in zip(outer.value, outer.value[1:], strict=False)
    )


def _verified(
    whole: _Text,
    changed: Sequence[int],
    full: str | None,
    new: str,
    changes: Iterable[Change],
    position: Position,
) -> Refactored:
    """Return the result, if it is the same program but for the name. Raises SourceError."""
    items = list(whole.tree.items)
    name = new if full is None else _renamed_full(full, new)
    for number in changed:
        items[number] = items[number]._replace(scalars=(name, *items[number].scalars[1:]))
    return _same_program(whole, items, new, changes, position)


def _same_program(
    whole: _Text, items: Sequence[Item], new: str, changes: Iterable[Change], position: Position
) -> Refactored:
    """Return the result of changes, if it has these nodes. Raises SourceError."""
    try:
        done, tree = whole.after(changes)
    except (SourceError, SourceErrors) as error:
        found = error if isinstance(error, SourceError) else error.errors[0]
        message = f"with the name {new} the program does not compile: {found.message}"
        raise whole.error(message, position) from None
    if canonical_items(tree.items[1:]) != canonical_items(items[1:]):
        message = f"with the name {new} it would be another program"
        raise whole.error(message, position, "the name is part of data or of a macro, too")
    return done


# -- extract --


def extract(
    text: str,
    source_name: str,
    start: Position,
    end: Position,
    name: str,
    *,
    host: Host = ALONE,
) -> Refactored:
    """Return the changes that make what stands from one place to another the body of a new function.

    That is a form, or several of one body, one after the other. Its free locals are the parameters, in the order of the text; the function is put before the top-level form.

    Raises:
        SourceError: it cannot be, with the place that is against it.
        SourceErrors: the program does not compile.
    """
    whole = _Text(Source(source_name, text), host)
    _check_name(whole, name, start)
    start, end = _trimmed(whole, start, end)
    if _is_range(whole, start, end):
        return _extract_range(whole, start, end, name)
    form, top = _selected(whole, start, end)
    number = _expression(whole, form)
    try:
        parameters = extraction(whole.tree, number, name, whole.refusal)
    except EditRefused as refused:
        place = (refused.span.line, refused.span.column)
        raise whole.error(str(refused), place, _hint_extract(refused)) from None
    _refuse_unwritten(whole, number, parameters, form)
    for body in _bodies(whole, form):
        definition = _definition(name, parameters, body)
        call = f"({' '.join([name, *parameters])})"
        insertion = _before(whole, top)
        changes = [
            whole.change(insertion, insertion, f"{definition}\n\n"),
            whole.change(_start(form), _end(form), call),
        ]
        done = _same_when_extracted(whole, number, name, changes)
        if done is not None:
            return done
    raise whole.error(
        "extracted, it would be another program",
        _start(form),
        "part of it is written by a form around it, such as -> or a macro",
    )


def _hint_extract(refused: EditRefused) -> str | None:
    if "recur" in str(refused):
        return "extract the whole loop, or an expression without the recur"
    return "choose another name"


def _selected(whole: _Text, start: Position, end: Position) -> tuple[Form, Form]:
    """Return the form from one place to another, and the top-level form it stands in."""
    for top in whole.forms:
        if not _start(top) <= start < _end(top):
            continue
        stack = [top]
        while stack:
            form = stack.pop()
            last = (_end(form)[0], _end(form)[1] - 1)
            if _start(form) == start and end in (_end(form), last):
                return form, top
            if not form.is_leaf:
                stack.extend(form.value)
    hint = "select one whole form, or several that follow one another in a body"
    raise whole.error("this is not one form", start, hint)


def _is_range(whole: _Text, start: Position, end: Position) -> bool:
    """Return whether several forms of one list stand from one place to another."""
    for form in whole.lists.values():
        first = [number for number, item in enumerate(form.value) if _start(item) == start]
        last = [number for number, item in enumerate(form.value) if _end(item) == end]
        if form.kind == "list" and first and last and first[0] < last[0]:
            return True
    return False


def _extract_range(whole: _Text, start: Position, end: Position, name: str) -> Refactored:
    """Extract several forms: with `do` around them the program has to be the same, and that is one form."""
    file = whole.main.name
    around = [Change(file, start, start, _DO), Change(file, end, end, ")")]
    wrapped = apply(whole.main.text, around)
    try:
        tree = expanded_tree(Source(file, wrapped), host=whole.host)[0]
        if _flat(tree) != _flat(whole.tree):
            raise whole.error(
                "these forms do not follow one another in a body", start, "select one whole form"
            )
    except SourceErrors as errors:
        raise whole.error(errors.errors[0].message, start) from None
    moved = len(_DO) if start[0] == end[0] else 0
    last = (end[0], end[1] + moved + 1)
    done = extract(wrapped, file, start, last, name, host=whole.host)
    text = done.files[file]
    return Refactored(
        (_only_change(file, whole.main.text, text),),
        {file: text},
        program_of(whole.tree).hash,
        done.after,
    )


def _flat(tree: Tree) -> list[tuple[object, ...]]:
    """Return the nodes of a tree with their depths; what is in a `do` in a `do` as if it were in the outer one."""
    found: list[tuple[object, ...]] = []
    depths: list[int] = []
    for item, place in zip(tree.items, tree.places, strict=True):
        kind = item.kind.name
        depth = depths[place.parent] + 1 if depths else 0
        if kind == "do" and tree.items[place.parent].kind.name == "do":
            depths.append(depth - 1)
            continue
        depths.append(depth)
        found.append((depth, kind, item.scalars, () if kind == "do" else item.counts))
    return found


def _common(one: str, other: str) -> int:
    """Return how many characters two texts begin with that are the same."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _only_change(file: str, before: str, after: str) -> Change:
    """Return the change between two texts, as one."""
    first = _common(before, after)
    rest = min(len(before), len(after)) - first
    tail = _common(before[::-1][:rest], after[::-1][:rest])
    ends = [first, len(before) - tail]
    start, end = ((before.count("\n", 0, at) + 1, at - before.rfind("\n", 0, at)) for at in ends)
    return Change(file, start, end, after[first : len(after) - tail])


def _trimmed(whole: _Text, start: Position, end: Position) -> tuple[Position, Position]:
    """Return a selection without the blanks at its ends."""

    def letter(position: Position) -> str:
        line, column = position
        text = whole.lines[line - 1] if 0 < line <= len(whole.lines) else ""
        return text[column - 1] if 0 < column <= len(text) else "\n"

    while start < end and letter(start).isspace():
        start = (start[0], start[1] + 1) if letter(start) != "\n" else (start[0] + 1, 1)
    while start < end and letter((end[0], end[1] - 1)).isspace():
        line, column = end
        end = (line, column - 1) if column > 1 else (line - 1, len(whole.lines[line - 2]) + 1)
    return start, end


def _expression(whole: _Text, form: Form) -> int:
    """Return the node that a form is. Raises SourceError if it is no expression."""
    items = whole.tree.items
    exact = [number for number, item in enumerate(items) if number and item.span == form.span]
    if exact and items[exact[0]].kind.name == "def":
        raise whole.error(
            "this is a definition already", _start(form), "select an expression in it"
        )
    for number in exact or _outermost(whole, form):
        if _is_expression(whole, number):
            return number
    raise whole.error("this is no expression", _start(form), "patterns, names and clauses are none")


def _outermost(whole: _Text, form: Form) -> list[int]:
    """Return the nodes that are written in a form, and not inside of another such node."""
    found: list[int] = []
    for number, item in enumerate(whole.tree.items):
        inside = _start(form) <= item.span[:2] and item.span[2:] <= _end(form)
        if inside and not (found and number <= whole.tree.places[found[-1]].end):
            found.append(number)
    return found if len(found) == 1 else []


def _is_expression(whole: _Text, number: int) -> bool:
    place = whole.tree.places[number]
    roles = whole.tree.items[place.parent].kind.roles if place.parent >= 0 else ()
    return any(role.attribute is place.role and "literal" in role.kinds for role in roles)


def _refuse_unwritten(whole: _Text, number: int, parameters: Sequence[str], form: Form) -> None:
    for name in parameters:
        if not is_readable(name) or name[0] == "%":
            what = (
                "a parameter of #( )" if name[0] == "%" else "a value that has no name in the text"
            )
            message = f"this uses {what}"
            raise whole.error(message, _start(form), "give it a name with let or fn first")


def _bodies(whole: _Text, form: Form) -> list[str]:
    """Return the text of a form as a function's body: indented anew, or as it is where strings have lines."""
    whole_form = _body_text(whole, _start(form), _end(form), form.span.column)
    inside = form.value[1:] if _head(form) == "do" else ()
    if not inside:
        return whole_form
    below = [item.span.column for item in inside if item.span.line > form.span.line]
    column = min(below, default=inside[0].span.column)
    return [*_body_text(whole, _start(inside[0]), _end(inside[-1]), column), *whole_form]


def _body_text(whole: _Text, start: Position, end: Position, column: int) -> list[str]:
    lines = whole.lines[start[0] - 1 : end[0]]
    lines[-1] = lines[-1][: end[1] - 1]
    lines[0] = lines[0][start[1] - 1 :]
    shift = column - 3
    moved = [lines[0], *[_moved(line, shift) for line in lines[1:]]]
    return ["\n".join(moved), "\n".join(lines)]


def _moved(line: str, shift: int) -> str:
    if shift < 0:
        return " " * -shift + line if line else line
    blank = len(line) - len(line.lstrip(" "))
    return line[min(shift, blank) :]


def _definition(name: str, parameters: Sequence[str], body: str) -> str:
    head = f"(defn {name} [{' '.join(parameters)}]"
    if "\n" not in body and len(head) + len(body) + 2 <= WIDTH:
        return f"{head} {body})"
    return f"{head}\n  {body})"


def _before(whole: _Text, top: Form) -> Position:
    """Return where a definition is put before a top-level form: above the comments that belong to it."""
    line, column = _start(top)
    if whole.lines[line - 1][: column - 1].strip():
        return line, column
    first = next(part.line for part in reversed(whole.parts) if part.line <= line)
    while line > first and whole.lines[line - 2].lstrip().startswith(";"):
        line -= 1
    return line, 1


def _same_when_extracted(
    whole: _Text, number: int, name: str, changes: Sequence[Change]
) -> Refactored | None:
    """Return the result, if it is the old tree with the expression extracted, else None."""
    try:
        done, tree = whole.after(changes)
    except (SourceError, SourceErrors):
        return None
    old = {item.scalars[0] for item in whole.tree.items if item.kind.name == "def"}
    made = [
        str(item.scalars[0])
        for item in tree.items
        if item.kind.name == "def" and item.scalars[0] not in old
    ]
    if len(made) != 1 or _local(made[0]) != name:
        return None
    draft = draft_of(whole.tree, 0)
    try:
        expected = draft.extracted(number, made[0]).tree()
    except (EditRefused, ProgramInvalid):
        return None
    return done if _statements(tree, made[0]) == _statements(expected, made[0]) else None


def _statements(tree: Tree, made: str) -> tuple[list[bytes], list[bytes]]:
    """Return the statements of a tree, and apart from them the one that defines a name."""
    starts = [number for number, place in enumerate(tree.places) if place.depth == 1]
    others: list[bytes] = []
    new: list[bytes] = []
    for start, end in zip(starts, [*starts[1:], len(tree.items)], strict=True):
        items = list(tree.items[start:end])
        number_made(items)
        is_new = items[0].kind.name == "def" and items[0].scalars[0] == made
        (new if is_new else others).append(canonical_items(items))
    return others, new


# -- places and names --


def _start(form: Form) -> Position:
    return form.span.line, form.span.column


def _end(form: Form) -> Position:
    return form.span.end_line, form.span.end_column


def _local(name: str) -> str:
    before, slash, local = name.rpartition("/")
    return local if slash and before and local else name


def _renamed_full(full: str, new: str) -> str:
    before, slash, local = full.rpartition("/")
    return f"{before}/{new}" if slash and before and local else new


def _head(form: Form) -> str | None:
    if form.kind == "list" and form.value and form.value[0].kind == "symbol":
        return str(form.value[0].value)
    return None

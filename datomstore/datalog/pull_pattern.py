"""Pull patterns from text or values.

Is:     the grammar: attributes, `_reverse`, `*`, sub-patterns, recursion, :as :default :limit :xform; refusals name the part.
Is not: what a pattern finds (`pull`).
Fits:   `pull` and the `(pull ?e pattern)` of :find parse here.
Source: Datomic's pull reference; DataScript's tests where it leaves things open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from datomstore import edn
from datomstore.datalog.builtins import FUNCTIONS
from datomstore.datalog.errors import QueryError, text_of
from datomstore.datalog.limits import CLAUSE_DEPTH_MAX, PARSED_MAX, PULL_VALUES
from datomstore.value import Keyword, List, Map, Symbol, hash_key

ID = Keyword("db/id")
STAR = Symbol("*")
DOTS = Symbol("...")
FOREVER = -1  # levels of a recursion that ends where the facts end
ABSENT = object()  # no default
OPTIONS = ("as", "default", "limit", "xform")


@dataclass(frozen=True, slots=True, eq=False)
class Spec:
    """One attribute of a pattern."""

    attribute: Keyword
    reverse: bool
    key: object  # what it is called in the result
    limit: int | None = PULL_VALUES
    default: object = ABSENT
    xform: str | None = None
    within: PullPattern | None = None
    levels: int | None = None  # of recursion by the pattern that this stands in; FOREVER


@dataclass(frozen=True, slots=True, eq=False)
class PullPattern:
    """Attributes of one entity."""

    specs: tuple[Spec, ...]
    star: bool = False

    def attributes(self) -> Iterator[Keyword]:
        """Yield the attributes that it names, those inside of others too."""
        for spec in self.specs:
            if spec.attribute is not ID:
                yield spec.attribute
            if spec.within is not None:
                yield from spec.within.attributes()


EVERYTHING = PullPattern((), star=True)


def parse_pattern(source: object) -> PullPattern:
    """Return a pattern of text or a vector. Raises QueryError."""
    if isinstance(source, PullPattern):
        return source
    return _parsed(source) if isinstance(source, str) else _pattern(source, 0)


@lru_cache(maxsize=PARSED_MAX)
def _parsed(text: str) -> PullPattern:
    try:
        return _pattern(edn.read(text, source="pattern"), 0)
    except edn.EdnError as error:
        raise QueryError("query/pull", str(error)) from error


def _refused(message: str, form: object) -> QueryError:
    return QueryError("query/pull", message, form)


def _pattern(form: object, depth: int) -> PullPattern:
    if depth > CLAUSE_DEPTH_MAX:
        raise _refused(f"nested more than {CLAUSE_DEPTH_MAX} deep", None)
    if not isinstance(form, (tuple, list)) or isinstance(form, List) or not form:
        raise _refused("a pull pattern is a vector of attributes", form)
    specs: dict[object, Spec] = {}
    star = False
    for item in form:
        if item is STAR or item == "*":
            star = True
            continue
        for spec in _maps(item, depth) if isinstance(item, (Map, Mapping)) else [_spec(item)]:
            specs[hash_key(spec.key)] = spec  # the last of one name counts
    return PullPattern(tuple(specs.values()), star)


def _maps(item: Mapping[object, object], depth: int) -> list[Spec]:
    if not item:
        raise _refused("an empty map", item)
    return [_spec(name, _followed(value, item, depth)) for name, value in item.items()]


def _followed(value: object, form: object, depth: int) -> tuple[PullPattern | None, int | None]:
    """Return the pattern that the values of an attribute are pulled with, or the levels of a recursion."""
    if value is DOTS:
        return None, FOREVER
    if type(value) is int:
        if value < 1:
            raise _refused("a recursion has at least one level", form)
        return None, value
    return _pattern(value, depth + 1), None


def _spec(form: object, followed: tuple[PullPattern | None, int | None] = (None, None)) -> Spec:
    name, options = form, {}
    if isinstance(form, (tuple, list)) and form:
        if form[0] in (Symbol("limit"), Symbol("default")) and len(form) == 3:
            name, options = form[1], {form[0].name: form[2]}
        else:
            name, options = form[0], _options(form[1:], form)
    if not isinstance(name, Keyword):
        raise _refused(f"{text_of(name)} is not an attribute", form)
    limit = options.get("limit", PULL_VALUES)
    if limit is not None and (type(limit) is not int or limit < 1):
        raise _refused(":limit is a positive number or nil", form)
    attribute, reverse = _direction(name)
    within, levels = followed
    return Spec(
        attribute,
        reverse,
        options.get("as", name),
        limit,
        options.get("default", ABSENT),
        _function(options.get("xform"), form),
        within,
        levels,
    )


def _options(items: Sequence[object], form: object) -> dict[str, object]:
    if len(items) % 2:
        raise _refused("an option has no value", form)
    options: dict[str, object] = {}
    for key, value in zip(items[::2], items[1::2], strict=True):
        name = key.name if isinstance(key, Keyword) else None
        if name not in OPTIONS:
            known = ", ".join(f":{option}" for option in OPTIONS)
            raise _refused(f"no option {text_of(key)}; there are {known}", form)
        options[name] = value
    return options


def _function(name: object, form: object) -> str | None:
    if name is None:
        return None
    if not isinstance(name, Symbol) or name.name not in FUNCTIONS:
        raise QueryError("query/unknown-function", f"no function {text_of(name)}", form)
    return name.name


def _direction(name: Keyword) -> tuple[Keyword, bool]:
    """Return the attribute of `:person/_boss`, and whether it is read backwards."""
    local = name.local_name
    if not local.startswith("_") or len(local) == 1:
        return name, False
    before = f"{name.namespace}/" if name.namespace else ""
    return Keyword(before + local[1:]), True

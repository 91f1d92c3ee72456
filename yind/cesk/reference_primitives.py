"""The host functions of the reference machine on kinds, collections, cells and errors; and the whole table.

Is:     with `reference_folds`, `reference_numbers` and `reference_text`, every PURE row of `yang.primitives` in Python.
Is not: `apply`, `call/cc` and effects, which change the continuation (`reference`).
Fits:   `FUNCTIONS` finds them by name; a test holds it against the table.
Source: Clojure 1.11's clojure.core.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

from pyrsistent import pvector

from datomstore.value import Char, Keyword, Symbol
from yind.cesk import (  # noqa: F401  # they fill the table
    reference_folds,
    reference_hash,
    reference_math,
    reference_numbers,
    reference_scalars,
    reference_sorted,
    reference_text,
)
from yind.cesk.reference_arguments import (
    FUNCTIONS,
    check_index,
    check_number,
    check_string,
    is_same,
    out_of_bounds,
    primitive,
)
from yind.cesk.reference_sorted import calls_out, entry_of, rank_of, with_key, without_key
from yind.cesk.reference_values import (
    CALLABLES,
    COLLECTIONS,
    EMPTY,
    EMPTY_MAP,
    EMPTY_SET,
    FUNCTION_KINDS,
    INDEXED,
    MAPS,
    SEQS,
    SEQUENTIALS,
    SETS,
    SORTED,
    VECTORS,
    Atom,
    CallOut,
    Closure,
    Continuation,
    Described,
    Empty,
    ErrorValue,
    GuestFault,
    HashMap,
    HashSet,
    Lazy,
    LazyState,
    Pair,
    Range,
    Slice,
    SortedMap,
    SortedSet,
    Store,
    Value,
    all_items,
    bare,
    is_error,
    is_integer,
    is_number,
    items,
    key_of,
    list_of,
    opaque_of,
    pairs_of,
    realised,
    rest,
    seq,
    type_fault,
    with_entry,
    with_member,
)

__all__ = ["FUNCTIONS"]


def _predicate(name: str, test: Callable[[Value], bool]) -> None:
    FUNCTIONS[name] = lambda store, value: test(value)


# -- questions about kinds --


@primitive("not")
def _not(store: Store, value: Value) -> bool:
    return value is None or value is False


@primitive("boolean")
def _boolean(store: Store, value: Value) -> bool:
    return not (value is None or value is False)


_predicate("nil?", lambda value: value is None)
_predicate("some?", lambda value: value is not None)
_predicate("true?", lambda value: value is True)
_predicate("false?", lambda value: value is False)
_predicate("boolean?", lambda value: isinstance(value, bool))
_predicate("number?", is_number)
_predicate("int?", is_integer)
_predicate("integer?", is_integer)
_predicate("float?", lambda value: isinstance(value, float))
_predicate("double?", lambda value: isinstance(value, float))
_predicate("ratio?", lambda value: isinstance(value, Fraction))
_predicate("rational?", lambda value: is_integer(value) or isinstance(value, Fraction | Decimal))
_predicate("decimal?", lambda value: isinstance(value, Decimal))
_predicate("string?", lambda value: isinstance(value, str))
_predicate("char?", lambda value: isinstance(value, Char))
_predicate("keyword?", lambda value: isinstance(value, Keyword))
_predicate("symbol?", lambda value: isinstance(value, Symbol))
_predicate("vector?", lambda value: isinstance(value, VECTORS))
_predicate("map?", lambda value: isinstance(value, MAPS))
_predicate("set?", lambda value: isinstance(value, SETS))
_predicate("list?", lambda value: value is EMPTY or (isinstance(value, Pair) and value.is_list))
_predicate("seq?", lambda value: isinstance(value, SEQS))
_predicate("coll?", lambda value: isinstance(value, COLLECTIONS))
_predicate("sequential?", lambda value: isinstance(value, SEQUENTIALS))
_predicate("associative?", lambda value: isinstance(value, (*VECTORS, *MAPS)))
_predicate("fn?", lambda value: isinstance(value, FUNCTION_KINDS))
_predicate("ifn?", lambda value: isinstance(value, CALLABLES))
_predicate("atom?", lambda value: isinstance(value, Atom))
_predicate("error?", is_error)
_predicate("lazy-seq?", lambda value: isinstance(value, Lazy))


@primitive("counted?")
def _counted(store: Store, value: Value) -> bool:
    if isinstance(value, Slice):
        return isinstance(value.items, VECTORS)
    if isinstance(value, Range):
        return is_integer(value.start)
    return isinstance(value, (*VECTORS, *MAPS, *SETS, Empty)) or (
        isinstance(value, Pair) and value.is_list
    )


# -- seqs and collections --


@primitive("list")
def _list(store: Store, *arguments: Value) -> Value:
    return list_of(arguments)


@primitive("vector")
def _vector(store: Store, *arguments: Value) -> Value:
    return pvector(arguments)


@primitive("hash-map")
def _hash_map(store: Store, *arguments: Value) -> Value:
    if len(arguments) % 2:
        raise GuestFault("argument", "hash-map: the last key has no value")
    found = EMPTY_MAP
    for key, value in zip(arguments[::2], arguments[1::2], strict=True):
        found = with_entry(store, found, key, value)
    return found


@primitive("hash-set")
def _hash_set(store: Store, *arguments: Value) -> Value:
    found = EMPTY_SET
    for argument in arguments:
        found = with_member(store, found, argument)
    return found


@primitive("vec*")
def _vec(store: Store, source: Value) -> Value:
    return source if isinstance(source, VECTORS) else pvector(all_items(store, source))


@primitive("conj")
def _conj(store: Store, *arguments: Value) -> Value:
    if not arguments:
        return pvector()
    target = arguments[0]
    if calls_out(target) and len(arguments) > 1:
        raise CallOut("conj", arguments)
    for argument in arguments[1:]:
        target = _conj_one(store, target, argument)
    return target


def _conj_one(store: Store, target: Value, item: Value) -> Value:
    if target is None:
        return list_of([item])
    if isinstance(target, VECTORS):
        return target.append(item)
    if isinstance(target, HashSet):
        return with_member(store, target, item)
    if isinstance(target, SortedSet):
        return with_key(store, target, item, None)
    if isinstance(target, MAPS):
        return _conj_entries(store, target, item)
    if isinstance(target, SEQS):
        is_list = target is EMPTY or (isinstance(target, Pair) and target.is_list)
        return Pair(item, target, is_list)
    raise type_fault("conj", "a collection", target)


def _with_entry(store: Store, target: Value, key: Value, value: Value) -> Value:
    change = with_entry if isinstance(target, HashMap) else with_key
    return change(store, target, key, value)


def _conj_entries(store: Store, target: Value, item: Value) -> Value:
    item = bare(item)
    if item is None:
        return target
    if isinstance(item, VECTORS):
        if len(item) != 2:
            message = "conj: an entry of a map is a vector of two, [key value]"
            raise GuestFault("argument", message)
        return _with_entry(store, target, item[0], item[1])
    if not isinstance(item, MAPS):
        raise type_fault("conj", "a map or an entry [key value]", item)
    for key, value in pairs_of(item):
        target = _with_entry(store, target, key, value)
    return target


@primitive("cons")
def _cons(store: Store, item: Value, source: Value) -> Value:
    if source is None:
        return list_of([item])
    if isinstance(source, SEQS):
        return Pair(item, source, False)
    found = seq(store, source)
    return Pair(item, EMPTY if found is None else found, False)


@primitive("seq")
def _seq(store: Store, source: Value) -> Value:
    return seq(store, source)


@primitive("first")
def _first(store: Store, source: Value) -> Value:
    return next(items(store, source), None)


@primitive("rest")
def _rest(store: Store, source: Value) -> Value:
    return rest(store, source)


@primitive("next")
def _next(store: Store, source: Value) -> Value:
    return seq(store, rest(store, source))


@primitive("count")
def _count(store: Store, source: Value) -> int:
    if isinstance(source, str):
        return len(source)
    if not isinstance(source, COLLECTIONS) and source is not None:
        raise type_fault("count", "a collection", source)
    return len(all_items(store, source))


@primitive("empty?")
def _is_empty(store: Store, source: Value) -> bool:
    if not isinstance(source, (*COLLECTIONS, str)) and source is not None:
        raise type_fault("empty?", "a collection", source)
    return seq(store, source) is None


@primitive("empty")
def _empty(store: Store, source: Value) -> Value:
    if isinstance(source, VECTORS):
        return pvector()
    if isinstance(source, HashMap):
        return EMPTY_MAP
    if isinstance(source, HashSet):
        return EMPTY_SET
    if isinstance(source, SORTED):
        return type(source)(source.order, ())
    return EMPTY if isinstance(source, SEQS) else None


_ABSENT = object()


@primitive("nth")
def _nth(store: Store, source: Value, index: Value, default: Value = _ABSENT) -> Value:
    at = check_index("nth", index)
    if source is None:
        return None if default is _ABSENT else default
    if isinstance(source, INDEXED):
        if 0 <= at < len(source):
            return Char(source[at]) if isinstance(source, str) else source[at]
        message = f"nth: index {at} out of bounds for length {len(source)}"
    elif isinstance(source, SEQS):
        for position, item in enumerate(items(store, source) if at >= 0 else ()):
            if position == at:
                return item
        message = f"nth: index {at} out of bounds"
    else:
        raise type_fault("nth", "a vector, seq or string", source)
    if default is _ABSENT:
        raise GuestFault("index", message)
    return default


def _check_order(name: str, *arguments: Value) -> None:
    """Raises CallOut when the first argument is sorted by a comparator that is to be called."""
    if calls_out(arguments[0]):
        raise CallOut(name, arguments)


@primitive("get")
def _get(store: Store, source: Value, key: Value, default: Value = None) -> Value:
    if isinstance(source, HashMap):
        entry = source.entries.get(key_of(store, key))
        return default if entry is None else entry[1]
    if isinstance(source, HashSet):
        return source.members.get(key_of(store, key), default)
    if isinstance(source, SORTED):
        _check_order("get", source, key, default)
        entry = entry_of(store, source, key)
        if entry is None:
            return default
        return entry[1] if isinstance(source, SortedMap) else entry[0]
    if isinstance(source, INDEXED) and is_integer(key) and 0 <= key < len(source):
        return Char(source[key]) if isinstance(source, str) else source[key]
    return default


@primitive("assoc")
def _assoc(store: Store, target: Value, *entries: Value) -> Value:
    if len(entries) % 2:
        raise GuestFault("argument", "assoc: the last key has no value")
    if target is None:
        target = EMPTY_MAP
    if isinstance(target, MAPS):
        _check_order("assoc", target, *entries)
    for key, value in zip(entries[::2], entries[1::2], strict=True):
        if isinstance(target, MAPS):
            target = _with_entry(store, target, key, value)
        elif isinstance(target, VECTORS):
            at = check_index("assoc", key)
            if not 0 <= at <= len(target):
                raise out_of_bounds("assoc", at, len(target))
            target = target.set(at, value)
        else:
            raise type_fault("assoc", "a map or a vector", target)
    return target


def _without_keys(store: Store, name: str, target: Value, keys: tuple[Value, ...]) -> Value:
    if keys:
        _check_order(name, target, *keys)
    for key in keys:
        target = without_key(store, target, key)
    return target


@primitive("dissoc")
def _dissoc(store: Store, target: Value, *keys: Value) -> Value:
    if target is None:
        return None
    if not isinstance(target, MAPS):
        raise type_fault("dissoc", "a map", target)
    if isinstance(target, SortedMap):
        return _without_keys(store, "dissoc", target, keys)
    entries = target.entries
    for key in keys:
        entries = entries.discard(key_of(store, key))
    return HashMap(entries)


@primitive("disj")
def _disj(store: Store, target: Value, *members: Value) -> Value:
    if target is None:
        return None
    if not isinstance(target, SETS):
        raise type_fault("disj", "a set", target)
    if isinstance(target, SortedSet):
        return _without_keys(store, "disj", target, members)
    left = target.members
    for member in members:
        left = left.discard(key_of(store, member))
    return HashSet(left)


@primitive("contains?")
def _contains(store: Store, source: Value, key: Value) -> bool:
    if source is None:
        return False
    if isinstance(source, HashMap):
        return key_of(store, key) in source.entries
    if isinstance(source, HashSet):
        return key_of(store, key) in source.members
    if isinstance(source, SORTED):
        _check_order("contains?", source, key)
        return rank_of(store, source, key)[1]
    if isinstance(source, INDEXED):
        if isinstance(source, str):
            check_index("contains?", key)
        return is_integer(key) and 0 <= key < len(source)
    raise type_fault("contains?", "a map, set, vector or string", source)


@primitive("find")
def _find(store: Store, source: Value, key: Value) -> Value:
    if isinstance(source, HashMap):
        entry = source.entries.get(key_of(store, key))
        return None if entry is None else pvector(entry)
    if isinstance(source, SortedMap):
        _check_order("find", source, key)
        found = entry_of(store, source, key)
        return None if found is None else pvector(found)
    if isinstance(source, VECTORS):
        inside = is_integer(key) and 0 <= key < len(source)
        return pvector([key, source[key]]) if inside else None
    if source is None:
        return None
    raise type_fault("find", "a map or a vector", source)


def _parts(store: Store, name: str, part: int, source: Value) -> Value:
    """Return a seq of the keys (part 0) or values (1) of a map, or of a seq of entries."""
    found = []
    for entry in all_items(store, source):
        if not isinstance(entry, VECTORS) or len(entry) != 2:
            raise type_fault(name, "entries of a map", entry)
        found.append(entry[part])
    return Slice(found, 0) if found else None


@primitive("keys")
def _keys(store: Store, source: Value) -> Value:
    return _parts(store, "keys", 0, source)


@primitive("vals")
def _vals(store: Store, source: Value) -> Value:
    return _parts(store, "vals", 1, source)


def _part(name: str, part: int, entry: Value) -> Value:
    if not isinstance(entry, VECTORS) or len(entry) != 2:
        raise type_fault(name, "an entry [key value]", entry)
    return entry[part]


@primitive("key")
def _entry_key(store: Store, entry: Value) -> Value:
    return _part("key", 0, entry)


@primitive("val")
def _entry_value(store: Store, entry: Value) -> Value:
    return _part("val", 1, entry)


@primitive("peek")
def _peek(store: Store, source: Value) -> Value:
    if isinstance(source, VECTORS):
        return source[-1] if len(source) else None
    if source is None or source is EMPTY:
        return None
    if isinstance(source, Pair) and source.is_list:
        return source.first
    raise type_fault("peek", "a vector or a list", source)


@primitive("pop")
def _pop(store: Store, source: Value) -> Value:
    if isinstance(source, VECTORS):
        if not len(source):
            raise GuestFault("state", "pop: Can't pop empty vector")
        return source[:-1]
    if source is EMPTY:
        raise GuestFault("state", "pop: Can't pop empty list")
    if source is None:
        return None
    if isinstance(source, Pair) and source.is_list:
        return source.rest
    raise type_fault("pop", "a vector or a list", source)


@primitive("subvec")
def _subvec(store: Store, source: Value, start: Value, end: Value = None) -> Value:
    if not isinstance(source, VECTORS):
        raise type_fault("subvec", "a vector", source)
    first = check_index("subvec", start)
    last = len(source) if end is None else check_index("subvec", end)
    if not 0 <= last <= len(source):
        raise out_of_bounds("subvec", last, len(source))
    if not 0 <= first <= last:
        raise out_of_bounds("subvec", first, last)
    return source[first:last]


@primitive("reverse")
def _reverse(store: Store, source: Value) -> Value:
    return list_of(reversed(all_items(store, source)))


@primitive("number-range")
def _number_range(store: Store, start: Value, end: Value, step: Value) -> Value:
    """Return a Range, EMPTY, or None where the core library has to make the seq: mixed kinds, a step of zero."""
    for number in (start, end, step):
        check_number("range", number)
    if not type(start) is type(end) is type(step) or not isinstance(start, int | float):
        return None
    if isinstance(start, int) and max(abs(start), abs(end), abs(step)) >= 1 << 63:
        return None
    if step == 0 or any(number != number for number in (start, end, step)):
        return None
    return Range(start, end, step) if (start < end if step > 0 else start > end) else EMPTY


# -- cells, errors, lazy seqs --


def _cell(name: str, value: Value) -> int:
    if not isinstance(value, Atom):
        raise type_fault(name, "an atom", value)
    return value.address


@primitive("atom")
def _atom(store: Store, value: Value) -> Atom:
    return Atom(store.new(value))


@primitive("reduced?")
def _is_reduced(store: Store, value: Value) -> bool:
    opaque = opaque_of(value)
    return opaque is not None and opaque.data.name == "yin.core/reduced"


@primitive("deref")
def _deref(store: Store, cell: Value) -> Value:
    if _is_reduced(store, cell):
        return cell.cause
    return store.read(_cell("deref", cell))


@primitive("reset!")
def _reset(store: Store, cell: Value, value: Value) -> Value:
    store.write(_cell("reset!", cell), value)
    return value


@primitive("compare-and-set!")
def _compare_and_set(store: Store, cell: Value, old: Value, new: Value) -> bool:
    address = _cell("compare-and-set!", cell)
    if not is_same(store.read(address), old):
        return False
    store.write(address, new)
    return True


@primitive("ex-info")
def _ex_info(store: Store, message: Value, data: Value, cause: Value = None) -> ErrorValue:
    if message is not None:
        check_string("ex-info", message)
    if not isinstance(data, MAPS):
        raise type_fault("ex-info", "a map", data)
    if cause is not None and not is_error(cause):
        raise type_fault("ex-info", "an error", cause)
    return ErrorValue(message, data, cause)


@primitive("ex-message")
def _ex_message(store: Store, value: Value) -> Value:
    return value.message if is_error(value) else None


@primitive("ex-data")
def _ex_data(store: Store, value: Value) -> Value:
    return value.data if is_error(value) else None


@primitive("ex-cause")
def _ex_cause(store: Store, value: Value) -> Value:
    return value.cause if is_error(value) else None


@primitive("opaque*")
def _opaque(store: Store, kind: Value, text: Value, content: Value) -> ErrorValue:
    if not isinstance(kind, Keyword):
        raise type_fault("opaque*", "a keyword", kind)
    shown = text if isinstance(text, Atom) else check_string("opaque*", text)
    return ErrorValue(shown, kind, content)


@primitive("opaque-kind")
def _opaque_kind(store: Store, value: Value) -> Value:
    opaque = opaque_of(value)
    return None if opaque is None else opaque.data


@primitive("opaque-content")
def _opaque_content(store: Store, value: Value) -> Value:
    opaque = opaque_of(value)
    return None if opaque is None else opaque.cause


def _lazy(name: str, expected: str, value: Value) -> Lazy:
    if not isinstance(value, Lazy):
        raise type_fault(name, expected, value)
    return value


@primitive("lazy-seq*")
def _lazy_seq(store: Store, thunk: Value) -> Lazy:
    if not isinstance(thunk, Closure):
        raise type_fault("lazy-seq*", "a function", thunk)
    return Lazy(store.new(LazyState(thunk, None)))


@primitive("lazy-thunk")
def _lazy_thunk(store: Store, value: Value) -> Value:
    return store.read(_lazy("lazy-thunk", "a lazy seq", value).address).thunk


@primitive("lazy-set!")
def _lazy_set(store: Store, value: Value, found: Value) -> None:
    """What a lazy seq holds never changes; it may be another lazy seq, but not itself."""
    lazy = _lazy("lazy-set!", "a lazy seq", value)
    while isinstance(found, Lazy) and store.read(found.address).thunk is None:
        found = store.read(found.address).value
    if found == lazy:
        raise GuestFault("argument", "lazy-seq: the seq is its own value")
    if store.read(lazy.address).thunk is not None:
        store.write(lazy.address, LazyState(None, found))


@primitive("lazy-value")
def _lazy_value(store: Store, value: Value) -> Value:
    return realised(store, _lazy("lazy-value", "a realised lazy seq", value))


# ---- continuations


@primitive("suspended-with")
def _suspended_with(store: Store, value: Value) -> Value:
    if not isinstance(value, Continuation) or not value.suspended_with:
        raise type_fault("suspended-with", "a continuation of suspend*", value)
    return value.suspended_with[0]


# ---- metadata, see reference_metadata


@primitive("meta")
def _meta(store: Store, value: Value) -> Value:
    return value.metadata if isinstance(value, Described) else None


@primitive("with-meta")
def _with_meta(store: Store, value: Value, metadata: Value) -> Value:
    value = bare(value)
    if not isinstance(value, (*COLLECTIONS, *FUNCTION_KINDS, Symbol)):
        raise type_fault("with-meta", "a collection, symbol or function", value)
    if metadata is None:
        return value
    if not isinstance(metadata, MAPS):
        raise type_fault("with-meta", "a map", metadata)
    return Described(value, metadata)

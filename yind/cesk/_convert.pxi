# EDN values of Python to values on a heap, and back.
#
# Is:     both directions with explicit stacks, so depth does not matter, and with a bound on items, because sharing on
#         a heap can be exponentially larger than the heap when it is written out.
# Is not: text (`_print.pxi`) or images (`_image.pxi`).
# Fits:   constants of segments, answers and arguments of effects, results.

import datetime as _datetime
import uuid as _uuid

from datomstore.codec import map_of as _map_of
from datomstore.codec import set_of as _set_of
from datomstore.value import Char as _Char
from datomstore.value import Keyword as _Keyword
from datomstore.value import List as _List
from datomstore.value import Map as _Map
from datomstore.value import Set as _Set
from datomstore.value import Symbol as _Symbol

from yind.cesk.errors import CodeInvalid, ImageInvalid, StateInvalid, ValueInvalid

cdef enum:
    ITEMS_MAX = 1 << 22  # of one value taken out of a machine
    GIVEN_AT_ONCE = 1 << 12  # items that are put into a machine while no other thread may run
    PART_SHIFT = 6  # a long text or number is a part for each 64 bytes

cdef object _EPOCH = _datetime.datetime(1970, 1, 1, tzinfo=_datetime.UTC)
cdef object _MICROSECOND = _datetime.timedelta(microseconds=1)
cdef int64_t INSTANT_MIN = (_datetime.datetime.min.replace(tzinfo=_datetime.UTC) - _EPOCH) // _MICROSECOND
cdef int64_t INSTANT_MAX = (_datetime.datetime.max.replace(tzinfo=_datetime.UTC) - _EPOCH) // _MICROSECOND


cdef Outcome give_bytes_of(Heap *heap, uint32_t kind, bytes content, Value *result):
    """Set result to a kind of bytes with this content."""
    cdef Py_ssize_t length = len(content)
    cdef Text *text = new_bytes(heap, kind, length)
    if text == NULL:
        return NO_MEMORY
    memcpy(text.bytes, <const char *> content, length)
    if kind <= SYMBOL:
        text.char_count = count_chars(text.bytes, length)
    result[0] = pointer_value(text)
    return OK


cdef Outcome give_simple(Heap *heap, object source, Value *result):
    """Set result to an EDN value that is no collection.

    Raises:
        ValueInvalid: it is no EDN value.
    """
    kind = type(source)
    if source is None:
        result[0] = nil()
    elif kind is bool:
        result[0] = boolean_value(source)
    elif kind is int or kind is _Fraction or kind is float or kind is _Decimal:
        return give_number(heap, source, result)
    elif kind is str:
        return give_bytes_of(heap, STRING, source.encode("utf-8", "surrogatepass"), result)
    elif kind is _Keyword:
        return give_bytes_of(heap, KEYWORD, source.name.encode("utf-8", "surrogatepass"), result)
    elif kind is _Symbol:
        return give_bytes_of(heap, SYMBOL, source.name.encode("utf-8", "surrogatepass"), result)
    elif kind is _Char:
        result[0] = immediate(CHAR, ord(source.value))
    elif kind is bytes:
        return give_bytes_of(heap, BYTES, source, result)
    elif kind is _uuid.UUID:
        return give_bytes_of(heap, UUID, source.bytes, result)
    elif kind is _datetime.datetime and source.tzinfo is not None:
        result[0] = immediate(INSTANT, (source - _EPOCH) // _MICROSECOND)
    else:
        raise ValueInvalid(f"{kind.__name__} is no EDN value")
    return OK


def _flat(source):
    """Return an iterator over the parts of a collection; keys and values of a map alternate."""
    if type(source) is _Map:
        return (part for pair in source.items() for part in pair)
    return iter(source)


cdef Outcome build_collection(Heap *heap, object kind, size_t start, Value *result):
    """Set result to the collection of the owned values on the work stack from `start` on, which are released."""
    cdef uint32_t n = <uint32_t> (heap.work_count - start)
    cdef size_t i
    cdef Outcome outcome = OK
    if kind is _List:
        outcome = give_list(heap, heap.work + start, n, result)
    elif kind is _Map or kind is _Set:
        outcome = give_empty(heap, MAP if kind is _Map else SET, result)
        i = start
        while outcome == OK and i < heap.work_count:
            if kind is _Map:
                outcome = map_put(heap, result, heap.work[i], heap.work[i + 1])
                i += 2
            else:
                outcome = map_put(heap, result, heap.work[i], nil())
                i += 1
    else:
        outcome = vector_of(heap, heap.work + start, n, result)
    while heap.work_count > start:
        release(heap, pop_work(heap))
    return outcome


cdef Outcome give_python(Heap *heap, object source, Value *result):
    """Set result to any EDN value of Python.

    Raises:
        ValueInvalid: something in it is no EDN value.
    """
    cdef size_t bottom = heap.work_count
    cdef Value built = nil()
    cdef Outcome outcome = OK
    cdef uint64_t steps_max = heap.steps_max
    heap.steps = 0
    heap.steps_max = STEPS_MAX_OUTSIDE
    cdef uint32_t given = 0
    open_parts = []  # (kind, iterator, place on the work stack where its parts begin)
    try:
        while True:
            given += 1
            if given == GIVEN_AT_ONCE:
                given = 0
                with nogil:
                    pass  # whoever waits for the interpreter has it now
            kind = type(source)
            if kind is tuple or kind is _List or kind is _Map or kind is _Set:
                open_parts.append((kind, _flat(source), heap.work_count))
            else:
                outcome = give_simple(heap, source, &built)
                if outcome == OK:
                    outcome = push_work(heap, built)
            while outcome == OK and open_parts:
                kind, parts, start = open_parts[len(open_parts) - 1]
                try:
                    source = next(parts)
                    break
                except StopIteration:
                    open_parts.pop()
                    outcome = build_collection(heap, kind, start, &built)
                    if outcome == OK:
                        outcome = push_work(heap, built)
            if outcome != OK:
                return outcome
            if not open_parts:
                result[0] = pop_work(heap)
                return OK
    finally:
        heap.steps_max = steps_max
        while heap.work_count > bottom:
            release(heap, pop_work(heap))


# ---- and back

cdef str python_text(Object *object):
    return (<char *> (<Text *> object).bytes)[: object.length].decode("utf-8", "surrogatepass")


cdef object simple_python(Value value):
    """Return the Python value of a value that is no collection.

    Raises:
        ValueInvalid: it has no EDN form.
    """
    cdef Text *text
    if value.tag == NIL:
        return None
    if value.tag == FALSE or value.tag == TRUE:
        return value.tag == TRUE
    if is_number(value):
        return python_number(value)
    if value.tag == CHAR:
        return _Char(chr(value.integer))
    if value.tag == INSTANT:
        return _EPOCH + value.integer * _MICROSECOND
    if value.tag == STRING:
        return python_text(value.object)
    if value.tag == KEYWORD:
        return _Keyword(python_text(value.object))
    if value.tag == SYMBOL:
        return _Symbol(python_text(value.object))
    if value.tag == BYTES or value.tag == UUID:
        text = <Text *> value.object
        content = (<char *> text.bytes)[: text.head.length]
        return content if value.tag == BYTES else _uuid.UUID(bytes=content)
    raise ValueInvalid(f"{type_name(value).decode()} has no EDN form")


cdef object collected(uint32_t tag, list parts):
    # Keys that would make a dictionary slow cost the machine nothing: outside it they are refused.
    try:
        if is_map(tag):
            return _map_of(list(zip(parts[::2], parts[1::2], strict=True)))
        if is_set(tag):
            return _set_of(parts)
    except ValueError as error:
        raise ValueInvalid(str(error)) from None
    if tag == VECTOR:
        return tuple(parts)
    return _List(parts)


cdef Outcome count_parts(Heap *heap, Value source, int64_t most, int64_t *parts) noexcept nogil:
    """Add how many parts a value has when it is written out; beyond `most` counting ends, and at an unrealised lazy seq."""
    cdef size_t bottom = heap.work_count
    cdef Cursor cursor
    cdef Value value = source
    cdef bint more = False
    cdef Outcome outcome = OK
    heap.steps = 0
    while True:
        value = bare(value)
        parts[0] += 1
        if value.tag == RATIO or value.tag == DECIMAL:
            outcome = push_work(heap, (<Values *> value.object).at[0])
            if outcome == OK:
                outcome = push_work(heap, (<Values *> value.object).at[1])
        elif STRING <= value.tag <= BIG:
            parts[0] += value.object.length >> PART_SHIFT
        elif LIST <= value.tag <= SORTED_SET:
            outcome = cursor_start(heap, &cursor, value)
            while outcome == OK and parts[0] <= most:
                outcome = cursor_next(heap, &cursor, &more)
                if outcome != OK or not more:
                    break
                outcome = count_item(heap, cursor.item, parts)
                if outcome == OK and cursor.pairs:
                    outcome = count_item(heap, cursor.value, parts)
        if outcome != OK or parts[0] > most or heap.work_count == bottom:
            heap.work_count = bottom
            return outcome
        value = pop_work(heap)


cdef inline Outcome count_item(Heap *heap, Value item, int64_t *parts) noexcept nogil:
    """Count an item that has no parts of its own; one that has is left on the work stack."""
    if item.tag >= HEAP:
        return push_work(heap, item)
    parts[0] += 1
    return OK


cdef object python_value(Heap *heap, Value source):
    """Return the EDN value of Python for a value; an unrealised lazy seq inside is an error.

    Raises:
        ValueInvalid: it has no EDN form, or is too large.
    """
    cdef size_t bottom = heap.work_count
    cdef Cursor cursor
    cdef Value value = source
    cdef Value marker
    cdef bint more = False
    cdef Outcome outcome = OK
    cdef size_t place
    cdef int64_t items = 0
    cdef int64_t count
    done = []
    heap.steps = 0
    try:
        while True:
            value = bare(value)
            if value.tag == UNBOUND:  # all parts of a collection are done, the last one first
                count = value.integer
                parts = done[len(done) - count :]
                del done[len(done) - count :]
                parts.reverse()
                done.append(collected(value.spare, parts))
            elif value.tag == EMPTY or LIST <= value.tag <= SORTED_SET:
                marker = immediate(UNBOUND, 0)
                marker.spare = value.tag
                place = heap.work_count
                count = 0
                outcome = push_work(heap, marker)
                if outcome == OK:
                    outcome = cursor_start(heap, &cursor, value)
                while outcome == OK:
                    outcome = cursor_next(heap, &cursor, &more)
                    if outcome != OK or not more:
                        break
                    items += 1
                    if items > ITEMS_MAX:
                        raise ValueInvalid(f"more than {ITEMS_MAX} items")
                    count += 2 if is_map(value.tag) else 1
                    outcome = push_item(heap, &cursor, is_map(value.tag))
                if outcome != OK:
                    raise ValueInvalid("out of memory" if outcome == NO_MEMORY else "a lazy seq is not realised")
                heap.work[place].integer = count
            else:
                done.append(simple_python(value))
            if heap.work_count == bottom:
                return done[0]
            value = pop_work(heap)
    except RecursionError as error:  # hash of deeply nested keys
        raise ValueInvalid("keys are nested too deeply") from error
    finally:
        heap.work_count = bottom


cdef Outcome push_item(Heap *heap, Cursor *cursor, bint of_map):
    """Push the item of a cursor for conversion, key and value of a map; an entry in a seq is marked as a vector of two."""
    cdef Value marker
    cdef Outcome outcome = OK
    if cursor.pairs and not of_map:
        marker = immediate(UNBOUND, 2)
        marker.spare = VECTOR
        outcome = push_work(heap, marker)
    if outcome == OK:
        outcome = push_work(heap, cursor.item)
    if outcome == OK and cursor.pairs:
        outcome = push_work(heap, cursor.value)
    return outcome

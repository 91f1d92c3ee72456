# From values to bytes.

cdef Bytes _spare = None  # memory that is there already


def pack(value, /):
    global _spare
    cdef Bytes out = _spare if _spare is not None else Bytes()
    _spare = None  # values may have Python look at them, where another thread may come in between
    out.size = 0
    try:
        _write(out, value, 0, 0)
    except RecursionError:
        raise CodecError("the value is nested too deeply") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise CodecError(f"no encoding: {error}") from error
    packed = PyBytes_FromStringAndSize(<char*> out.data, out.size)
    if out.room <= CODEC_KEPT_BYTES_MAX:
        _spare = out
    return packed


cdef int _write(Bytes out, object value, int nesting, int depth) except -1:
    """Write a value that stands inside so many arrays and extensions, and so many extensions."""
    cdef type kind = type(value)
    if kind is str:
        return out.text(value)
    if kind is int:
        return _write_integer(out, value, depth)
    if kind is bytes:
        return out.binary(value)
    if kind is tuple or kind is list:
        return _write_vector(out, tuple(value), nesting + 1, depth)
    if value is None:
        out.more(1)[0] = 0xC0
        return 0
    if kind is bool:
        out.more(1)[0] = 0xC3 if value else 0xC2
        return 0
    if kind is float:
        return out.real(PyFloat_AS_DOUBLE(value))
    if kind is bytearray or kind is memoryview:
        return out.binary(bytes(value))
    return _write_extension(out, value, nesting + 1, depth + 1)


cdef int _write_integer(Bytes out, object value, int depth) except -1:
    cdef int overflow
    cdef int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if not overflow:
        return out.integer(number)
    if overflow > 0 and value <= UNSIGNED_LONG_MAX:
        return out.head(0xCF, PyLong_AsUnsignedLongLong(value), 8)
    _check_depth(depth + 1)
    return _write_leaf(out, BIG_INTEGER, _big(value))


cdef int _write_vector(Bytes out, tuple items, int nesting, int depth) except -1:
    _check_nesting(nesting)
    out.array(len(items))
    for item in items:
        _write(out, item, nesting, depth)
    return 0


cdef int _write_extension(Bytes out, object value, int nesting, int depth) except -1:
    cdef Py_ssize_t start = out.size
    _check_nesting(nesting)
    _check_depth(depth)
    if isinstance(value, Keyword):
        return out.name(KEYWORD, value)
    if isinstance(value, Symbol):
        return out.name(SYMBOL, value)
    if isinstance(value, Map):
        _write_sorted(out, value.pairs(), len(value), True, nesting, depth)
        return _enclose(out, MAP, start)
    if isinstance(value, List):
        for item in value:
            _write(out, item, nesting, depth)
        return _enclose(out, LIST, start)
    if isinstance(value, Set):
        _write_sorted(out, value, len(value), False, nesting, depth)
        return _enclose(out, SET, start)
    if isinstance(value, Fraction):
        _check_ratio(value.numerator, value.denominator)
        _write_vector(out, (value.numerator, value.denominator), nesting + 1, depth)
        return _enclose(out, RATIO, start)
    if isinstance(value, Decimal):
        _write_vector(out, decimals.parts(value), nesting + 1, depth)
        return _enclose(out, DECIMAL, start)
    if isinstance(value, Char):
        return _write_leaf(out, CHAR, value.value.encode())
    if isinstance(value, datetime):
        return _write_leaf(out, INSTANT, _microseconds(value).to_bytes(8, "big", signed=True))
    if isinstance(value, UUID):
        return _write_leaf(out, UUID_, value.bytes)
    raise TypeError(f"{type(value).__name__} is not a value")


cdef int _write_sorted(
    Bytes out, object members, Py_ssize_t count, bint pairs, int nesting, int depth
) except -1:
    """Write the members of a map or a set in the order of their bytes."""
    cdef Py_ssize_t start = out.size, i = 0
    cdef Py_ssize_t* ends = <Py_ssize_t*> resized(NULL, (count + 1) * sizeof(Py_ssize_t))
    try:
        for member in members:
            if pairs:
                _write(out, (<tuple> member)[0], nesting, depth)
                _write(out, (<tuple> member)[1], nesting, depth)
            else:
                _write(out, member, nesting, depth)
            assert i < count, count
            ends[i] = out.size
            i += 1
        order = _sort(out, start, ends, count)
        if count > KEYS_UNCOUNTED:  # what cannot be read must not be written
            _check_keys(_ordered([member[0] for member in members] if pairs else list(members), order))
    finally:
        free(ends)
    return 0


cdef object _sort(Bytes out, Py_ssize_t start, Py_ssize_t* ends, Py_ssize_t count):
    """Sort the stretches of bytes from `start` on, each of which begins where the one before ends.

    Returns the numbers of the stretches in their order, or None: they are in order, or too few for anybody to ask.
    """
    cdef Py_ssize_t i, before = start, begin = start
    cdef list parts = []
    for i in range(1, count):
        begin = ends[i - 1]
        if _compare(out.data, before, begin, begin, ends[i]) > 0:
            break
        before = begin
    else:
        return None
    begin = start
    for i in range(count):
        parts.append(PyBytes_FromStringAndSize(<char*> out.data + begin, ends[i] - begin))
        begin = ends[i]
    order = None
    if count <= KEYS_UNCOUNTED:
        parts.sort()
    else:
        order = sorted(range(count), key=parts.__getitem__)
        parts = _ordered(parts, order)
    joined = b"".join(parts)
    memcpy(out.data + start, PyBytes_AS_STRING(joined), PyBytes_GET_SIZE(joined))
    return order


cdef list _ordered(list items, object order):
    """Return the items of these numbers, or as they are."""
    return items if order is None else [items[i] for i in order]


cdef int _compare(
    const uint8_t* data, Py_ssize_t a, Py_ssize_t a_end, Py_ssize_t b, Py_ssize_t b_end
) noexcept:
    """Return the order of two stretches of bytes, as Python has it."""
    cdef Py_ssize_t a_size = a_end - a, b_size = b_end - b
    cdef int order = memcmp(data + a, data + b, min(a_size, b_size))
    return order if order else (a_size > b_size) - (a_size < b_size)


cdef int _enclose(Bytes out, int code, Py_ssize_t start) except -1:
    """Make what has been written from `start` on the body of an extension."""
    cdef Py_ssize_t size = out.size - start, head
    cdef uint8_t first[6]
    out.extension(code, size)
    head = out.size - start - size
    memcpy(first, out.data + start + size, head)
    memmove(out.data + start + head, out.data + start, size)
    memcpy(out.data + start, first, head)
    return 0


cdef int _write_leaf(Bytes out, int code, bytes body) except -1:
    out.extension(code, PyBytes_GET_SIZE(body))
    return out.raw(PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body))


cdef int _check_nesting(int nesting) except -1:
    if nesting > NESTING_MAX:
        raise ValueError(f"nested deeper than {NESTING_MAX}")
    return 0


cdef int _check_depth(int depth) except -1:
    if depth > DEPTH_MAX:
        raise ValueError(f"nested deeper than {DEPTH_MAX}")
    return 0


cdef int _check_ratio(object numerator, object denominator) except -1:
    """Raise ValueError for a ratio whose common divisor would take long to find."""
    if max(numerator.bit_length(), denominator.bit_length()) > 8 * CODEC_RATIO_PART_MAX:
        raise ValueError(f"a ratio of more than {CODEC_RATIO_PART_MAX} bytes above or below")
    return 0


cdef bytes _big(object value):
    size = (value.bit_length() + 8) // 8
    if size > CODEC_BIG_INTEGER_MAX:
        raise ValueError(f"an integer of {size} bytes; at most {CODEC_BIG_INTEGER_MAX}")
    return value.to_bytes(size, "big", signed=True)


cdef object _microseconds(object instant):
    delta = instant - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds

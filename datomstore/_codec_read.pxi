# From bytes to values.

def unpack(data, /):
    return _read(data, True)


def unpack_trusted(data, /):
    return _read(data, False)


cdef object _read(object data, bint canonical):
    cdef Reader reader = Reader()
    cdef bytes kept
    cdef Py_ssize_t end
    try:
        kept = PyBytes_FromObject(data)
        end = PyBytes_GET_SIZE(kept)
        reader.data = <const uint8_t*> PyBytes_AS_STRING(kept)
        reader.at, reader.canonical = 0, canonical
        value = reader.value(end, 0, 0)
        if reader.at != end:
            raise ValueError("more than one value")
        return value
    except RecursionError:
        raise CodecError("nested too deeply") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise CodecError(f"not a value: {str(error) or type(error).__name__}") from error


cdef class Reader:
    """Reads one value. `end` is where it may reach; `nesting` and `depth` are as in `_write`."""

    cdef const uint8_t* data
    cdef Py_ssize_t at
    cdef bint canonical  # bytes that `pack` would not have made are refused

    cdef object value(self, Py_ssize_t end, int nesting, int depth):
        cdef uint8_t head = self.skip(1, end)[0]
        if head < 0x80:
            return head
        if head >= 0xE0:
            return <int8_t> head
        if head < 0x90:
            raise ValueError("a msgpack map: maps are an extension here")
        if head < 0xA0:
            return self.vector(head & 0x0F, end, nesting + 1, depth)
        if head < 0xC0:
            return self.text(head & 0x1F, end)
        if head == 0xC0:
            return None
        if head == 0xC2:
            return False
        if head == 0xC3:
            return True
        if head <= 0xC6:
            return self.binary(head, end)
        if head <= 0xC9:
            return self.long_extension(head, end, nesting + 1, depth + 1)
        if head <= 0xCB:
            return self.real(head, end)
        if head <= 0xD3:
            return self.integer(head, end)
        if head <= 0xD8:
            return self.extension(<Py_ssize_t> 1 << (head - 0xD4), end, nesting + 1, depth + 1)
        if head <= 0xDB:
            return self.long_text(head, end)
        if head <= 0xDD:
            return self.long_vector(head, end, nesting + 1, depth)
        raise ValueError("a msgpack map: maps are an extension here")

    cdef const uint8_t* skip(self, Py_ssize_t size, Py_ssize_t end) except NULL:
        """Return where the next so many bytes are, and go on behind them."""
        cdef const uint8_t* place = self.data + self.at
        if size > end - self.at:
            raise ValueError("the bytes end in the middle of a value")
        self.at += size
        return place

    cdef uint64_t number(self, int size, Py_ssize_t end) except? 0xFFFFFFFFFFFFFFFF:
        """Return the number of so many bytes, big end first."""
        cdef const uint8_t* place = self.skip(size, end)
        cdef uint64_t found = 0
        cdef int i
        for i in range(size):
            found = found << 8 | place[i]
        return found

    cdef int check(self, bint shortest) except -1:
        if self.canonical and not shortest:
            raise CodecError("not the canonical encoding")
        return 0

    # -- what msgpack has --

    cdef object integer(self, uint8_t head, Py_ssize_t end):
        cdef uint64_t number = self.number(1 << ((head - 0xCC) & 3), end)
        cdef int64_t signed
        if head == 0xCC:
            self.check(number >= 0x80)
        elif head == 0xCD:
            self.check(number >= 0x100)
        elif head == 0xCE:
            self.check(number >= 0x10000)
        elif head == 0xCF:
            self.check(number >= 0x100000000)
        elif head == 0xD0:
            signed = <int8_t> number
            self.check(signed < -0x20)
            return signed
        elif head == 0xD1:
            signed = <int16_t> number
            self.check(signed < -0x80)
            return signed
        elif head == 0xD2:
            signed = <int32_t> number
            self.check(signed < -0x8000)
            return signed
        else:
            signed = <int64_t> number
            self.check(signed < -<int64_t> 0x80000000)
            return signed
        return number

    cdef object real(self, uint8_t head, Py_ssize_t end):
        cdef uint64_t bits
        cdef double number
        cdef float single
        cdef int32_t single_bits
        if head == 0xCB:
            bits = self.number(8, end)
            memcpy(&number, &bits, 8)
            return number
        self.check(False)
        single_bits = <int32_t> self.number(4, end)
        memcpy(&single, &single_bits, 4)
        return single

    cdef object text(self, Py_ssize_t size, Py_ssize_t end):
        return PyUnicode_DecodeUTF8(<const char*> self.skip(size, end), size, NULL)

    cdef object long_text(self, uint8_t head, Py_ssize_t end):
        cdef Py_ssize_t size = self.number(1 << (head - 0xD9), end)
        self.check(size >= (0x20 if head == 0xD9 else 0x100 if head == 0xDA else 0x10000))
        return self.text(size, end)

    cdef object binary(self, uint8_t head, Py_ssize_t end):
        cdef Py_ssize_t size
        if head < 0xC4:
            raise ValueError("no value begins with 0xc1")
        size = self.number(1 << (head - 0xC4), end)
        self.check(size >= (0 if head == 0xC4 else 0x100 if head == 0xC5 else 0x10000))
        return PyBytes_FromStringAndSize(<const char*> self.skip(size, end), size)

    cdef object long_vector(self, uint8_t head, Py_ssize_t end, int nesting, int depth):
        cdef Py_ssize_t count = self.number(2 if head == 0xDC else 4, end)
        self.check(count >= (0x10 if head == 0xDC else 0x10000))
        return self.vector(count, end, nesting, depth)

    cdef object vector(self, Py_ssize_t count, Py_ssize_t end, int nesting, int depth):
        cdef tuple items
        cdef Py_ssize_t i
        _check_nesting(nesting)
        if count > end - self.at:
            raise ValueError("the bytes end in the middle of a value")
        items = PyTuple_New(count)
        for i in range(count):
            item = self.value(end - (count - 1 - i), nesting, depth)
            Py_INCREF(item)  # the tuple takes it over
            PyTuple_SET_ITEM(items, i, item)
        return items

    # -- extensions --

    cdef object long_extension(self, uint8_t head, Py_ssize_t end, int nesting, int depth):
        cdef Py_ssize_t size = self.number(1 << (head - 0xC7), end)
        if head == 0xC7:
            self.check(size not in (1, 2, 4, 8, 16))
        else:
            self.check(size >= (0x100 if head == 0xC8 else 0x10000))
        return self.extension(size, end, nesting, depth)

    cdef object extension(self, Py_ssize_t size, Py_ssize_t end, int nesting, int depth):
        cdef int code = <int8_t> self.skip(1, end)[0]
        _check_nesting(nesting)
        _check_depth(depth)
        if size > end - self.at:
            raise ValueError("the bytes end in the middle of a value")
        end = self.at + size
        if code == KEYWORD:
            return Keyword(self.text(size, end))
        if code == SYMBOL:
            return Symbol(self.text(size, end))
        if code == MAP:
            return self.map(end, nesting, depth)
        if code == LIST:
            return List(self.items(end, nesting, depth))
        if code == SET:
            return self.set(end, nesting, depth)
        if code == RATIO:
            return self.ratio(end, nesting, depth)
        if code == DECIMAL:
            return self.decimal(end, nesting, depth)
        if code == BIG_INTEGER:
            return self.big_integer(size, end)
        if code == CHAR:
            return Char(self.text(size, end))
        if code == INSTANT:
            return _instant(self.raw(size, end))
        if code == UUID_:
            return UUID(bytes=self.raw(size, end))
        raise ValueError(f"no extension {code}")

    cdef bytes raw(self, Py_ssize_t size, Py_ssize_t end):
        return PyBytes_FromStringAndSize(<const char*> self.skip(size, end), size)

    cdef list items(self, Py_ssize_t end, int nesting, int depth):
        """Return the values up to `end`."""
        cdef list found = []
        while self.at < end:
            found.append(self.value(end, nesting, depth))
        return found

    cdef object map(self, Py_ssize_t end, int nesting, int depth):
        cdef dict entries = {}
        cdef list others = None  # the pairs from the first on whose key's hash can be foreseen
        cdef Py_ssize_t before = self.at, begin = self.at, count = 0
        while self.at < end:
            key = self.value(end, nesting, depth)
            if self.at == end:
                raise ValueError("a map with a key that has no value")
            item = self.value(end, nesting, depth)
            self.check(_compare(self.data, before, begin, begin, self.at) <= 0)
            before, begin, count = begin, self.at, count + 1
            if others is not None:
                others.append((key, item))
            elif type(key) is str or type(key) is Keyword:
                entries[key] = (key, item)
            else:
                others = [(key, item)]
        if others is not None:
            self.add_all(entries, others)
        self.check(count == len(entries))
        return Map.of_entries(entries)

    cdef int add_all(self, dict entries, list pairs) except -1:
        """Put pairs into a map to be, each at its key."""
        cdef list keys = [hash_key((<tuple> pair)[0]) for pair in pairs]
        cdef Py_ssize_t i
        if self.canonical:
            _check_keys([*entries, *keys])
        for i in range(len(keys)):
            entries[keys[i]] = pairs[i]
        return 0

    cdef object set(self, Py_ssize_t end, int nesting, int depth):
        cdef list members = []
        cdef Py_ssize_t before = self.at, begin = self.at
        while self.at < end:
            members.append(self.value(end, nesting, depth))
            self.check(_compare(self.data, before, begin, begin, self.at) <= 0)
            before, begin = begin, self.at
        found = _set_of(members, self.canonical)
        self.check(len(members) == len(found))
        return found

    cdef tuple two_integers(self, Py_ssize_t end, int nesting, int depth):
        """Return the two integers that stand up to `end`."""
        parts = self.value(end, nesting, depth)
        if self.at != end or type(parts) is not tuple or [type(part) for part in parts] != [int, int]:
            raise ValueError("a ratio or a decimal is two integers")
        return parts

    cdef object ratio(self, Py_ssize_t end, int nesting, int depth):
        numerator, denominator = self.two_integers(end, nesting, depth)
        if denominator < 1:
            raise ValueError("a ratio is two integers, the second above zero")
        if self.canonical:
            _check_ratio(numerator, denominator)
        found = Fraction(numerator, denominator)
        self.check(found.denominator == denominator)
        return found

    cdef object decimal(self, Py_ssize_t end, int nesting, int depth):
        unscaled, scale = self.two_integers(end, nesting, depth)
        return decimals.decimal_of(unscaled, scale)  # each pair is another decimal: no two encodings

    cdef object big_integer(self, Py_ssize_t size, Py_ssize_t end):
        if size > CODEC_BIG_INTEGER_MAX:
            raise ValueError(f"an integer of {size} bytes")
        found = int.from_bytes(self.raw(size, end), "big", signed=True)
        self.check(not LONG_MIN <= found <= UNSIGNED_LONG_MAX)
        self.check((found.bit_length() + 8) // 8 == size)
        return found


cdef object _instant(bytes data):
    if len(data) != 8:
        raise ValueError("an instant is 8 bytes")
    return EPOCH + timedelta(microseconds=int.from_bytes(data, "big", signed=True))

# Host functions on numbers, equality, order and hash.
#
# Is:     the entry points of the first part of `yang.primitives`, one each, argument counts already checked.
# Is not: the arithmetic (`_numbers.pxi`) nor parsing and printing of numbers.
# Fits:   `_table.pxi` finds them by name.

cdef enum:
    DECIMAL_TEXT_MAX = 1 << 13  # bytes of a text that `bigdec` reads

cdef Outcome fold_numbers(Heap *heap, Operation operation, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Set result to a0 operation a1 operation a2 ..."""
    cdef Value next_one = nil()
    cdef uint32_t i
    cdef Outcome outcome
    if not is_number(arguments[0]):
        return fault_type(heap, OPERATION_NAMES[<int> operation], b"a number", arguments[0])
    if n == 2 and arguments[0].tag == INT and arguments[1].tag == INT:
        if integer_arithmetic(operation, arguments[0].integer, arguments[1].integer, result):
            return OK
    outcome = spend(heap, n)
    if outcome != OK:
        return outcome
    result[0] = retained(arguments[0])
    for i in range(1, n):
        outcome = calculate(heap, operation, result[0], arguments[i], &next_one)
        if outcome != OK:
            return outcome
        set_value(heap, result, next_one)
    return OK


cdef Outcome primitive_add(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef int64_t sum = 0
    if (
        n == 2 and arguments[0].tag == INT and arguments[1].tag == INT  # as folds do
        and not add_overflows(arguments[0].integer, arguments[1].integer, &sum)
    ):
        result[0] = integer_value(sum)
        return OK
    if n == 0:
        result[0] = integer_value(0)
        return OK
    return fold_numbers(heap, ADD, arguments, n, result)


cdef Outcome primitive_subtract(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if n == 1:
        if arguments[0].tag == DOUBLE:
            result[0] = real_value(-arguments[0].real)
            return OK
        if arguments[0].tag == DECIMAL:
            return negated_decimal(heap, arguments[0], result)
        return arithmetic(heap, SUBTRACT, integer_value(0), arguments[0], result)
    return fold_numbers(heap, SUBTRACT, arguments, n, result)


cdef Outcome negated_decimal(Heap *heap, Value value, Value *result) noexcept nogil:
    """Set result to a decimal of the other sign and the same scale."""
    cdef Value parts[2]
    cdef Outcome outcome = arithmetic(heap, SUBTRACT, integer_value(0), (<Values *> value.object).at[0], &parts[0])
    if outcome == OK:
        parts[1] = (<Values *> value.object).at[1]
        outcome = give_values(heap, DECIMAL, parts, 2, result)
        release(heap, parts[0])
    return outcome


cdef Outcome primitive_multiply(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if n == 0:
        result[0] = integer_value(1)
        return OK
    return fold_numbers(heap, MULTIPLY, arguments, n, result)


cdef Outcome primitive_divide(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if n == 1:
        return arithmetic(heap, DIVIDE, integer_value(1), arguments[0], result)
    return fold_numbers(heap, DIVIDE, arguments, n, result)


cdef Outcome primitive_quot(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return arithmetic(heap, QUOTIENT, arguments[0], arguments[1], result)


cdef Outcome primitive_rem(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return arithmetic(heap, REMAINDER, arguments[0], arguments[1], result)


cdef Outcome primitive_mod(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return arithmetic(heap, MODULUS, arguments[0], arguments[1], result)


cdef Outcome primitive_inc(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return arithmetic(heap, ADD, arguments[0], integer_value(1), result)


cdef Outcome primitive_dec(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return arithmetic(heap, SUBTRACT, arguments[0], integer_value(1), result)


cdef inline uint64_t compare_steps(Value a, Value b) noexcept nogil:
    """Return the work of comparing two values, if they are numbers."""
    if (a.tag == INT or a.tag == DOUBLE) and (b.tag == INT or b.tag == DOUBLE):
        return 1
    return BIG_STEPS if number_bytes(a) + number_bytes(b) < 1 << 12 else 2 * BIG_STEPS


cdef Outcome choose_number(
    Heap *heap, const char *name, int wanted, const Value *arguments, uint32_t n, Value *result
) noexcept nogil:
    """Set result to the greatest (wanted 1) or least (-1) number, of equal ones the last; NaN wins."""
    cdef Value best = arguments[0]
    cdef uint32_t i
    cdef int order = 0
    cdef Outcome outcome
    if not is_number(best):
        return fault_type(heap, name, b"a number", best)
    for i in range(1, n):
        outcome = spend(heap, compare_steps(arguments[i], best))
        if outcome == OK:
            outcome = checked_compare(heap, name, arguments[i], best, &order)
        if outcome != OK:
            return outcome
        if order == wanted or order == 0 or (order == UNORDERED and not (best.tag == DOUBLE and isnan(best.real))):
            best = arguments[i]
    result[0] = retained(best)
    return OK


cdef Outcome primitive_max(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return choose_number(heap, b"max", 1, arguments, n, result)


cdef Outcome primitive_min(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return choose_number(heap, b"min", -1, arguments, n, result)


cdef Outcome primitive_abs(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef int order = 0
    cdef Outcome outcome
    if arguments[0].tag == DOUBLE:
        result[0] = real_value(fabs(arguments[0].real))
        return OK
    outcome = checked_compare(heap, b"abs", arguments[0], integer_value(0), &order)
    if outcome != OK:
        return outcome
    if order < 0 and arguments[0].tag == DECIMAL:
        return negated_decimal(heap, arguments[0], result)
    if order < 0:
        return arithmetic(heap, SUBTRACT, integer_value(0), arguments[0], result)
    result[0] = retained(arguments[0])
    return OK


cdef Outcome all_equal(Heap *heap, const Value *arguments, uint32_t n, bint *same) noexcept nogil:
    cdef uint32_t i
    cdef Outcome outcome
    same[0] = True
    for i in range(1, n):
        outcome = spend(heap, 2)
        if outcome == OK:
            outcome = equal(heap, arguments[i - 1], arguments[i], same)
        if outcome != OK or not same[0]:
            return outcome
    return OK


cdef Outcome primitive_equal(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef bint same = False
    cdef Outcome outcome = all_equal(heap, arguments, n, &same)
    result[0] = boolean_value(same)
    return outcome


cdef Outcome primitive_not_equal(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef bint same = False
    cdef Outcome outcome = all_equal(heap, arguments, n, &same)
    result[0] = boolean_value(not same)
    return outcome


cdef Outcome ordered(
    Heap *heap, const char *name, int first, int second, const Value *arguments, uint32_t n, Value *result
) noexcept nogil:
    """Set result to whether each two neighbours have one of the two orders."""
    cdef uint32_t i
    cdef int order = 0
    cdef bint truth = True
    cdef Outcome outcome
    for i in range(1, n):
        outcome = spend(heap, compare_steps(arguments[i - 1], arguments[i]))
        if outcome == OK:
            outcome = checked_compare(heap, name, arguments[i - 1], arguments[i], &order)
        if outcome != OK:
            return outcome
        if order != first and order != second:
            truth = False
            break
    result[0] = boolean_value(truth)
    return OK


cdef Outcome primitive_numeric_equal(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return ordered(heap, b"==", 0, 0, arguments, n, result)


cdef Outcome primitive_less(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return ordered(heap, b"<", -1, -1, arguments, n, result)


cdef Outcome primitive_less_equal(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return ordered(heap, b"<=", -1, 0, arguments, n, result)


cdef Outcome primitive_greater(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return ordered(heap, b">", 1, 1, arguments, n, result)


cdef Outcome primitive_greater_equal(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return ordered(heap, b">=", 1, 0, arguments, n, result)


cdef Outcome primitive_compare(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef int order = 0
    cdef Outcome outcome = compare_values(heap, arguments[0], arguments[1], False, &order)
    result[0] = integer_value(order)
    return outcome


cdef Outcome against_zero(Heap *heap, const char *name, int wanted, Value value, Value *result) noexcept nogil:
    cdef int order = 0
    cdef Outcome outcome = checked_compare(heap, name, value, integer_value(0), &order)
    result[0] = boolean_value(order == wanted)
    return outcome


cdef Outcome primitive_is_zero(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return against_zero(heap, b"zero?", 0, arguments[0], result)


cdef Outcome primitive_is_pos(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return against_zero(heap, b"pos?", 1, arguments[0], result)


cdef Outcome primitive_is_neg(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return against_zero(heap, b"neg?", -1, arguments[0], result)


cdef Outcome parity(Heap *heap, const char *name, bint odd, Value value, Value *result) noexcept nogil:
    if value.tag == INT:
        result[0] = boolean_value((value.integer & 1) == odd)
        return OK
    if value.tag == BIG:
        result[0] = boolean_value(((<Text *> value.object).bytes[0] & 1) == odd)
        return OK
    return fault_type(heap, name, b"an integer", value)


cdef Outcome primitive_is_even(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return parity(heap, b"even?", False, arguments[0], result)


cdef Outcome primitive_is_odd(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return parity(heap, b"odd?", True, arguments[0], result)


cdef Outcome primitive_bit_and(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return fold_numbers(heap, BIT_AND, arguments, n, result)


cdef Outcome primitive_bit_or(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return fold_numbers(heap, BIT_OR, arguments, n, result)


cdef Outcome primitive_bit_xor(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return fold_numbers(heap, BIT_XOR, arguments, n, result)


cdef Outcome primitive_bit_not(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if arguments[0].tag == INT:
        result[0] = integer_value(~arguments[0].integer)
        return OK
    if arguments[0].tag != BIG:
        return fault_type(heap, b"bit-not", b"an integer", arguments[0])
    return arithmetic(heap, SUBTRACT, integer_value(-1), arguments[0], result)


cdef Outcome primitive_bit_shift_left(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return arithmetic(heap, SHIFT_LEFT, arguments[0], arguments[1], result)


cdef Outcome primitive_bit_shift_right(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return arithmetic(heap, SHIFT_RIGHT, arguments[0], arguments[1], result)


cdef Outcome truncate_number(Heap *heap, const char *name, Value value, Value *result) noexcept nogil:
    """Set result to the integer part of a number, or the code point of a character."""
    if is_integer(value):
        result[0] = retained(value)
        return OK
    if value.tag == CHAR:
        result[0] = integer_value(value.integer)
        return OK
    if value.tag == RATIO:
        return arithmetic(heap, QUOTIENT, value, integer_value(1), result)
    if value.tag == DECIMAL:
        if spend(heap, number_steps(ADD, value, value)) != OK:
            return DEFER
        with gil:
            return give_integer(heap, int(python_number(value)), result)
    if value.tag != DOUBLE:
        return fault_type(heap, name, b"a number", value)
    if not isfinite(value.real):
        return fault_text(heap, b"arithmetic", b"%s: not a finite number", name)
    if -9.2e18 < value.real < 9.2e18:
        result[0] = integer_value(<int64_t> value.real)
        return OK
    with gil:
        return give_integer(heap, int(value.real), result)


cdef Outcome primitive_int(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return truncate_number(heap, b"int", arguments[0], result)


cdef Outcome primitive_long(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return truncate_number(heap, b"long", arguments[0], result)


cdef Outcome primitive_double(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if not is_number(arguments[0]):
        return fault_type(heap, b"double", b"a number", arguments[0])
    if arguments[0].tag >= HEAP:
        charge(heap, <int64_t> number_steps(ADD, arguments[0], arguments[0]) >> 2)
    result[0] = real_value(real_of(arguments[0]))
    return OK


cdef Outcome part_of_ratio(Heap *heap, const char *name, uint32_t part, Value value, Value *result) noexcept nogil:
    if value.tag == RATIO:
        result[0] = retained((<Values *> value.object).at[part])
        return OK
    if not is_integer(value):
        return fault_type(heap, name, b"a ratio", value)
    result[0] = integer_value(1) if part else retained(value)
    return OK


cdef Outcome primitive_numerator(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return part_of_ratio(heap, b"numerator", 0, arguments[0], result)


cdef Outcome primitive_denominator(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return part_of_ratio(heap, b"denominator", 1, arguments[0], result)


cdef Outcome primitive_is_identical(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Value a = arguments[0]
    cdef Value b = arguments[1]
    cdef bint same = a.tag == b.tag and (a.tag < INT or a.integer == b.integer)
    if not same and a.tag == b.tag and (a.tag == KEYWORD or a.tag == SYMBOL):
        if a.object.length == b.object.length and spend_bytes(heap, a.object.length) != OK:
            return DEFER
        same = text_equal(a.object, b.object)
    result[0] = boolean_value(same)
    return OK


cdef Outcome primitive_hash(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef uint32_t hashed = 0
    cdef Outcome outcome = hash_value(heap, arguments[0], &hashed)
    result[0] = integer_value(<int32_t> hashed)
    return outcome


# ---- decimals

cdef Outcome primitive_bigdec(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Value value = arguments[0]
    if value.tag == DECIMAL:
        result[0] = retained(value)
        return OK
    if not is_number(value) and value.tag != STRING:
        return fault_type(heap, b"bigdec", b"a number", value)
    if value.tag == STRING and value.object.length > DECIMAL_TEXT_MAX:
        return fault(heap, b"number", b"bigdec: too many characters")
    if value.tag >= HEAP:
        charge(heap, <int64_t> number_bytes(value) if value.tag != STRING else value.object.length)
    with gil:
        source = python_text(value.object) if value.tag == STRING else python_number(value)
        try:
            return give_number(heap, _decimals.of_any(source), result)
        except _decimals.DecimalFault as error:
            return decimal_fault(heap, error)
        except ValueError:
            return fault(heap, b"number", b"bigdec: this is no decimal")


cdef Outcome primitive_decimal_parts(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """The integer and the scale of a decimal, as a vector."""
    if arguments[0].tag != DECIMAL:
        return fault_type(heap, b"decimal-parts", b"a decimal", arguments[0])
    return vector_of(heap, (<Values *> arguments[0].object).at, 2, result)


cdef Outcome rounded_decimal(
    Heap *heap, Value a, Value b, Value precision, Value mode, Value *result
) noexcept nogil:
    """Set result to a, or to a / b where b is a number, with so many digits at most."""
    if not is_number(a) or a.tag == DOUBLE:
        return fault_type(heap, b"with-precision", b"an exact number", a)
    if precision.tag != INT or mode.tag != STRING:
        return fault_type(heap, b"with-precision", b"a number of digits", precision)
    if spend(heap, number_steps(DIVIDE, a, a if b.tag == NIL else b) + BIG_STEPS) != OK:
        return DEFER
    with gil:
        try:
            first = _decimals.exact(python_number(a))
            if b.tag == NIL:
                made = _decimals.rounded(first, precision.integer, python_text(mode.object))
            else:
                second = _decimals.exact(python_number(b))
                made = _decimals.divide_rounded(first, second, precision.integer, python_text(mode.object))
            return give_number(heap, made, result)
        except _decimals.DecimalFault as error:
            return decimal_fault(heap, error)
        except ValueError:
            return fault(heap, b"argument", b"with-precision: no such precision or rounding")


cdef Outcome primitive_round_decimal(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return rounded_decimal(heap, arguments[0], nil(), arguments[1], arguments[2], result)


cdef Outcome primitive_divide_decimal(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if not is_number(arguments[1]) or arguments[1].tag == DOUBLE:
        return fault_type(heap, b"with-precision", b"an exact number", arguments[1])
    return rounded_decimal(heap, arguments[0], arguments[1], arguments[2], arguments[3], result)

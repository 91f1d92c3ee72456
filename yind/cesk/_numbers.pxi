# Numbers: 64-bit integers that grow into big ones, ratios, decimals, doubles.
#
# Is:     arithmetic and order over INT, BIG, RATIO, DECIMAL and DOUBLE, and their way to and from Python.
# Is not: the functions programs call (`_primitives_numbers.pxi`).
# Fits:   the loop calls these when its fast path for two INT or two DOUBLE does not apply.
#
# Big integers are stored as bytes in our own objects; only their arithmetic takes the GIL and makes Python integers. So it
# is with decimals, whose size is bounded (`datomstore.decimals`). Results that fit 64 bits are INT again, a ratio with
# denominator 1 is an integer, so equal numbers look equal.

from decimal import MAX_EMAX, MIN_EMIN
from decimal import Context as _Context
from decimal import Decimal as _Decimal
from fractions import Fraction as _Fraction

from datomstore import decimals as _decimals

cdef enum:
    BIG_BYTES_MAX = 1 << 27  # a larger one does not fit memory
    BIG_SHIFT = 7  # a product of n and m bytes is n * m / 128 steps
    BIG_STEPS = 64  # to Python and back

cdef enum Operation:
    ADD = 0
    SUBTRACT = 1
    MULTIPLY = 2
    DIVIDE = 3
    QUOTIENT = 4
    REMAINDER = 5
    MODULUS = 6
    BIT_AND = 7
    BIT_OR = 8
    BIT_XOR = 9
    SHIFT_LEFT = 10
    SHIFT_RIGHT = 11

cdef enum:
    UNORDERED = 2  # order of a NaN to anything

cdef const char *OPERATION_NAMES[12]
OPERATION_NAMES[:] = [
    b"+", b"-", b"*", b"/", b"quot", b"rem", b"mod", b"bit-and", b"bit-or", b"bit-xor", b"bit-shift-left", b"bit-shift-right"
]


cdef inline bint is_number(Value value) noexcept nogil:
    return value.tag == INT or value.tag == DOUBLE or value.tag == BIG or value.tag == RATIO or value.tag == DECIMAL


cdef inline bint is_integer(Value value) noexcept nogil:
    return value.tag == INT or value.tag == BIG


cdef inline uint32_t number_bytes(Value value) noexcept nogil:
    """Return the bytes of a number's magnitude, for limits and cost."""
    if value.tag == BIG:
        return value.object.length
    if value.tag == RATIO:
        return number_bytes((<Values *> value.object).at[0]) + number_bytes((<Values *> value.object).at[1])
    if value.tag == DECIMAL:
        return number_bytes((<Values *> value.object).at[0]) + (scale_size(value) >> 1)
    return 8


cdef inline uint32_t scale_size(Value decimal) noexcept nogil:
    """Return the magnitude of a decimal's scale: so many digits may come in front or behind."""
    cdef int64_t scale = (<Values *> decimal.object).at[1].integer
    return <uint32_t> (scale if scale >= 0 else -scale)


# ---- to and from Python (with the GIL)

cdef object python_number(Value value):
    """Return the int, Fraction, Decimal or float of a number."""
    cdef Text *big
    if value.tag == INT:
        return value.integer
    if value.tag == DOUBLE:
        return value.real
    if value.tag == RATIO:
        return _Fraction(
            python_number((<Values *> value.object).at[0]), python_number((<Values *> value.object).at[1])
        )
    if value.tag == DECIMAL:
        return _decimals.decimal_of(
            python_number((<Values *> value.object).at[0]), python_number((<Values *> value.object).at[1])
        )
    big = <Text *> value.object
    magnitude = int.from_bytes((<char *> big.bytes)[: big.head.length], "little")
    return -magnitude if big.char_count else magnitude


cdef Outcome give_integer(Heap *heap, object number, Value *result):
    """Set result to the INT or BIG of a Python int."""
    cdef Text *big
    cdef bytes magnitude
    cdef Py_ssize_t length
    if -0x8000000000000000 <= number <= 0x7FFFFFFFFFFFFFFF:
        result[0] = integer_value(number)
        return OK
    length = (number.bit_length() + 7) // 8
    if length > BIG_BYTES_MAX:
        return NO_MEMORY
    magnitude = abs(number).to_bytes(length, "little")
    big = new_bytes(heap, BIG, length)
    if big == NULL:
        return NO_MEMORY
    memcpy(big.bytes, <const char *> magnitude, length)
    big.char_count = 1 if number < 0 else 0
    result[0] = pointer_value(big)
    return OK


cdef Outcome give_number(Heap *heap, object number, Value *result):
    """Set result to a Python int, Fraction, Decimal or float."""
    cdef Value parts[2]
    cdef Outcome outcome
    if type(number) is float:
        result[0] = real_value(number)
        return OK
    if type(number) is int:
        return give_integer(heap, number, result)
    is_decimal = type(number) is _Decimal
    if is_decimal:
        first, second = _decimals.parts(number)
    elif number.denominator == 1:
        return give_integer(heap, number.numerator, result)
    else:
        first, second = number.numerator, number.denominator
    outcome = give_integer(heap, first, &parts[0])
    if outcome != OK:
        return outcome
    outcome = give_integer(heap, second, &parts[1])
    if outcome == OK:
        outcome = give_values(heap, DECIMAL if is_decimal else RATIO, parts, 2, result)
        release(heap, parts[1])
    release(heap, parts[0])
    return outcome


DIGITS_OF_RATIOS = _Context(prec=16, Emin=MIN_EMIN, Emax=MAX_EMAX)


cdef double python_real(object number):
    """Return the nearest double, infinite beyond the range of doubles; of a ratio by way of 16 digits, as Clojure."""
    try:
        if isinstance(number, _Fraction):
            return float(DIGITS_OF_RATIOS.divide(_Decimal(number.numerator), _Decimal(number.denominator)))
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


cdef double real_of(Value value) noexcept nogil:
    """Return a number as a double."""
    if value.tag == DOUBLE:
        return value.real
    if value.tag == INT:
        return <double> value.integer
    with gil:
        return python_real(python_number(value))


# ---- arithmetic

cdef inline Outcome number_add(Heap *heap, Value a, Value b, Value *result) noexcept nogil:
    return arithmetic(heap, ADD, a, b, result)


cdef inline Outcome number_subtract(Heap *heap, Value a, Value b, Value *result) noexcept nogil:
    return arithmetic(heap, SUBTRACT, a, b, result)


cdef inline Outcome number_multiply(Heap *heap, Value a, Value b, Value *result) noexcept nogil:
    return arithmetic(heap, MULTIPLY, a, b, result)


cdef inline Outcome number_divide(Heap *heap, Value a, Value b, Value *result) noexcept nogil:
    return arithmetic(heap, DIVIDE, a, b, result)


cdef uint64_t number_steps(Operation operation, Value a, Value b) noexcept nogil:
    """Return the work of an operation on two numbers of which one at least is no double and no small integer."""
    cdef uint64_t n = number_bytes(a)
    cdef uint64_t m = number_bytes(b)
    cdef uint64_t rows = n
    if operation == SHIFT_LEFT and b.tag == INT:
        m = <uint64_t> b.integer >> 3
    if a.tag == DOUBLE or b.tag == DOUBLE:
        rows = 0
    elif a.tag == DECIMAL or b.tag == DECIMAL:
        rows = n + m
    elif QUOTIENT <= operation <= MODULUS and a.tag != RATIO and b.tag != RATIO:
        rows = n - m + 8 if n > m else 0
    elif operation != MULTIPLY and operation != DIVIDE and a.tag != RATIO and b.tag != RATIO:
        rows = 0
    return BIG_STEPS + ((n + m) >> 3) + (rows * m >> BIG_SHIFT)


cdef inline bint result_fits(Heap *heap, Operation operation, Value a, Value b) noexcept nogil:
    """Return whether the agent may have what an operation on two exact numbers comes to."""
    cdef uint64_t size = <uint64_t> number_bytes(a) + number_bytes(b)
    if operation == SHIFT_LEFT:
        size = number_bytes(a) + (<uint64_t> b.integer >> 3)
    return size < BIG_BYTES_MAX and (size < 1 << 10 or heap.used + size <= heap.max)


cdef Outcome arithmetic(Heap *heap, Operation operation, Value a, Value b, Value *result) noexcept nogil:
    """As `calculate`, as the only work of an instruction."""
    heap.steps = 0
    return calculate(heap, operation, a, b, result)


cdef Outcome calculate(Heap *heap, Operation operation, Value a, Value b, Value *result) noexcept nogil:
    """Set result to `a operation b` for any two numbers; integers for the bitwise ones."""
    cdef Outcome outcome
    if a.tag == INT and b.tag == INT:
        if integer_arithmetic(operation, a.integer, b.integer, result):
            return OK
    if not is_number(a):
        return fault_type(heap, OPERATION_NAMES[<int> operation], b"a number", a)
    if not is_number(b):
        return fault_type(heap, OPERATION_NAMES[<int> operation], b"a number", b)
    if operation >= BIT_AND:
        if not is_integer(a):
            return fault_type(heap, OPERATION_NAMES[<int> operation], b"an integer", a)
        if not is_integer(b):
            return fault_type(heap, OPERATION_NAMES[<int> operation], b"an integer", b)
        if operation >= SHIFT_LEFT and (b.tag != INT or b.integer < 0):
            return fault(heap, b"arithmetic", b"shift by a negative or too large number")
    if (a.tag == DOUBLE or b.tag == DOUBLE) and (a.tag <= DOUBLE and b.tag <= DOUBLE):
        return real_arithmetic(heap, operation, real_of(a), real_of(b), result)
    if operation == SHIFT_LEFT and not result_fits(heap, operation, a, b):
        return NO_MEMORY
    outcome = spend(heap, number_steps(operation, a, b))
    if outcome != OK:
        return outcome
    if a.tag == DOUBLE or b.tag == DOUBLE:
        return real_arithmetic(heap, operation, real_of(a), real_of(b), result)
    if QUOTIENT <= operation <= MODULUS or operation == DIVIDE:
        if b.tag == INT and b.integer == 0:
            return fault(heap, b"arithmetic", b"Divide by zero")
    if not result_fits(heap, operation, a, b):
        return NO_MEMORY
    if a.tag == DECIMAL or b.tag == DECIMAL:
        with gil:
            return decimal_arithmetic(heap, operation, python_number(a), python_number(b), result)
    with gil:
        try:
            return exact_arithmetic(heap, operation, python_number(a), python_number(b), result)
        except MemoryError:
            return NO_MEMORY


cdef bint integer_arithmetic(Operation operation, int64_t a, int64_t b, Value *result) noexcept nogil:
    """Set result if it fits 64 bits; False when it does not, or is no integer."""
    cdef int64_t value = 0
    if operation == ADD:
        if add_overflows(a, b, &value):
            return False
    elif operation == SUBTRACT:
        if subtract_overflows(a, b, &value):
            return False
    elif operation == MULTIPLY:
        if multiply_overflows(a, b, &value):
            return False
    elif operation == BIT_AND:
        value = a & b
    elif operation == BIT_OR:
        value = a | b
    elif operation == BIT_XOR:
        value = a ^ b
    elif operation == SHIFT_RIGHT:
        if b < 0:
            return False
        value = a >> (b if b < 63 else 63)
    elif b == 0 or b == -1 or operation == SHIFT_LEFT:
        return False  # rare: zero, overflow of the least integer
    elif operation == QUOTIENT:
        value = a // b
    elif operation == REMAINDER:
        value = a % b
    elif operation == MODULUS:
        value = a % b
        if value != 0 and (value < 0) != (b < 0):
            value += b
    elif a % b == 0:
        value = a // b
    else:
        return False
    result[0] = integer_value(value)
    return True


cdef Outcome real_arithmetic(Heap *heap, Operation operation, double a, double b, Value *result) noexcept nogil:
    cdef double value
    cdef double whole
    if operation == ADD:
        value = a + b
    elif operation == SUBTRACT:
        value = a - b
    elif operation == MULTIPLY:
        value = a * b
    elif operation == DIVIDE:
        value = a / b
    else:
        if b == 0:
            return fault(heap, b"arithmetic", b"Divide by zero")
        whole = trunc(a / b) + 0.0  # Clojure's formulas, which know no -0.0 and are not fmod's
        value = whole if operation == QUOTIENT else a - whole * b
        if operation == MODULUS and value != 0 and (a > 0) != (b > 0):
            value += b
    result[0] = real_value(value)
    return OK


cdef Outcome exact_arithmetic(Heap *heap, Operation operation, object a, object b, Value *result):
    """Python does it: big integers and ratios."""
    if operation == ADD:
        value = a + b
    elif operation == SUBTRACT:
        value = a - b
    elif operation == MULTIPLY:
        value = a * b
    elif operation == DIVIDE:
        value = _Fraction(a) / b
    elif operation == QUOTIENT:
        value = truncated_quotient(a, b)
    elif operation == REMAINDER:
        value = a - b * truncated_quotient(a, b)
    elif operation == MODULUS:
        value = a % b
    elif operation == BIT_AND:
        value = a & b
    elif operation == BIT_OR:
        value = a | b
    elif operation == BIT_XOR:
        value = a ^ b
    elif operation == SHIFT_LEFT:
        value = a << b
    else:
        value = a >> b
    return give_number(heap, value, result)


# ORDER: operations. Of decimals.
_DECIMAL_OPERATIONS = (
    _decimals.add, _decimals.subtract, _decimals.multiply, _decimals.divide,
    _decimals.quotient, _decimals.remainder, _decimals.modulus,
)


cdef Outcome decimal_arithmetic(Heap *heap, Operation operation, object a, object b, Value *result):
    """Python does it, after a number of another kind has become a decimal."""
    try:
        value = _DECIMAL_OPERATIONS[<int> operation](_decimals.exact(a), _decimals.exact(b))
    except _decimals.DecimalFault as error:
        return decimal_fault(heap, error)
    return give_number(heap, value, result)


cdef Outcome decimal_fault(Heap *heap, object error):
    """Fail with what is wrong with a decimal."""
    cdef bytes text = str(error).encode()
    heap.fault_kind = b"arithmetic"
    snprintf(heap.fault_message, sizeof(heap.fault_message), b"%s", <const char *> text)
    return FAILED


cdef object truncated_quotient(object a, object b):
    quotient = a // b
    return quotient + 1 if quotient < 0 and quotient * b != a else quotient


cdef int sign_of(Value value) noexcept nogil:
    """Return the sign of an exact number."""
    if value.tag == RATIO or value.tag == DECIMAL:
        value = (<Values *> value.object).at[0]
    if value.tag == BIG:
        return -1 if (<Text *> value.object).char_count else 1
    return (value.integer > 0) - (value.integer < 0)


cdef int order_of_integers(Value a, Value b) noexcept nogil:
    """Return the order of two integers of which one at least is big: a longer one is further from zero."""
    cdef int sign = sign_of(a)
    cdef uint32_t n = number_bytes(a)
    cdef uint32_t m = number_bytes(b)
    cdef uint32_t i
    if sign != sign_of(b):
        return 1 if sign > sign_of(b) else -1
    if a.tag != b.tag:  # a big one does not fit 64 bits
        return sign if a.tag == BIG else -sign
    if n != m:
        return sign if n > m else -sign
    for i in range(n, 0, -1):
        if (<Text *> a.object).bytes[i - 1] != (<Text *> b.object).bytes[i - 1]:
            return sign if (<Text *> a.object).bytes[i - 1] > (<Text *> b.object).bytes[i - 1] else -sign
    return 0


cdef Outcome number_compare(Heap *heap, Value a, Value b, int *order) noexcept nogil:
    """Set order to -1, 0, 1 or UNORDERED for two numbers; as doubles if one is a double."""
    cdef double x
    cdef double y
    if a.tag == INT and b.tag == INT:
        order[0] = (a.integer > b.integer) - (a.integer < b.integer)
        return OK
    if b.tag == INT and b.integer == 0 and a.tag != DOUBLE:
        order[0] = sign_of(a)
        return OK
    if is_integer(a) and is_integer(b):
        charge(heap, (number_bytes(a) + number_bytes(b)) >> (BYTES_SHIFT + 2))
        order[0] = order_of_integers(a, b)
        return OK
    if a.tag == DOUBLE or b.tag == DOUBLE:
        if a.tag != DOUBLE or b.tag != DOUBLE:
            charge(heap, <int64_t> number_steps(ADD, a, b) >> 2)
        x = real_of(a)
        y = real_of(b)
        order[0] = UNORDERED if isnan(x) or isnan(y) else (x > y) - (x < y)
        return OK
    if spend(heap, number_steps(MULTIPLY, a, b)) != OK:
        return DEFER
    with gil:
        left = python_number(a)
        right = python_number(b)
        if a.tag == DECIMAL or b.tag == DECIMAL:
            try:
                order[0] = _decimals.order(left, right)
            except _decimals.DecimalFault as error:
                return decimal_fault(heap, error)
        else:
            order[0] = (left > right) - (left < right)
    return OK


cdef Outcome checked_compare(Heap *heap, const char *name, Value a, Value b, int *order) noexcept nogil:
    """As `number_compare`; faults when one is not a number."""
    if not is_number(a):
        return fault_type(heap, name, b"a number", a)
    if not is_number(b):
        return fault_type(heap, name, b"a number", b)
    return number_compare(heap, a, b, order)

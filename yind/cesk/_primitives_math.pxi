# Host functions on doubles, and on what Unicode says of characters.
#
# Is:     the entry points, argument counts already checked.
# Is not: arithmetic (`_primitives_numbers.pxi`); the names programs call (yang/lib/math.clj, regex.clj).
# Fits:   `_table.pxi` finds them by name.

import unicodedata

from libc.math cimport (
    acos, asin, atan, atan2, cbrt, ceil, copysign, cos, cosh, exp, expm1, floor, hypot, log, log10, log1p, nextafter, pow,
    remainder, rint, sin, sinh, sqrt, tan, tanh,
)

ctypedef double (*RealFunction)(double) noexcept nogil
ctypedef double (*RealFunctionOfTwo)(double, double) noexcept nogil

cdef enum:
    REAL_FUNCTION_COUNT = 19
    REAL_FUNCTION_OF_TWO_COUNT = 6

# ORDER: real functions. As in reference_math.py and yang/lib/math.clj.
cdef RealFunction REAL_FUNCTIONS[19]
REAL_FUNCTIONS[:] = [
    sqrt, cbrt, exp, expm1, log, log10, log1p, sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, floor, ceil, rint,
]
cdef RealFunctionOfTwo REAL_FUNCTIONS_OF_TWO[6]
REAL_FUNCTIONS_OF_TWO[:] = [pow, atan2, hypot, remainder, copysign, nextafter]


cdef Outcome primitive_real_function(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef int64_t number = arguments[0].integer
    cdef double a
    cdef double b
    cdef uint32_t i
    cdef int64_t count = REAL_FUNCTION_OF_TWO_COUNT if n == 3 else REAL_FUNCTION_COUNT
    if arguments[0].tag != INT or not 0 <= number < count:
        return fault_type(heap, b"real-function", b"the number of a function", arguments[0])
    for i in range(1, n):
        if not is_number(arguments[i]):
            return fault_type(heap, b"math", b"a number", arguments[i])
        if arguments[i].tag >= HEAP:
            charge(heap, <int64_t> number_steps(ADD, arguments[i], arguments[i]) >> 2)
    a = real_of(arguments[1])
    if n == 2:
        result[0] = real_value(REAL_FUNCTIONS[<int> number](a))
        return OK
    b = real_of(arguments[2])
    result[0] = real_value(REAL_FUNCTIONS_OF_TWO[<int> number](a, b))
    return OK


cdef Outcome primitive_char_kind(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if arguments[0].tag != CHAR:
        return fault_type(heap, b"char-kind", b"a character", arguments[0])
    with gil:
        return char_kind(heap, arguments[0].integer, result)


cdef Outcome char_kind(Heap *heap, int64_t point, Value *result) noexcept:
    try:
        kind = unicodedata.category(chr(point)).encode()
    except MemoryError:
        return NO_MEMORY
    return give_text(heap, STRING, kind, len(kind), result)

# cython: language_level=3, boundscheck=False, cdivision=True, initializedcheck=False
# Values as bytes and back, each way one walk: what `codec` says.
#
# Is:     the loops of `pack` and `unpack`. What is seldom (ratios, decimals, instants) is Python that happens to stand here.
# Is not: which values there are (`value`), or what the extensions' numbers mean (`codec`).
# Fits:   `codec` hands its functions on.
# Source: the msgpack specification.
#
# A reader never promises itself more than there are bytes: an array of n values leaves a byte for each of those that
# follow the one being read, so what is allocated is bounded by the bytes that came, however deep and however false.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromObject, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memmove, memset

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from datomstore import decimals
from datomstore import extensions as _numbers
from datomstore.errors import CodecError
from datomstore.limits import CODEC_BIG_INTEGER_MAX, CODEC_KEPT_BYTES_MAX, CODEC_RATIO_PART_MAX
from datomstore.limits import CODEC_DEPTH_MAX as _DEPTH_MAX
from datomstore.limits import CODEC_NESTING_MAX as _NESTING_MAX
from datomstore.limits import KEY_STEPS as _STEPS_OF_KEY
from datomstore.limits import KEY_STEPS_ALIKE as _STEPS_OF_ALIKE
from datomstore.limits import KEYS_UNCOUNTED as _KEYS_UNCOUNTED
from datomstore.value import Char, hash_key
from datomstore.value import Keyword as _Keyword
from datomstore.value import List as _List
from datomstore.value import Map as _Map
from datomstore.value import Set as _Set
from datomstore.value import Symbol as _Symbol

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object value, int* overflow) except? -1
    unsigned long long PyLong_AsUnsignedLongLong(object value) except? 0xFFFFFFFFFFFFFFFF
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef object Keyword = _Keyword, Symbol = _Symbol, List = _List, Map = _Map, Set = _Set
cdef int DEPTH_MAX = _DEPTH_MAX, NESTING_MAX = _NESTING_MAX
cdef int KEYWORD = _numbers.KEYWORD, SYMBOL = _numbers.SYMBOL, CHAR = _numbers.CHAR, LIST = _numbers.LIST
cdef int MAP = _numbers.MAP, SET = _numbers.SET, RATIO = _numbers.RATIO, BIG_INTEGER = _numbers.BIG_INTEGER
cdef int INSTANT = _numbers.INSTANT, UUID_ = _numbers.UUID_, DECIMAL = _numbers.DECIMAL
cdef object EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
cdef object LONG_MIN = -(1 << 63), UNSIGNED_LONG_MAX = (1 << 64) - 1

include "_bytes.pxi"
include "_codec_keys.pxi"
include "_codec_write.pxi"
include "_codec_read.pxi"

# cython: language_level=3, boundscheck=False, cdivision=True, initializedcheck=False
# The writer's inner loops: what is so now, rows on their way into the columns, plain items, and a transaction's bytes.
#
# Is:     what happens for every fact of every transaction, in C; the parts are one idea each.
# Is not: what few transactions need: tempids, lookup refs, operations, composites, schema (`transaction`, `transactor`).
# Fits:   `transactor.Transactor` is a Writer, `transaction`'s resolver is an Items.
#
# Nothing here lets another thread in between two of its steps, unless it calls Python: that is what makes it safe.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError, PyDict_Next, PyDict_Size
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.object cimport PyObject
from libc.stdint cimport int8_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove

from datomstore._ids cimport intern_id, value_at
from datomstore._index cimport write_facts

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from operator import eq
from threading import RLock

from datomstore import codec
from datomstore.codec import CodecError, pack
from datomstore.database import Database
from datomstore.datom import TX_BASE as _TX_BASE
from datomstore.facts import DatomRows
from datomstore.intern import INLINE_BOUND as _INLINE_BOUND
from datomstore.limits import HELD_READ_MAX, LOOKUP_MISSES_MAX, PENDING_ROWS_MAX
from datomstore.live import scalars_of
from datomstore.record import RECORD_VERSION as _RECORD_VERSION
from datomstore.record import encode_record
from datomstore.refused import UniqueConflict
from datomstore.roots import EMPTY_ROOT
from datomstore.schema import EXCISE, IDENTITY, SCHEMA_ATTRIBUTES, TX_INSTANT
from datomstore.value import Keyword as _Keyword
from datomstore.value import Map as _Map

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object value, int* overflow) except? -1
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    PyObject* PyTuple_GET_ITEM(object items, Py_ssize_t place)

cdef type Keyword = _Keyword
cdef object Map = _Map
cdef int64_t TX_BASE = _TX_BASE
cdef int64_t ENTITIES = <int64_t> _TX_BASE << 12  # no entity is above
cdef int64_t INLINE = _INLINE_BOUND
cdef int64_t RECORD_VERSION = _RECORD_VERSION
cdef uint8_t KEYWORD_CODE = codec.KEYWORD
cdef uint8_t INSTANT_CODE = codec.INSTANT
cdef Py_ssize_t SCRATCH_MAX = 1 << 20  # bytes kept for the next transaction
cdef int64_t TX_INSTANT_ID = intern_id(TX_INSTANT)
cdef object EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
cdef object ID = _Keyword("db/id")
cdef object ADD = _Keyword("db/add")

cdef enum:
    ROOT_SIZE = 32

include "_bytes.pxi"
include "_transact_map.pxi"
include "_transact_held.pxi"
include "_transact_rows.pxi"
include "_transact_times.pxi"
include "_transact_writer.pxi"
include "_transact_record.pxi"
include "_transact_items.pxi"
include "_transact_report.pxi"

# Images: a stopped machine as bytes, and back.
#
# Is:     the form of the bytes, and what Machine does with them.
# Is not: transport (`protocol.continuation` seals images) or the choice of code (`code_of`).
# Fits:   `_image_write.pxi` walks a state; `_image_read.pxi`, `_image_records.pxi` and `_image_state.pxi` build one.
# Source: msgpack; object graphs numbered in the order of a depth-first walk, children first.
#
# An image is one canonical msgpack value, the same bytes for the same state. Code is not in it, but named by hash:
#
#     [version, ISA version, [program hash+, core hash?], status, fuel spent, count, objects, roots, globals, hash key]
#     roots   = [frame|nil, mark|nil, effect|nil, [argument*], error|nil, result|nil]
#     globals = [number value ...] of those that are bound
#
# `objects` is flat: records one after another, each a kind (see Tag and Record) and its fields. Objects are numbered
# from zero as they appear. A text, byte string or big integer appears in the field where it is met first and takes its
# number there; any other object takes its number at the end of its record. So fields refer backwards only: what a
# record needs is there before it. Atoms and lazy seqs, through which alone a graph can be cyclic, come empty; one FILL
# for each of them follows, in their order. What no root reaches is not written. What the code holds as a
# constant is named by its number, so that it is the same object before and after.
#
#     DECIMAL integer scale
#     RATIO numerator denominator           VECTOR count root|nil tail|nil
#     LIST|CONS first rest                  VECTOR_NODE n child*
#     LIST_NEXT|CONS_NEXT first             VECTOR_LEAF n item*
#     LAZY|LAZY_REALIZED|ATOM               MAP|SET root|nil index|nil
#     FILL value                            MAP_ARRAY n (key value)*
#     RANGE first end step                  MAP_NODE n child*
#     SEQ flags source index                MAP_INDEX level (child|nil)*16
#     SORTED_MAP|SORTED_SET root|nil order  MAP_PAGE level n positions
#     SORTED_LEAF n (key value)*            SORTED_NODE n child*
#     CLOSURE function captures|nil         FRAME arity pc slot parent closure|nil slot*
#     CAPTURES n value*                     HALT slot value
#     CONTINUATION frame mark|nil           ERROR message data cause
#     CONTINUATION_PART frame mark|nil      MARK tag frame mark|nil
#     SUSPENDED frame mark|nil value         DESCRIBED value metadata
#
# A session has several programs, the oldest first; functions, arities and constants are counted through all of them.
# LIST_NEXT: the rest is the object before. A function or arity is 2 * index, plus one in the core library; pc counts in
# its own program's code. A frame without closure runs a function without captured values. HALT is the frame below all.
# Positions are a bin of 1, 2 or 4 bytes each, as few as do for all of a page; hashes are not there, because the keys are.
# A field that is a value: nil, false, true, integer, double, str (STRING), bin (BYTES), [] (EMPTY), or ext, see Ext.

from yind.cesk.errors import ImageInvalid as _ImageInvalid
from yind.cesk.errors import StateInvalid as _StateInvalid
from yind.cesk.limits import IMAGE_BYTES_MAX as _IMAGE_BYTES_MAX
from yind.cesk.limits import UNITS_MAX as _UNITS_MAX
from yang.isa import ISA_VERSION as _ISA_VERSION

cdef enum:
    IMAGE_VERSION = 5
    IMAGE_PARTS = 10
    IMAGE_ROOTS = 6
    HASH_BYTES = 32
    HALT_CHECKED = 1  # in place of the slot of a HALT: it waits for slot 0, at its second instruction
    FRAME_FIELDS = 2  # parent and closure, before the slots

# ORDER: records. Kinds are those of Tag and these; append only.
cdef enum Record:
    RECORD_LIST_NEXT = 64
    RECORD_CONS_NEXT = 65
    RECORD_LAZY_REALIZED = 66
    RECORD_FILL = 67
    RECORD_HALT = 68
    RECORD_CONTINUATION_PART = 69  # COMPOSABLE
    RECORD_SUSPENDED = 70  # COMPOSABLE, of suspend*

# ORDER: ext. Types of msgpack's ext; numbers are 1, 2 or 4 bytes, big endian, as few as do.
cdef enum Ext:
    EXT_REFERENCE = 0  # number of an object
    EXT_KEYWORD = 1  # utf-8
    EXT_SYMBOL = 2  # utf-8
    EXT_UUID = 3  # 16 bytes
    EXT_BIG = 4  # 0 or 1 for a negative one, then the magnitude, little endian
    EXT_CHAR = 5  # code point
    EXT_INSTANT = 6  # microseconds since 1970, 8 bytes, big endian
    EXT_PRIMITIVE = 7  # number
    EXT_FUNCTION = 8  # a function without captured values: 2 * index, plus one in the core library
    EXT_CONSTANT = 9  # an object of a constant: 2 * number, plus one in the core library
    EXT_VACANT = 10  # 0: a slot of a frame that shows nothing

cdef uint64_t CANONICAL_NAN = 0x7FF8000000000000

include "_image_write.pxi"
include "_image_read.pxi"
include "_image_records.pxi"
include "_image_state.pxi"


cdef bytes image_of(State *state, list program_hashes, int64_t fuel_spent):
    """Return the image of a stopped state.

    Raises:
        StateInvalid: it is too large.
    """
    cdef Writer writer
    cdef bint written
    cdef bytes program_hash
    memset(&writer, 0, sizeof(Writer))
    writer.state = state
    try:
        with nogil:
            written = write_state(&writer)
        if not written and writer.problem == NULL:
            raise MemoryError
        if not written:
            raise _StateInvalid(writer.problem.decode())
        out_array(&writer.head, IMAGE_PARTS)
        out_integer(&writer.head, IMAGE_VERSION)
        out_integer(&writer.head, _ISA_VERSION)
        out_array(&writer.head, len(program_hashes))
        for program_hash in program_hashes:
            out_bytes(&writer.head, 0xC4, <const uint8_t *> <const char *> program_hash, len(program_hash))
        out_integer(&writer.head, state.status)
        out_integer(&writer.head, fuel_spent)
        out_integer(&writer.head, writer.count)
        out_array(&writer.head, writer.items)
        if writer.head.failed:
            raise MemoryError
        if writer.objects.length + writer.roots.length + writer.head.length > _IMAGE_BYTES_MAX:
            raise _StateInvalid(f"the image is larger than {_IMAGE_BYTES_MAX} bytes")
        return (
            (<char *> writer.head.bytes)[: writer.head.length]
            + (<char *> writer.objects.bytes)[: writer.objects.length]
            + (<char *> writer.roots.bytes)[: writer.roots.length]
        )
    finally:
        writer_free(&writer)


cdef tuple read_header(Reader *reader):
    """Return program hashes, status and fuel spent; the reader then stands at the number of objects.

    Raises:
        ImageInvalid: this is no image, or one of another version.
    """
    cdef uint32_t n = 0
    cdef int64_t number = 0
    cdef int64_t status = 0
    cdef Token token
    if not (read_array(reader, IMAGE_PARTS, IMAGE_PARTS, &n) and read_number(reader, 0, GREATEST_INTEGER, &number)):
        raise _ImageInvalid("not an image")
    if number != IMAGE_VERSION:
        raise _ImageInvalid(f"version {number} of images is not known here")
    if not read_number(reader, 0, GREATEST_INTEGER, &number):
        raise _ImageInvalid("not an image")
    if number != _ISA_VERSION:
        raise _ImageInvalid(f"made for version {number} of the instructions, not {_ISA_VERSION}")
    if not read_array(reader, 1, _UNITS_MAX + 1, &n):
        raise _ImageInvalid(f"an image names its programs, at most {_UNITS_MAX}, and the core library")
    program_hashes = []
    for _ in range(n):
        if not read_token(reader, &token) or token.kind != TOKEN_BIN or token.length != HASH_BYTES:
            raise _ImageInvalid(f"a program's hash is {HASH_BYTES} bytes")
        program_hashes.append((<char *> token.bytes)[:HASH_BYTES])
    valid = read_number(reader, 0, STATUS_OUT_OF_MEMORY, &status) and read_number(reader, 0, GREATEST_INTEGER, &number)
    if not valid:
        raise _ImageInvalid("status or fuel is missing")
    return program_hashes, status, number


cdef list image_programs(bytes image):
    """Return the hashes of the programs an image needs: its own, the oldest first, then the core library's."""
    cdef Reader reader
    memset(&reader, 0, sizeof(Reader))
    reader.at = <const uint8_t *> <const char *> image
    reader.end = reader.at + len(image)
    return read_header(&reader)[0]


cdef int64_t restore_state(State *state, bytes image) except -1:
    """Fill a fresh state, whose code is set, from an image; return the fuel spent.

    Raises:
        ImageInvalid: anything in it could not be the state of an agent of this code, or its memory does not suffice.
    """
    cdef Reader reader
    cdef bint valid
    memset(&reader, 0, sizeof(Reader))
    reader.at = <const uint8_t *> <const char *> image
    reader.end = reader.at + len(image)
    reader.state = state
    try:
        _, status, fuel_spent = read_header(&reader)
        state.status = <RunStatus> <int> status
        with nogil:
            valid = read_state(&reader)
        if not valid:
            raise _ImageInvalid(f"{reader.problem.decode()} (at byte {len(image) - (reader.end - reader.at)})")
        return fuel_spent
    finally:
        c_free(reader.entries)


cdef bytes checked_image(object image):
    """Return the bytes of an image that is not too large to look at."""
    if len(image) > _IMAGE_BYTES_MAX:
        raise _ImageInvalid(f"larger than {_IMAGE_BYTES_MAX} bytes")
    return bytes(image)


cdef Code restored_code(list program_hashes, object code_of):
    """Return the code that the hashes name; its core library must be the same as well."""
    cdef Code code = named_code(program_hashes[0], code_of)
    for program_hash in program_hashes[1:-1]:
        code = Code(named_code(program_hash, code_of).segment, code.core, code)
    cores = [] if code.core is None else [code.core.program_hash]
    if cores != program_hashes[1:][-1:]:
        raise _ImageInvalid("made with another core library")
    return code


cdef Code named_code(bytes program_hash, object code_of):
    found = code_of(program_hash)
    if not isinstance(found, Code):
        raise TypeError("code_of gives Code")
    if (<Code> found).program_hash != program_hash:
        raise _ImageInvalid("the code is of another program")
    return found

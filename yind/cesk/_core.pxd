# The machine's data layout: values, heap objects, heap, frames, loaded code.
#
# Is:     every struct and enum of the machine, with who owns what.
# Is not: code; that is in the .pxi pieces that _core.pyx includes into one compilation unit.
# Fits:   primitives (`_primitives_*.pxi`) are written against this file and `_heap.pxi` alone.
#
# VALUES are 16 bytes: a tag and 64 bits. Tags below HEAP are whole in themselves, the others hold a pointer to a counted
# object of this agent's heap, or to an immortal one of a loaded segment (shared between agents, its count never touched).
#
# OBJECTS start with a 16 byte header. Most kinds hold either bytes or values, never both:
#     kind          between header and values              values
#     TEXT kinds    char_count, then the bytes             -        (STRING KEYWORD SYMBOL; utf-8, not zero-ended)
#     BYTES UUID    char_count (0), then the bytes         -
#     BIG           char_count = 1 if negative, magnitude  -        little endian, no leading zero, never fits int64
#     RATIO         -                                      numerator, denominator (INT or BIG, denominator > 1)
#     DECIMAL       -                                      an INT or BIG, and the INT that is its scale
#     LIST          -                                      first, rest (LIST or EMPTY); `extra` is the length
#     CONS          -                                      first, rest (any seq, EMPTY or NIL; may be LAZY)
#     LAZY          -                                      function, or when `flags` = REALIZED what it gave
#     RANGE         -                                      first, end (exclusive), step: all INT or all DOUBLE; never empty
#     SEQ           index, flags = SEQ_*                   VECTOR, MAP or SET (index), STRING (byte), SORTED_* (rank);
#                                                          never empty
#     VECTOR_LEAF   -                                      items, see `_vector.pxi`
#     MAP SET       count, shift                           root (MAP_NODE, MAP_ARRAY or NIL), unless small the index
#     MAP_ARRAY     -                                      1 to 16 pairs: key, value, key, value ...
#     MAP_NODE      -                                      1 to 32 children
#     MAP_INDEX     flags is the level                     16 children (MAP_INDEX, MAP_PAGE or NIL)
#     MAP_PAGE      flags is the level, then the entries   -        (`length` is the number of entries)
#     SORTED_MAP    count                                  root: SORTED_LEAF or SORTED_NODE, NIL when empty; comparator, NIL
#     SORTED_SET                                           for `compare`
#     SORTED_NODE   -                                      child, its first key, how many entries are below it; child ...
#     SORTED_LEAF   -                                      key, value, key, value ... in order
#     CLOSURE       the function                           CAPTURES or NIL
#     CAPTURES      -                                      captured values; shared by the closures of one letrec
#     CONTINUATION  -                                      the waiting FRAME, MARK or NIL, of suspend* also a value; flags =
#                                                          COMPOSABLE: of control* and suspend*
#     MARK          -                                      tag, the FRAME that waits below, MARK or NIL; `extra` is the depth
#     ATOM          -                                      the value; the only thing a program can change
#     ERROR         -                                      message, data, cause; text, kind (a KEYWORD) and content of an
#                                                          opaque value, such as a pattern
#     FRAME         parent, arity, closure, resume         slots; `slot` is where a callee's value goes
#     DESCRIBED     -                                      a value, and its metadata: MAP or SORTED_MAP; see `_described.pxi`
#
# Of vectors some kinds hold plain pointers, and some leaves hold items without pointers:
#     VECTOR          count, shift, then root (VECTOR_NODE or NULL) and tail (a leaf, NULL when empty)
#     VECTOR_NODE     1 to 32 children
#     VECTOR_OBJECTS  the items of a leaf, all of them pointers
#     VECTOR_WORDS    the items of a leaf whose tag is in `flags`
#     VECTOR_TAGS     the tags of the items of a leaf
#
# OWNERSHIP. Functions borrow their arguments and give an owned result. Two exceptions: `new_*` take over the references
# they store, and what has a `Value *` handle (`vector_append(heap, &v, item)`) owns the handle and changes it in place when
# nobody else holds it. After NO_MEMORY nothing is given back: the heap ends as a whole.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "_hostile.h":
    ctypedef struct Hostile:
        pass
    const bint HOSTILE
    void hostile_expect(bint condition, const char *what) noexcept nogil
    void hostile_fresh(void *memory, size_t size) noexcept nogil
    void hostile_exhume(Hostile *hostile, size_t bytes_max) noexcept nogil
    void hostile_bury(Hostile *hostile, void *memory, size_t size) noexcept nogil
    void hostile_steps(Hostile *hostile, uint64_t steps) noexcept nogil
    bint hostile_stops(Hostile *hostile, uint16_t opcode) noexcept nogil
    void hostile_primitive(uint32_t number) noexcept nogil
    const uint64_t PORTION_STEPS
    const int64_t SPREAD_MAX
    uint64_t hostile_opcode_count(uint32_t number) noexcept nogil
    uint64_t hostile_primitive_count(uint32_t number) noexcept nogil

cdef extern from *:
    """
    typedef struct YinObject {
        union {
            struct { uint32_t count; union { uint32_t extra; int32_t slot; }; };
            struct YinObject *next;
        };
        uint8_t kind; uint8_t flags; uint16_t units; uint32_t length;
    } Object;
    typedef struct { uint32_t tag; uint32_t spare; union { int64_t integer; double real; Object *object; }; } Value;
    #define IMMORTAL 0x80000000u
    """
    ctypedef struct Object:
        uint32_t count   # references; IMMORTAL: never counted, never freed
        uint32_t extra   # TEXT kinds, collections: cached hash, 0 = none; LIST: length
        int32_t slot     # the same place, of a FRAME: where the callee's value goes; -1: it is discarded; JUDGED: it decides
        Object *next     # overlays count and extra in a dead or free block
        uint8_t kind     # a Tag; 0: the block is free
        uint8_t flags    # see Flag; 0x80 only during a mark pass
        uint16_t units   # block size in 16 bytes; LARGE_UNITS: see struct Large
        uint32_t length  # number of values, or of bytes in kinds of bytes
    ctypedef struct Value:
        uint32_t tag      # a Tag
        uint32_t spare    # zero; VACANT in a slot that shows nothing; of a MAP_PAGE: its length
        int64_t integer   # INT; CHAR: code point; INSTANT: microseconds since 1970; PRIMITIVE: number
        double real       # DOUBLE
        Object *object    # tag >= HEAP; equals object.kind
    const uint32_t IMMORTAL  # the bits below it are the object's number in CodeInfo.statics

# ORDER: tags. Images name them: append only. NIL and FALSE come first: `tag <= FALSE` is false in a test.
cdef enum Tag:
    NIL = 0
    FALSE = 1
    TRUE = 2
    INT = 3
    DOUBLE = 4
    CHAR = 5
    INSTANT = 6
    PRIMITIVE = 7
    EMPTY = 8  # ()
    UNBOUND = 9  # a global before its def; never in a slot
    HEAP = 16  # the first tag with a pointer
    STRING = 16
    KEYWORD = 17  # text without the colon
    SYMBOL = 18
    BYTES = 19
    UUID = 20
    BIG = 21
    RATIO = 22
    LIST = 23
    CONS = 24
    LAZY = 25
    RANGE = 26
    SEQ = 27
    VECTOR = 28
    MAP = 29
    SET = 30
    SORTED_MAP = 31
    SORTED_SET = 32
    CLOSURE = 33
    CONTINUATION = 34
    ATOM = 35
    ERROR = 36
    VECTOR_NODE = 37  # from here on: inner objects, never in a slot
    VECTOR_LEAF = 38
    MAP_ARRAY = 39
    MAP_NODE = 40
    MAP_INDEX = 41
    SORTED_NODE = 42
    SORTED_LEAF = 43
    CAPTURES = 44
    FRAME = 45
    MARK = 46
    VECTOR_TAGS = 47
    VECTOR_WORDS = 48
    VECTOR_OBJECTS = 49
    MAP_PAGE = 50
    DESCRIBED = 51  # no inner object
    DECIMAL = 52  # no inner object
    TAG_COUNT = 53

cdef enum Spare:
    VACANT = 1  # of a NIL in a slot: not bound yet, or taken; no program sees it

cdef enum Flag:
    REALIZED = 1  # of a LAZY
    COMPOSABLE = 1  # of a CONTINUATION
    SEQ_ITEMS = 0  # of a SEQ: items of a vector, characters, items of a set, entries [key value] of a map
    SEQ_KEYS = 1  # keys of a map
    SEQ_VALUES = 2  # values of a map
    SEQ_PARTS = 3  # mask of these
    SEQ_DESCENDING = 4  # added to these for a SORTED_MAP or SORTED_SET: from the index down to the first

# What a primitive, and every function that may fail, tells.
cdef enum Outcome:
    OK = 0
    FAILED = 1  # `fault(...)` was called: an error the program can catch
    FORCE = 2  # `force(...)` was called: realise one cell or `forced_count` of that lazy seq, then do the instruction again
    FORCE_ALL = 3  # `force_all(...)`: realise the whole seq
    NO_MEMORY = 4  # over memory_max, or malloc failed: ends the agent
    ASKED = 5  # internal to the loop: an effect waits for its answer
    FINISHED = 6  # internal to the loop
    DEFER = 7  # more work than one instruction may do, see spend(); nothing has changed: its long form does it

cdef struct Text:  # STRING KEYWORD SYMBOL BYTES UUID BIG
    Object head  # length = bytes
    uint32_t char_count  # characters; = length when all are ASCII; of a BIG: 1 if negative
    uint32_t spare
    uint8_t bytes[8]  # in fact head.length

cdef struct Values:  # kinds without a raw part
    Object head
    Value at[1]  # in fact head.length

cdef struct Vector:
    Object head
    int64_t count
    uint32_t shift  # 5 times the levels above the leaves
    uint32_t spare
    Object *root  # owned; NULL up to 32 items
    Object *tail  # owned; NULL when empty

cdef enum:
    VECTOR_PARTS = 2  # root and tail: the length of a VECTOR

cdef struct Pointers:  # VECTOR_NODE, VECTOR_OBJECTS
    Object head
    Object *at[1]  # in fact head.length; owned

cdef struct Words:  # VECTOR_WORDS
    Object head
    int64_t at[1]  # in fact head.length; as in a value with the tag head.flags

cdef struct Tags:  # VECTOR_TAGS
    Object head
    uint8_t at[8]  # in fact head.length

cdef struct Map:  # MAP and SET; the values of a SET are NIL
    Object head
    int64_t count
    int32_t shift  # 4 plus 5 times the levels of MAP_NODE above the lowest; -1 without any
    uint32_t spare
    Value root
    Value index  # there only when head.length = 2

cdef struct Sorted:  # SORTED_MAP and SORTED_SET; begins as Map. The values of a SORTED_SET are NIL
    Object head
    int64_t count
    int64_t spare
    Value root
    Value order  # the comparator; NIL: compare

cdef struct MapEntry:
    uint32_t hash
    uint32_t position  # of the pair

cdef struct MapPage:
    Object head
    MapEntry at[1]

cdef struct Seq:
    Object head
    int64_t index  # VECTOR: item; STRING: byte offset; MAP, SET: pair; SORTED_*: rank
    uint64_t spare
    Value source

cdef struct Closure:
    Object head
    FunctionInfo *function  # of a loaded segment
    uint64_t spare
    Value captures  # CAPTURES or NIL

cdef struct Frame:
    Object head
    Frame *parent  # owned
    ArityInfo *arity  # of a loaded segment
    Closure *closure  # owned: what runs
    Step *resume  # where it goes on when it waits; with slot -1 what is to be done again, with JUDGED a test
    Value at[1]  # arity.slot_count slots

# One instruction, see yang.isa. When code is loaded its operands become distances in bytes, so that nothing is computed
# when it runs: R from the frame to the slot, K from the instruction to the constant, L from the instruction to the one
# before the target. Calls keep the numbers of their slots; of `call` and `tail-call` n is operand b, b and c an ArityInfo *.
cdef struct Step:
    uint16_t opcode
    uint16_t n
    int32_t a
    int32_t b
    int32_t c

cdef struct HandlerInfo:
    uint32_t start
    uint32_t end
    uint32_t target

cdef struct ArityInfo:
    uint32_t parameter_count
    uint32_t variadic
    uint32_t entry
    uint32_t end
    uint32_t slot_count
    uint32_t index  # in CodeInfo.arities
    Step *steps  # of the code
    FunctionInfo *function
    Closure *closure  # the immortal closure of the function when it has no captured values
    Step *start  # steps + entry
    uint64_t head  # second half of the header of a frame
    size_t size  # bytes of a frame's block
    uint32_t units  # of it; 0: not known, or a large block

cdef struct FunctionInfo:
    CodeInfo *code
    ArityInfo *arities  # in CodeInfo.arities
    uint32_t arity_count
    uint32_t capture_count
    uint32_t index
    uint32_t fixed_count  # parameters if there is one arity that is not variadic, else 0xFFFFFFFF
    Closure *closure  # the immortal closure when capture_count = 0
    Text *name  # immortal, or NULL

cdef struct CodeInfo:
    Value *constants  # immortal; owned, with the steps in the same block
    uint32_t step_count
    uint32_t constant_count
    Step *steps
    FunctionInfo *functions
    ArityInfo *arities
    uint32_t function_count
    uint32_t arity_count
    HandlerInfo *handlers
    uint32_t handler_count
    uint32_t global_count  # of the core library, the units before and this segment together
    uint32_t *globals  # G operand -> index in State.globals
    uint32_t own_global_count
    Object **statics  # owned; the objects of constants that a value can be, by the low bits of their counts
    uint32_t static_count
    CodeInfo *before  # the unit before this one in a session, or NULL
    uint32_t function_base  # functions, bodies and statics of all units before: an image counts them through
    uint32_t arity_base
    uint32_t static_base
    Text **global_names  # immortal, by G operand
    FunctionInfo **long_forms  # by primitive: of the core library, or NULL; in the core library's own code only
    FunctionInfo *long_finish  # of the core library, or NULL
    FunctionInfo *long_effect
    FunctionInfo *realize
    FunctionInfo *realize_some
    FunctionInfo *realize_all
    FunctionInfo *leave

cdef struct Chunk:  # memory of small blocks
    Chunk *next
    size_t size

cdef struct Large:  # header of a block over SMALL_SIZE_MAX, before its object
    Large *next
    Large *previous
    size_t size
    size_t spare  # of an audit: references found

cdef struct Heap:
    size_t used  # bytes in live blocks
    size_t max
    size_t collect_at  # bytes in use at which the slice is cut for a mark pass
    int64_t fuel  # left in this slice; a primitive may take it below zero
    int64_t fuel_kept  # taken from `fuel` so that the slice is cut
    Object *dead  # objects without references whose children are still counted
    Object *free[65]  # by units
    char *bump
    char *bump_end
    Chunk *chunks  # owned
    Large *large  # owned
    Value *work  # owned; stack of the work lists of equality, printing and so on
    size_t work_count
    size_t work_capacity
    uint64_t steps  # of work in the running instruction, see spend()
    uint64_t steps_max
    uint32_t key_depth  # nesting of key comparisons
    bint described  # a value with metadata has been made, or read
    bint fixed_layout  # of constants, which agents with different keys share: their maps have no keyed nodes
    uint64_t hash_key[2]  # of this agent, see keyed_hash
    const char *fault_kind  # set by fault()
    char fault_message[240]
    Value forced  # owned; set by force() and force_all()
    int64_t forced_count  # cells of it to realise with FORCE
    Hostile hostile  # nothing in a normal build

ctypedef Outcome (*PrimitiveFunction)(Heap *, const Value *, uint32_t, Value *) noexcept nogil

cdef struct PrimitiveInfo:
    PrimitiveFunction function
    uint32_t least
    uint32_t most  # 0xFFFFFFFF: any number
    uint32_t kind  # 0 pure, 1 control, 2 effect
    uint32_t bare  # a bit for each argument of which it takes the bare value
    uint32_t keeps  # the argument whose metadata its value has, too; BARE_MAX: none
    const char *name

# A walk over any collection, string, seq or nil. Everything in it is borrowed.
cdef struct Cursor:
    Value item  # of a map: the key
    Value value  # of a map: the value
    bint pairs  # items are entries of a map
    uint32_t kind  # 0: at the end; else the tag of what is walked now
    uint32_t flags  # SEQ_*
    uint32_t depth  # SORTED_*: entries left in the leaf, in the direction of the walk
    int64_t steps  # items given so far
    int64_t index  # VECTOR: next item; STRING: next byte; MAP, SET: next pair; SORTED_*: rank of the next entry
    int64_t end
    Value at  # VECTOR, STRING, MAP, SET, LIST, CONS, RANGE: where it is
    Object *leaf  # VECTOR
    Value *entry  # SORTED_*: the next one, or NULL; MAP, SET: the first pair of the leaf, or NULL

# ORDER: status. As yind.cesk.Status.
cdef enum RunStatus:
    STATUS_OUT_OF_FUEL = 0  # whole, may run on
    STATUS_EFFECT = 1  # an effect waits for its answer
    STATUS_DONE = 2
    STATUS_FAULT = 3  # an error nobody caught; the frames are those of the throw
    STATUS_OUT_OF_MEMORY = 4

cdef struct State:
    Heap heap
    Frame *frame  # owned: runs, waits for an effect's answer, or faulted. NULL once DONE
    Value marks  # owned: MARK, the innermost prompt, or NIL; see _control.pxi
    CodeInfo *code  # of a session: the last unit
    CodeInfo *core  # NULL without a core library
    RunStatus status
    uint32_t effect  # number of the primitive
    Value effect_arguments  # CAPTURES while status is EFFECT
    Value error  # in flight between throw and catch; the uncaught one
    Value result
    Value *globals  # owned
    uint32_t global_count

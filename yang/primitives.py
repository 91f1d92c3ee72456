"""The one table of host functions.

Is:     number, name, accepted argument counts and kind of every function the machine itself provides.
Is not: their code (`yind.cesk` has it in C, `yind.cesk.reference` in Python), nor the core library written
        in Clojure (`yang/lib`), which holds everything that calls back into the program.
Fits:   the compiler resolves names to numbers here; both machines implement every row, a test says so.

Kinds. PURE: a value from values; runs inside the instruction and never calls back. CONTROL: changes the
continuation; done by the machine's call sequence. EFFECT: reaches outside the agent; the slice ends and the
node answers. PORTION: as PURE, a bounded part of the work of a long form; only the core library calls it, and only
where an instruction has a bound. A PURE function that meets an unrealised lazy seq stops without a trace; the machine realises the
seq by the core library's `realize` (one cell) or `realize-all` (whole seq) and runs the instruction again. One that
finds that it would take long stops without a trace, too; the machine calls its LONG_FORMS instead.
"""

# ORDER: primitives. Numbers are positions; code segments and images name them, so append only.

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Kind(IntEnum):
    """How the machine treats a call."""

    PURE = 0
    CONTROL = 1
    EFFECT = 2
    PORTION = 3


PURE, CONTROL, EFFECT, PORTION = Kind.PURE, Kind.CONTROL, Kind.EFFECT, Kind.PORTION


class Primitive(NamedTuple):
    """One host function; `most` is None when any number of arguments is accepted."""

    name: str
    least: int
    most: int | None
    kind: Kind
    doc: str


PRIMITIVES: tuple[Primitive, ...] = (
    Primitive("+", 0, None, PURE, "sum; integers grow beyond 64 bits, int/int ratios stay exact"),
    Primitive("-", 1, None, PURE, "difference or negation"),
    Primitive("*", 0, None, PURE, "product"),
    Primitive("/", 1, None, PURE, "quotient; integers give ratios; fault on division by zero"),
    Primitive("quot", 2, 2, PURE, "quotient rounded towards zero"),
    Primitive("rem", 2, 2, PURE, "remainder of quot"),
    Primitive("mod", 2, 2, PURE, "modulus, sign of the divisor"),
    Primitive("inc", 1, 1, PURE, "plus one"),
    Primitive("dec", 1, 1, PURE, "minus one"),
    Primitive("max", 1, None, PURE, "greatest number"),
    Primitive("min", 1, None, PURE, "least number"),
    Primitive("abs", 1, 1, PURE, "magnitude"),
    Primitive("=", 1, None, PURE, "Clojure's equality"),
    Primitive("==", 1, None, PURE, "numeric equality across kinds"),
    Primitive("not=", 1, None, PURE, "negated ="),
    Primitive("<", 1, None, PURE, "strictly ascending"),
    Primitive("<=", 1, None, PURE, "ascending"),
    Primitive(">", 1, None, PURE, "strictly descending"),
    Primitive(">=", 1, None, PURE, "descending"),
    Primitive(
        "compare",
        2,
        2,
        PURE,
        "-1, 0 or 1: nil first, numbers, strings, keywords, symbols, chars, booleans, vectors by length then items",
    ),
    Primitive("zero?", 1, 1, PURE, "is zero"),
    Primitive("pos?", 1, 1, PURE, "above zero"),
    Primitive("neg?", 1, 1, PURE, "below zero"),
    Primitive("even?", 1, 1, PURE, "even integer"),
    Primitive("odd?", 1, 1, PURE, "odd integer"),
    Primitive("bit-and", 2, None, PURE, "bitwise and"),
    Primitive("bit-or", 2, None, PURE, "bitwise or"),
    Primitive("bit-xor", 2, None, PURE, "bitwise exclusive or"),
    Primitive("bit-not", 1, 1, PURE, "bitwise complement"),
    Primitive("bit-shift-left", 2, 2, PURE, "shift left"),
    Primitive("bit-shift-right", 2, 2, PURE, "arithmetic shift right"),
    Primitive("int", 1, 1, PURE, "truncate to an integer"),
    Primitive("long", 1, 1, PURE, "truncate to an integer"),
    Primitive("double", 1, 1, PURE, "to a double"),
    Primitive("numerator", 1, 1, PURE, "of a ratio"),
    Primitive("denominator", 1, 1, PURE, "of a ratio"),
    Primitive("parse-long", 1, 1, PURE, "integer of a string, or nil"),
    Primitive("parse-double", 1, 1, PURE, "double of a string, or nil"),
    Primitive("not", 1, 1, PURE, "logical negation"),
    Primitive("boolean", 1, 1, PURE, "false for nil and false, else true"),
    Primitive("nil?", 1, 1, PURE, "is nil"),
    Primitive("some?", 1, 1, PURE, "is not nil"),
    Primitive("true?", 1, 1, PURE, "is true"),
    Primitive("false?", 1, 1, PURE, "is false"),
    Primitive("boolean?", 1, 1, PURE, "is a boolean"),
    Primitive("number?", 1, 1, PURE, "is a number"),
    Primitive("int?", 1, 1, PURE, "is an integer"),
    Primitive("integer?", 1, 1, PURE, "is an integer"),
    Primitive("float?", 1, 1, PURE, "is a double"),
    Primitive("double?", 1, 1, PURE, "is a double"),
    Primitive("ratio?", 1, 1, PURE, "is a ratio"),
    Primitive("rational?", 1, 1, PURE, "is an integer or a ratio"),
    Primitive("string?", 1, 1, PURE, "is a string"),
    Primitive("char?", 1, 1, PURE, "is a character"),
    Primitive("keyword?", 1, 1, PURE, "is a keyword"),
    Primitive("symbol?", 1, 1, PURE, "is a symbol"),
    Primitive("vector?", 1, 1, PURE, "is a vector"),
    Primitive("map?", 1, 1, PURE, "is a map"),
    Primitive("set?", 1, 1, PURE, "is a set"),
    Primitive("list?", 1, 1, PURE, "is a list"),
    Primitive("seq?", 1, 1, PURE, "is a list, lazy seq or other seq"),
    Primitive("coll?", 1, 1, PURE, "is a collection"),
    Primitive("sequential?", 1, 1, PURE, "is a vector or a seq"),
    Primitive("associative?", 1, 1, PURE, "is a vector or a map"),
    Primitive("counted?", 1, 1, PURE, "counts in constant time"),
    Primitive("fn?", 1, 1, PURE, "is a function"),
    Primitive("ifn?", 1, 1, PURE, "can be called"),
    Primitive("identical?", 2, 2, PURE, "same object or same immediate value"),
    Primitive("hash", 1, 1, PURE, "hash of a value, agrees with ="),
    Primitive("str", 0, None, PURE, "texts joined"),
    Primitive("pr-str", 0, None, PURE, "readable text, as EDN, joined by spaces"),
    Primitive("print-str", 0, None, PURE, "text for people, joined by spaces"),
    Primitive("subs", 2, 3, PURE, "part of a string, by characters"),
    Primitive("name", 1, 1, PURE, "name part of a keyword, symbol or string"),
    Primitive("namespace", 1, 1, PURE, "namespace part or nil"),
    Primitive("keyword", 1, 2, PURE, "keyword of a name, or of namespace and name"),
    Primitive("symbol", 1, 2, PURE, "symbol of a name, or of namespace and name"),
    Primitive("char", 1, 1, PURE, "character of a code point"),
    Primitive("upper-case", 1, 1, PURE, "clojure.string"),
    Primitive("lower-case", 1, 1, PURE, "clojure.string"),
    Primitive("trim", 1, 1, PURE, "clojure.string"),
    Primitive("blank?", 1, 1, PURE, "clojure.string"),
    Primitive("starts-with?", 2, 2, PURE, "clojure.string"),
    Primitive("ends-with?", 2, 2, PURE, "clojure.string"),
    Primitive("includes?", 2, 2, PURE, "clojure.string"),
    Primitive("index-of", 2, 3, PURE, "clojure.string; nil when absent"),
    Primitive("replace-text", 3, 3, PURE, "every occurrence of a string by a string"),
    Primitive(
        "split-text",
        2,
        2,
        PURE,
        "vector of the parts between occurrences of a string, trailing empty parts dropped",
    ),
    Primitive("join-text", 2, 2, PURE, "texts of a seq with a separator"),
    Primitive("list", 0, None, PURE, "list of the arguments"),
    Primitive("vector", 0, None, PURE, "vector of the arguments"),
    Primitive("hash-map", 0, None, PURE, "map of alternating keys and values"),
    Primitive("hash-set", 0, None, PURE, "set of the arguments"),
    Primitive("vec*", 1, 1, PURE, "vector of a collection"),
    Primitive("conj", 0, None, PURE, "collection with the items added where it is cheap"),
    Primitive("cons", 2, 2, PURE, "seq with the item in front"),
    Primitive("seq", 1, 1, PURE, "seq of a collection, nil when empty"),
    Primitive("first", 1, 1, PURE, "first item or nil"),
    Primitive("rest", 1, 1, PURE, "items after the first, possibly empty"),
    Primitive("next", 1, 1, PURE, "items after the first, nil when none"),
    Primitive("count", 1, 1, PURE, "number of items"),
    Primitive("empty?", 1, 1, PURE, "has no items"),
    Primitive("empty", 1, 1, PURE, "empty collection of the same kind"),
    Primitive("nth", 2, 3, PURE, "item at an index"),
    Primitive("get", 2, 3, PURE, "value at a key"),
    Primitive("assoc", 3, None, PURE, "map or vector with keys set"),
    Primitive("dissoc", 1, None, PURE, "map without keys"),
    Primitive("disj", 1, None, PURE, "set without items"),
    Primitive("contains?", 2, 2, PURE, "has the key"),
    Primitive("find", 2, 2, PURE, "[key value] or nil"),
    Primitive("keys", 1, 1, PURE, "seq of keys, nil when empty"),
    Primitive("vals", 1, 1, PURE, "seq of values, nil when empty"),
    Primitive("key", 1, 1, PURE, "key of an entry"),
    Primitive("val", 1, 1, PURE, "value of an entry"),
    Primitive("peek", 1, 1, PURE, "end where conj adds"),
    Primitive("pop", 1, 1, PURE, "without what peek gives"),
    Primitive("subvec", 2, 3, PURE, "part of a vector"),
    Primitive("reverse", 1, 1, PURE, "list in reverse order"),
    Primitive("number-range", 3, 3, PURE, "seq from start to end by step, constant space"),
    Primitive("atom", 1, 1, PURE, "new mutable cell"),
    Primitive("deref", 1, 1, PURE, "value of a cell"),
    Primitive("reset!", 2, 2, PURE, "set a cell, return the value"),
    Primitive("compare-and-set!", 3, 3, PURE, "set a cell if it holds the expected value"),
    Primitive("atom?", 1, 1, PURE, "is a cell"),
    Primitive("ex-info", 2, 3, PURE, "error of message, data and optional cause"),
    Primitive("ex-message", 1, 1, PURE, "message of an error or nil"),
    Primitive("ex-data", 1, 1, PURE, "data of an error or nil"),
    Primitive("ex-cause", 1, 1, PURE, "cause of an error or nil"),
    Primitive("error?", 1, 1, PURE, "is an error"),
    Primitive("lazy-seq*", 1, 1, PURE, "lazy seq of a function without parameters"),
    Primitive(
        "lazy-thunk",
        1,
        1,
        PURE,
        "the function of an unrealised lazy seq, nil when realised (core library only)",
    ),
    Primitive(
        "lazy-set!",
        2,
        2,
        PURE,
        "realise a lazy seq with the value of its function (core library only)",
    ),
    Primitive("lazy-value", 1, 1, PURE, "what a realised lazy seq holds (core library only)"),
    Primitive("lazy-seq?", 1, 1, PURE, "is a lazy seq"),
    Primitive("apply", 2, None, CONTROL, "call a function with arguments spread from the last one"),
    Primitive("call/cc", 1, 1, CONTROL, "call a function with the current continuation"),
    Primitive(
        "q",
        1,
        None,
        EFFECT,
        "answer of a Datalog query; inputs follow, '$name' or a stream's name for a source",
    ),
    Primitive(
        "transact!",
        2,
        2,
        EFFECT,
        "append transaction data to a stream of this node; the report as a map",
    ),
    Primitive("hop!", 1, 1, EFFECT, "continue on another node; its name"),
    Primitive("here", 0, 0, EFFECT, "name of the node the agent is on"),
    Primitive("nodes", 0, 0, EFFECT, "names of the cluster's nodes, sorted"),
    Primitive("streams", 0, 0, EFFECT, "names of this node's streams that the agent may query"),
    Primitive("now", 0, 0, EFFECT, "instant"),
    Primitive("rand", 0, 0, EFFECT, "double in [0, 1)"),
    Primitive("sleep", 1, 1, EFFECT, "nil after so many milliseconds"),
    Primitive("log!", 1, 1, EFFECT, "a line of text to the agent's log; nil"),
    Primitive(
        "prompt*",
        2,
        None,
        CONTROL,
        "call a function, with the arguments after it, above a prompt with a tag: keyword, symbol or atom",
    ),
    Primitive(
        "control*",
        2,
        2,
        CONTROL,
        "call a function with the continuation up to the innermost prompt with the tag; both are then gone",
    ),
    Primitive(
        "abort*",
        2,
        2,
        CONTROL,
        "leave the innermost prompt with the tag, finalizers first; the value is the prompt's",
    ),
    Primitive(
        "lazy-folder",
        1,
        1,
        PURE,
        "the function of an unrealised lazy seq with one owner, if it can fold it; or nil (core library only)",
    ),
    Primitive("fold-fn?", 1, 1, PURE, "is a host function that fold-items applies"),
    Primitive(
        "fold-items",
        5,
        5,
        PURE,
        "a host function, its result so far, a vector or range of integers, and which items to fold, from and up to",
    ),
    Primitive(
        "range-bounds", 1, 1, PURE, "[start end step] of an ascending range of integers, or nil"
    ),
    Primitive(
        "count-each", 4, 4, PURE, "a map of counts, plus the items of a vector from and up to"
    ),
    Primitive("bytes?", 1, 1, PURE, "is a byte string"),
    Primitive("inst?", 1, 1, PURE, "is an instant"),
    Primitive("uuid?", 1, 1, PURE, "is a uuid"),
    Primitive("inst-ms", 1, 1, PURE, "milliseconds since 1970 of an instant"),
    Primitive("parse-uuid", 1, 1, PURE, "uuid of a string, or nil"),
    Primitive(
        "call-with-list",
        2,
        2,
        CONTROL,
        "call a function with the arguments in a list (core library only)",
    ),
    Primitive(
        "ask-for", 1, None, CONTROL, "the effect of a name, with arguments (core library only)"
    ),
    Primitive(
        "whole", 1, None, PORTION, "call a host function that has no portions for these values"
    ),
    Primitive(
        "check-some", 2, 2, PORTION, "realise what is on a stack, and fault at what is no data"
    ),
    Primitive(
        "add-some", 2, 2, PORTION, "[collection left]: with items of a seq, which is left over"
    ),
    Primitive(
        "equal-some", 1, 1, PORTION, "compare pairs on a stack (kind a b ...); false or the rest"
    ),
    Primitive(
        "suspend*",
        2,
        2,
        CONTROL,
        "leave the innermost prompt with the tag, whose value is the continuation up to it, suspended with a value",
    ),
    Primitive("suspended-with", 1, 1, PURE, "what a continuation of suspend* was suspended with"),
    Primitive(
        "sorted-map", 0, None, PURE, "map in the order of its keys, of alternating keys and values"
    ),
    Primitive("sorted-set", 0, None, PURE, "set in order, of the arguments"),
    Primitive("sorted?", 1, 1, PURE, "is a sorted map or set"),
    Primitive(
        "sorted-empty",
        2,
        2,
        PURE,
        "empty sorted map (true) or set (false) with a comparator (core library only)",
    ),
    Primitive("sorted-order", 1, 1, PURE, "comparator of a sorted collection (core library only)"),
    Primitive(
        "sorted-calls?",
        1,
        1,
        PURE,
        "is a sorted collection whose comparator is to be called (core library only)",
    ),
    Primitive(
        "sorted-rank",
        2,
        2,
        PURE,
        "how many entries are before a key, minus one and negated if it is not there (core library only)",
    ),
    Primitive("sorted-key", 2, 2, PURE, "key of the entry of a rank (core library only)"),
    Primitive("sorted-val", 2, 2, PURE, "value of the entry of a rank (core library only)"),
    Primitive(
        "sorted-insert",
        4,
        4,
        PURE,
        "sorted collection with an entry of a rank, key and value (core library only)",
    ),
    Primitive(
        "sorted-replace",
        3,
        3,
        PURE,
        "sorted map with the value of the entry of a rank set (core library only)",
    ),
    Primitive(
        "sorted-remove",
        2,
        2,
        PURE,
        "sorted collection without the entry of a rank (core library only)",
    ),
    Primitive(
        "sorted-from",
        3,
        3,
        PURE,
        "seq from the entry of a rank up (true) or down (false), nil if there is none (core library only)",
    ),
    Primitive(
        "compare-some",
        1,
        1,
        PORTION,
        "compare pairs on a stack (index a b ...); an order or the rest",
    ),
    Primitive("hash-part", 2, 2, PORTION, "hash of a small value at a depth, nil of another"),
    Primitive("hash-begin", 1, 1, PORTION, "state of the hash of a collection"),
    Primitive("hash-some", 4, 4, PORTION, "[state left]: with items of a seq of a collection"),
    Primitive("hash-mixed", 4, 4, PORTION, "state with one more item of a collection"),
    Primitive("hash-end", 1, 1, PORTION, "hash of a state"),
    Primitive("skip-some", 2, 2, PORTION, "[skipped left]: up to so many items of a seq"),
    Primitive("text-size", 1, 1, PORTION, "bytes of a string"),
    Primitive("text-room", 1, 1, PORTION, "string of so many zero bytes"),
    Primitive("text-fill", 4, 4, PORTION, "[room where from]: a room with more of a string"),
    Primitive("text-part", 3, 3, PORTION, "string of the bytes between two places"),
    Primitive("skip-chars", 3, 3, PORTION, "[place left]: up to so many characters on"),
    Primitive("skip-spaces", 2, 2, PORTION, "[place at-end]: whitespace from a place on"),
    Primitive("skip-spaces-back", 2, 2, PORTION, "[place at-end]: whitespace before a place"),
    Primitive(
        "find-some", 3, 3, PORTION, "[characters place found]: a string in another from a place on"
    ),
    Primitive("replace-some", 4, 4, PORTION, "[piece place]: occurrences from a place on replaced"),
    Primitive("split-some", 5, 5, PORTION, "[parts begin place]: parts between occurrences"),
    Primitive("case-some", 3, 3, PORTION, "[piece place]: a piece in upper case, or else in lower"),
    Primitive("print-some", 3, 3, PORTION, "[piece stack atoms]: text of what is on a stack"),
    Primitive("join-some", 3, 3, PORTION, "[piece left]: texts of items with a separator"),
    Primitive("small", 2, None, PORTION, "call a host function, nil when that is too much"),
    Primitive("number-size", 1, 1, PORTION, "bytes of an integer"),
    Primitive("ratio-of", 2, 2, PORTION, "ratio of two integers without a common divisor"),
    Primitive(
        "opaque*", 3, 3, PURE, "opaque value of a kind, a text and a content (core library only)"
    ),
    Primitive(
        "opaque-kind", 1, 1, PURE, "kind of an opaque value, nil of any other (core library only)"
    ),
    Primitive("opaque-content", 1, 1, PURE, "content of an opaque value (core library only)"),
    Primitive("reduced?", 1, 1, PURE, "is a value that ends a reduction"),
    Primitive("ascii?", 1, 1, PURE, "is a string of characters below 128 (core library only)"),
    Primitive(
        "real-function", 2, 3, PURE, "a numbered function of one or two doubles (core library only)"
    ),
    Primitive("char-kind", 1, 1, PURE, "general category of a character in Unicode, as Lu"),
    Primitive("inst-of-ms", 1, 1, PURE, "instant of milliseconds since 1970"),
    Primitive("meta", 1, 1, PURE, "metadata of a value, or nil"),
    Primitive("with-meta", 2, 2, PURE, "the value with a map as its metadata, or nil for none"),
    Primitive("compile*", 4, 4, EFFECT, "code of a form, as the program so far understands it"),
    Primitive(
        "request-token",
        1,
        1,
        EFFECT,
        "true when what a map asks for was granted; who refuses throws an error that says why",
    ),
    Primitive(
        "fork!", 1, 1, EFFECT, "the id of a new agent that is a copy of this one, and nil in it"
    ),
    Primitive(
        "finish!", 1, 2, EFFECT, "end the agent with a result; or with an error and why, failed"
    ),
    Primitive("decimal?", 1, 1, PURE, "is a decimal"),
    Primitive("bigdec", 1, 1, PURE, "decimal of a number or a string"),
    Primitive("decimal-parts", 1, 1, PURE, "integer and scale of a decimal (core library only)"),
    Primitive("round-decimal", 3, 3, PURE, "decimal of so many digits at most (core library only)"),
    Primitive(
        "divide-decimal", 4, 4, PURE, "quotient of so many digits at most (core library only)"
    ),
)

# What does the work of a host function when it is too much for one instruction: a function of the core library that
# takes the same arguments and comes to the same value or error. A host function without one is quick by its nature.
# The forms of `get`, `assoc` and their like also serve collections whose comparator is a function of the program.
LONG_FORMS: dict[str, str] = {
    "+": "long/add",
    "-": "long/subtract",
    "*": "long/multiply",
    "/": "long/divide",
    "quot": "long/quot",
    "rem": "long/rem",
    "mod": "long/mod",
    "max": "long/max",
    "min": "long/min",
    "=": "long/equal",
    "==": "long/numeric-equal",
    "not=": "long/not-equal",
    "<": "long/less",
    "<=": "long/less-equal",
    ">": "long/greater",
    ">=": "long/greater-equal",
    "bit-and": "long/bit-and",
    "bit-or": "long/bit-or",
    "bit-xor": "long/bit-xor",
    "str": "long/str",
    "pr-str": "long/pr-str",
    "print-str": "long/print-str",
    "join-text": "long/join-text",
    "subs": "long/subs",
    "text-part": "long/text-part",
    "upper-case": "long/upper-case",
    "lower-case": "long/lower-case",
    "trim": "long/trim",
    "blank?": "long/blank?",
    "includes?": "long/includes?",
    "index-of": "long/index-of",
    "replace-text": "long/replace-text",
    "split-text": "long/split-text",
    "hash": "long/hash",
    "compare": "long/compare",
    "count": "long/count",
    "nth": "long/nth",
    "keys": "long/keys",
    "vals": "long/vals",
    "subvec": "long/subvec",
    "list": "long/list",
    "vector": "long/vector",
    "hash-map": "long/hash-map",
    "hash-set": "long/hash-set",
    "vec*": "long/vec",
    "conj": "long/conj",
    "assoc": "long/assoc",
    "dissoc": "long/dissoc",
    "disj": "long/disj",
    "reverse": "long/reverse",
    "apply": "long/apply",
    "fold-items": "long/fold-items",
    "count-each": "long/count-each",
    "get": "long/get",
    "contains?": "long/contains?",
    "find": "long/find",
    "sorted-map": "long/sorted-map",
    "sorted-set": "long/sorted-set",
}

# Metadata. A host function takes a value with metadata as it is where it is an item that it keeps, compares or prints; by
# position, None: any. All other arguments it takes bare.
TAKES_WHOLE: dict[str, frozenset[int] | None] = {
    **dict.fromkeys(
        [
            *("=", "not=", "identical?", "hash", "compare", "str", "pr-str", "print-str"),
            *("list", "vector", "hash-map", "hash-set", "sorted-map", "sorted-set"),
            *("atom", "reset!", "compare-and-set!", "opaque*", "whole", "small", "meta"),
        ]
    ),
    **dict.fromkeys(["conj", "assoc", "dissoc", "disj"], frozenset(range(1, 5))),
    **dict.fromkeys(["get", "nth", "find", "contains?"], frozenset((1, 2))),
    "cons": frozenset((0,)),
    "with-meta": frozenset((0,)),
    "sorted-insert": frozenset((2, 3)),
    "sorted-replace": frozenset((2,)),
}
# What these give has the metadata of the argument at a place.
KEEPS_METADATA: dict[str, int] = {
    **dict.fromkeys(("conj", "assoc", "dissoc", "disj", "empty"), 0),
    **dict.fromkeys(("pop", "seq"), 0),  # not what was popped off a list; of what is a seq already
    "fold-items": 1,
}


def takes_bare(name: str, place: int) -> bool:
    """Return whether a host function takes the argument at a place without its metadata."""
    whole = TAKES_WHOLE.get(name, frozenset())
    return whole is not None and place not in whole


PRIMITIVE_NUMBERS: dict[str, int] = {row.name: number for number, row in enumerate(PRIMITIVES)}

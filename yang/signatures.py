"""What the analyses know of the host functions: kinds of results, effects, and which arguments are called.

Is:     one row for every row of `yang.primitives`; a test says so, and that no observed value contradicts one.
Is not: how a call is compiled (`yang.resolve`), nor the functions of the core library: what is known of those is derived
        from their source by the same rules (`yang.summaries`).
Fits:   `yang.passes` states a row as facts for the names a program mentions; `rules/types.dl` and `rules/effects.dl` read them.

Kinds of values, each told by a predicate of the language: KINDS below. A list, a lazy seq and every other seq are one kind.
A row says too much rather than too little: `:any` may be everything. A call that fails has no value, and so no kind.

Effects. A host function of kind EFFECT has one, named for what it reaches; cells and continuations are effects on the agent
itself. What is called by a function that is handed out (an unrealised lazy seq, the comparator of a sorted collection) is
counted where it is made: the function behind it is a called argument of `lazy-seq*`.
"""

from __future__ import annotations

from typing import NamedTuple

# Kind -> the predicate of the language that tells it; the first that holds counts, :other is the rest.
KINDS: dict[str, str] = {
    "nil": "nil?",
    "boolean": "boolean?",
    "integer": "integer?",
    "ratio": "ratio?",
    "double": "double?",
    "decimal": "decimal?",
    "string": "string?",
    "character": "char?",
    "keyword": "keyword?",
    "symbol": "symbol?",
    "vector": "vector?",
    "seq": "seq?",
    "map": "map?",
    "set": "set?",
    "function": "fn?",
    "cell": "atom?",
    "error": "yin.core/error?",
    "bytes": "bytes?",
    "instant": "inst?",
    "uuid": "uuid?",
}

EFFECTS: dict[str, str] = {  # what a function may reach -> in words
    "stream/read": "reads a stream",
    "stream/write": "appends to a stream",
    "node/hop": "moves to another node",
    "node/look": "looks at the cluster",
    "clock": "reads the clock",
    "random": "draws a random number",
    "sleep": "waits",
    "log": "writes to the log",
    "code": "compiles code while it runs",
    "token/ask": "asks a person for a right",
    "agent/spawn": "starts an agent",
    "agent/end": "ends the agent",
    "cell/new": "makes a cell",
    "cell/read": "reads a cell",
    "cell/write": "changes a cell",
    "continuation": "captures or leaves a continuation",
    "unknown": "calls a function that is not known before it runs",
}

EVERY = 1 << 30  # as the last position of a range: however many arguments there are


class Signature(NamedTuple):
    """What is known of a call with a number of arguments from `least` to `most`."""

    results: tuple[str, ...]  # kinds, or "any"
    rule: str | None = (
        None  # how the kinds of arguments make that of the result; then `results` is empty
    )
    effects: tuple[str, ...] = ()
    calls: tuple[
        tuple[int, int], ...
    ] = ()  # positions of arguments, from and to, that may be called
    streams: tuple[tuple[int, str], ...] = ()  # position of a stream's name, and the effect on it
    least: int = 0
    most: int = EVERY
    returns: bool = True  # False: it never comes back to its caller
    counted: bool = False  # its result, if a function, is one of `gives`, or only calls what is counted to this call
    gives: tuple[tuple[int, int], ...] = ()  # positions of arguments that it may give back


_RESULTS: dict[str, str] = {
    "boolean": """= == not= < <= > >= zero? pos? neg? even? odd? not boolean nil? some? true? false? boolean? number?
        int? integer? float? double? ratio? rational? string? char? keyword? symbol? vector? map? set? list? seq? coll?
        sequential? associative? counted? fn? ifn? identical? blank? starts-with? ends-with? includes? empty? contains?
        compare-and-set! atom? error? lazy-seq? fold-fn? bytes? inst? uuid? sorted? sorted-calls? reduced? ascii?
        request-token decimal?""",
    "integer": """compare bit-and bit-or bit-xor bit-not bit-shift-left bit-shift-right int long numerator denominator
        hash count inst-ms sorted-rank text-size number-size hash-end""",
    "double": "double rand",
    "string": """str pr-str print-str subs name upper-case lower-case trim replace-text join-text here text-part
        text-room char-kind""",
    "keyword": "keyword",
    "symbol": "symbol",
    "character": "char",
    "decimal": "bigdec round-decimal divide-decimal",
    "vector": "decimal-parts vector vec* subvec split-text nodes streams",
    "seq": "list cons rest reverse lazy-seq*",
    "map": "hash-map sorted-map transact! count-each",
    "set": "hash-set sorted-set",
    "cell": "atom",
    "error": "ex-info",
    "instant": "now inst-of-ms",
    "ratio": "ratio-of",
    "nil": "sleep log!",
    "nil seq": "seq next keys vals sorted-from number-range",
    "nil integer": "parse-long index-of hash-part",
    "nil double": "parse-double",
    "nil string": "namespace ex-message fork!",
    "nil vector": "find range-bounds",
    "nil uuid": "parse-uuid",
    "nil function": "lazy-folder",
    "nil map": "meta",
    "map set": "sorted-empty sorted-insert sorted-remove",
    "any": """first nth get key val peek deref reset! ex-data ex-cause lazy-thunk lazy-set! lazy-value apply call/cc q
        hop! prompt* control* abort* fold-items call-with-list ask-for whole check-some add-some equal-some suspend*
        suspended-with finish! sorted-order sorted-key sorted-val sorted-replace compare-some hash-begin hash-some hash-mixed
        skip-some text-fill skip-chars skip-spaces skip-spaces-back find-some replace-some split-some case-some
        compile* print-some join-some small opaque* opaque-kind opaque-content real-function empty with-meta""",
}
_RULES: dict[str, str] = {  # rows of `combine` in types.dl
    "sum": "+ - *",
    "quotient": "/",
    "whole": "quot",
    "remainder": "rem mod",
    "extreme": "max min",
    "next": "inc dec abs",
    "added": "conj",
    "same": "dissoc disj pop",
    "put": "assoc",
}
_EFFECTS: dict[str, str] = {
    "stream/read": "q",
    "stream/write": "transact!",
    "node/hop": "hop!",
    "node/look": "here nodes streams",
    "clock": "now",
    "random": "rand",
    "sleep": "sleep",
    "log": "log!",
    "code": "compile*",
    "token/ask": "request-token",
    "agent/spawn": "fork!",
    "agent/end": "finish!",
    "cell/new": "atom",
    "cell/read": "deref lazy-thunk lazy-value",
    "cell/write": "reset! compare-and-set! lazy-set!",
    "continuation": "call/cc prompt* control* abort* suspend*",
    "unknown": "ask-for",
}
_CALLS: dict[str, tuple[tuple[int, int], ...]] = {
    "apply": ((0, 0),),
    "call/cc": ((0, 0),),
    "prompt*": ((1, 1),),
    "control*": ((1, 1),),
    "call-with-list": ((0, 0),),
    "lazy-seq*": ((0, 0),),
    "fold-items": ((0, 0),),
    "whole": ((0, 0),),
    "small": ((0, 0),),
    "sorted-empty": ((1, 1),),
}
_STREAMS = {"transact!": ((0, "stream/write"),)}  # those of q are told by its query
_NEVER = frozenset({"abort*"})  # a continuation of suspend* goes on where it was left


def _by_name(table: dict[str, str]) -> dict[str, str]:
    return {name: row for row, names in table.items() for name in names.split()}


def _signatures() -> dict[str, Signature]:
    results, rules, effects = _by_name(_RESULTS), _by_name(_RULES), _by_name(_EFFECTS)
    assert not results.keys() & rules.keys(), results.keys() & rules.keys()
    return {
        name: Signature(
            results=tuple(results.get(name, "").split()),
            rule=rules.get(name),
            effects=(effects[name],) if name in effects else (),
            calls=_CALLS.get(name, ()),
            streams=_STREAMS.get(name, ()),
            returns=name not in _NEVER,
        )
        for name in (*results, *rules)
    }


SIGNATURES: dict[str, Signature] = _signatures()

"""What the passes are told of the names a program mentions, as facts.

Is:     signatures of host functions and of the core library's as datoms; which inputs of a literal query are streams.
Is not: the signatures themselves (`yang.signatures`, `yang.summaries`).
Fits:   `yang.passes` adds these to a program's facts; callgraph.dl, effects.dl, types.dl and constants.dl read them.

Per signature, an entity with :signature/host, /least, /most, /result (kinds), /rule, /effect, /returns, /counted; per range of arguments
that are called one with :callback/signature, /from, /to; per argument that names a stream one with
:stream-name/signature, /position, /effect. A name's entity has :host/plain, the name without its prefix; a literal that is a
query has :query/source, the positions of its streams, and :query/returns, :aggregates or :rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from datomstore import edn
from datomstore.datom import Datom
from datomstore.errors import DatomstoreError
from datomstore.value import Keyword, Map, Symbol
from yang.analysis import TX, Analysis, Ast
from yang.queries import gives_only_aggregates
from yang.resolve import HOST, plain_name
from yang.signatures import SIGNATURES, Signature

PLAIN = Keyword("host/plain")
QUERY_SOURCE = Keyword("query/source")
QUERY_RETURNS = Keyword("query/returns")
ROWS, ONLY_AGGREGATES = Keyword("rows"), Keyword("aggregates")
_SIGNATURE = {
    name: Keyword(f"signature/{name}")
    for name in ["host", "least", "most", "result", "rule", "effect", "returns", "counted"]
}
_CALLBACK = {name: Keyword(f"callback/{name}") for name in ("signature", "from", "to")}
_GIVEN = {name: Keyword(f"given/{name}") for name in ("signature", "from", "to")}
_STREAM = {name: Keyword(f"stream-name/{name}") for name in ("signature", "position", "effect")}
_REF = {Keyword("db/valueType"): Keyword("db.type/ref")}
_MANY = {Keyword("db/cardinality"): Keyword("db.cardinality/many")}
SCHEMA = {
    _SIGNATURE["host"]: _REF,
    _SIGNATURE["result"]: _MANY,
    _SIGNATURE["effect"]: _MANY,
    _CALLBACK["signature"]: _REF,
    _GIVEN["signature"]: _REF,
    _STREAM["signature"]: _REF,
    QUERY_SOURCE: _MANY,
}
Fact = tuple[Keyword, object]


def host_datoms(
    analysis: Analysis, first: int, library: Mapping[str, Sequence[Signature]]
) -> list[Datom]:
    """Return the signatures of the names that a program mentions; their entities count from `first`."""
    out: list[Datom] = []
    entity = first
    for host, known in analysis.hosts.items():
        facts = dict(known)
        plain = plain_name(str(facts[HOST["name"]]))
        out.append(Datom(host, PLAIN, plain, TX, True))
        for signature in _signatures(plain, facts, library):
            for own in _facts_of(signature, host, entity):
                out += [Datom(entity, attribute, value, TX, True) for attribute, value in own]
                entity += 1
    return out


def _signatures(
    plain: str, facts: Mapping[Keyword, object], library: Mapping[str, Sequence[Signature]]
) -> Sequence[Signature]:
    if HOST["number"] in facts:
        return (SIGNATURES[plain],)
    return library.get(plain, ()) if HOST["function"] in facts else ()


def _facts_of(signature: Signature, host: int, entity: int) -> Iterator[list[Fact]]:
    """Yield the facts of a signature's entities, the signature's own first, which is `entity`."""
    own: list[Fact] = [
        (_SIGNATURE["host"], host),
        (_SIGNATURE["least"], signature.least),
        (_SIGNATURE["most"], signature.most),
        *((_SIGNATURE["result"], Keyword(kind)) for kind in signature.results),
        *((_SIGNATURE["effect"], Keyword(effect)) for effect in signature.effects),
    ]
    if signature.rule is not None:
        own.append((_SIGNATURE["rule"], Keyword(signature.rule)))
    if not signature.returns:
        own.append((_SIGNATURE["returns"], False))
    if signature.counted:
        own.append((_SIGNATURE["counted"], True))
    yield own
    for names, ranges in ((_CALLBACK, signature.calls), (_GIVEN, signature.gives)):
        for start, end in ranges:
            yield [(names["signature"], entity), (names["from"], start), (names["to"], end)]
    for position, effect in signature.streams:
        yield [
            (_STREAM["signature"], entity),
            (_STREAM["position"], position),
            (_STREAM["effect"], Keyword(effect)),
        ]


def query_datoms(ast: Ast) -> list[Datom]:
    """Return, for every literal that is a query, which of its inputs are streams, and what it gives."""
    facts: list[Datom] = []
    for node in ast.nodes("literal"):
        query = _read(ast.item(node).scalars[0])
        positions = source_positions(query)
        facts += [Datom(node, QUERY_SOURCE, position, TX, True) for position in positions]
        if positions:
            given = ONLY_AGGREGATES if gives_only_aggregates(query) else ROWS
            facts.append(Datom(node, QUERY_RETURNS, given, TX, True))
    return facts


def _read(value: object) -> object:
    """Return a query that is a text as the form it is read as."""
    if isinstance(value, str) and value.lstrip().startswith(("[:find", "{:find")):
        try:
            return edn.read(value)
        except DatomstoreError:
            return None
    return value


def source_positions(query: object) -> list[int]:
    """Return which inputs of a query are databases: those whose `:in` form starts with $; none of what is no query."""
    if isinstance(query, Map):
        if Keyword("find") not in query:
            return []
        declared = query.get(Keyword("in"), ())
    elif isinstance(query, tuple) and query and query[0] is Keyword("find"):
        declared = _section(query, Keyword("in"))
    else:
        return []
    forms = declared if isinstance(declared, tuple) and declared else (Symbol("$"),)
    return [
        position
        for position, form in enumerate(forms)
        if isinstance(form, Symbol) and form.name.startswith("$")
    ]


def _section(query: tuple[object, ...], name: Keyword) -> tuple[object, ...]:
    heads = [place for place, item in enumerate(query) if isinstance(item, Keyword)]
    for head, end in zip(heads, [*heads[1:], len(query)], strict=True):
        if query[head] is name:
            return query[head + 1 : end]
    return ()

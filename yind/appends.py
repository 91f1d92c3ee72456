"""What a transaction of somebody needs: rights and rows, by what stands in its data and by what the store makes of that.

Is:     both, for agents and people alike.
Is not: whether they have it (`yind.authority`), nor how a transaction is staged (`datomstore.batch`).
Fits:   `yind.effects` and `yind.control` ask for what the data needs, stage it, and ask again where it makes more.

Closed on purpose: an operation or an attribute of the store's own that is not known here needs every right. Data does not
say all: an entity that is retracted takes along whatever facts it has.
"""

from __future__ import annotations

from typing import NamedTuple

from capabilities.caveats import Resource, Verb
from datomstore.batch import Made
from datomstore.refused import TransactionError
from datomstore.schema import TX_INSTANT
from datomstore.value import Keyword, Map, Set
from yind.costs import Cost, cost_of_facts
from yind.errors import EffectInvalid
from yind.glimpses import shown

TX_AGENT, TX_PROGRAM = Keyword("tx/agent"), Keyword("tx/program")  # said by the node alone

_EVERYTHING = frozenset({Verb.APPEND, Verb.RETRACT, Verb.SCHEMA, Verb.HISTORY})
_CAS = frozenset({Keyword("db/cas"), Keyword("db.fn/cas")})
_OPERATIONS: dict[str, frozenset[Verb]] = {
    "db/add": frozenset(),
    "db/cas": frozenset(),
    "db.fn/cas": frozenset(),
    "db/retract": frozenset({Verb.RETRACT}),
    "db/retractEntity": frozenset({Verb.RETRACT}),
    "db.fn/retractEntity": frozenset({Verb.RETRACT}),
    "db.fn/retractAttribute": frozenset({Verb.RETRACT}),
}


class Needs(NamedTuple):
    """What a transaction needs, as far as that is known."""

    more: frozenset[Verb]  # beside append
    cost: Cost

    @staticmethod
    def of(tx_data: tuple[object, ...], *, sized: bool) -> Needs:
        """Return what transaction data needs. Raises EffectInvalid where it says what the node alone says."""
        return Needs(
            frozenset(verbs_of(tx_data) - {Verb.APPEND}), cost_of_facts(tx_data, sized=sized)
        )

    def check(self, made: Made, *, counted: bool) -> None:
        """Return if what a transaction makes needs no more than this. Raises NeedsMore, or EffectInvalid as `of`.

        Rows are looked at only if they are `counted`.
        """
        if TX_INSTANT in made.attributes:
            raise EffectInvalid("when an earlier transaction was made is kept")
        more = self.more.union(*map(_verbs_of_attribute, made.attributes))
        rows = max(self.cost[Resource.ROWS], made.facts) if counted else self.cost[Resource.ROWS]
        if more != self.more or rows != self.cost[Resource.ROWS]:
            raise NeedsMore(Needs(more, {**self.cost, Resource.ROWS: rows}))


def hidden(error: TransactionError) -> TransactionError:
    """Return an error for who may write a stream and not see what is in it: values stand in its text."""
    told = TransactionError("the stream does not take this; why is for who may read it")
    told.code = error.code
    return told


class NeedsMore(Exception):
    """A transaction that was staged needs more than was asked for; nothing of it has happened."""

    def __init__(self, needs: Needs) -> None:
        super().__init__(needs)
        self.needs = needs


def verbs_of(tx_data: tuple[object, ...]) -> set[Verb]:
    """Return the rights that transaction data needs: append, and more where it retracts, changes the schema or excises.

    Raises EffectInvalid where it says of a transaction what the node alone says.
    """
    verbs = {Verb.APPEND}
    values: list[object] = []
    for item in tx_data:
        if isinstance(item, tuple) and item:
            head = item[0]
            known = _OPERATIONS.get(head.name) if isinstance(head, Keyword) else None
            verbs |= _EVERYTHING if known is None else known
            if head in _CAS and item[4:] == (None,):
                verbs.add(Verb.RETRACT)  # nothing takes the value's place
            if len(item) > 2:
                verbs |= _verbs_of_attribute(item[2])
            values.extend(item[3:])
        else:
            values.append(item)
    while values:
        value = values.pop()
        if isinstance(value, Map):
            for attribute, inner in value.items():
                verbs |= _verbs_of_attribute(attribute)
                values.append(inner)
        elif isinstance(value, (tuple, Set)):
            values.extend(value)
    return verbs


def _verbs_of_attribute(attribute: object) -> frozenset[Verb]:
    """Return the rights that facts of an attribute need beside append. Raises EffectInvalid if nobody has them."""
    if not isinstance(attribute, Keyword):
        return _EVERYTHING
    if attribute.name.replace("/_", "/") in (TX_AGENT.name, TX_PROGRAM.name):
        raise EffectInvalid(f"facts of {shown(attribute)} are written by the node alone")
    namespace = attribute.namespace or ""
    if attribute.name == "db/id" or not (namespace == "db" or namespace.startswith("db.")):
        return frozenset()
    if attribute.name == "db/excise" or namespace == "db.excise":
        return frozenset({Verb.RETRACT, Verb.HISTORY})
    return frozenset({Verb.SCHEMA})

"""Transactions that may touch some attributes only.

Is:     a resolver for which the facts that a filter hides do not exist, and which refuses to add or retract such.
Is not: the rule of what is hidden (`datomstore.filtered.Shown`).
Fits:   `datomstore.transaction.stage` takes this resolver where a filter is given.

Nothing that is told tells of what is hidden. An attribute that may not be written is refused before anything is looked up
by it, whether or not a fact would change; so is one whose value a hidden composite would get. A lookup ref or ident that is
hidden finds nothing, :db/retractEntity retracts what can be seen, and who sees only a part excises nothing. When all is
resolved, the rows themselves are looked at once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from datomstore._transact import Held, Staged
from datomstore.errors import AttributeForbidden
from datomstore.filtered import DESCRIBING, Filter, Shown
from datomstore.intern import value_of
from datomstore.schema import EXCISE, IDENT, TUPLE_ATTRS, Schema
from datomstore.transaction import Fact, Resolver
from datomstore.transactor import Transactor
from datomstore.value import Keyword


def stage_only(
    transactor: Transactor,
    tx_data: Iterable[object],
    now_ms: int,
    meta: Mapping[Keyword, object] | None,
    only: Filter,
) -> Staged:
    """Append the rows of a transaction as `stage` does. Raises AttributeForbidden, nothing changed, for what is hidden."""
    resolver = _Restricted(transactor, only)
    staged = transactor.stage(now_ms, meta, resolver, tx_data)
    try:
        resolver.check_rows(staged)
    except BaseException:
        transactor.rollback(staged)
        raise
    return staged


class _Restricted(Resolver):
    """Turns the items of one transaction into rows, none of them hidden."""

    def __init__(self, transactor: Transactor, only: Filter) -> None:
        super().__init__(transactor)
        self._only = only
        self._shown = Shown(transactor.staged_database(), only)
        self._mine: dict[object, Held] = {}  # of attributes that may be written
        self._first = 0  # row after those that the node writes itself

    def run(self, staged: Staged, tx_data: Iterable[object], /) -> None:
        """Append the rows of the items. Raises TransactionError, AttributeForbidden."""
        super().run(staged, ())
        self._first = self.transactor.rows
        items = list(tx_data)
        for work in (self.bind_tempid, self.other):
            for item in items:
                try:
                    work(item)
                except AttributeForbidden:
                    raise
                except Exception as error:
                    self.refuse_item(item, error)
                    raise

    def check_rows(self, staged: Staged) -> None:
        """Return if all rows are of what is shown, by the names that there are now. Raises AttributeForbidden."""
        transactor = self.transactor
        shown = Shown(transactor.staged_database(), self._only)
        rows, facts = slice(self._first, staged.end), transactor.facts
        for e, a in zip(facts.e[rows].tolist(), facts.a[rows].tolist(), strict=True):
            ident = value_of(a)
            assert isinstance(ident, Keyword), ident
            if not shown.fact(e >> 1, ident):
                raise AttributeForbidden(ident, self._shown)

    # -- attributes --

    @property
    def known(self) -> dict[object, Held]:
        """Return what is so for attributes that have been found to be writable."""
        return self._mine

    def held(self, ident: Keyword) -> Held:
        """Return what is so for an attribute that may be written. Raises AttributeForbidden."""
        found = self._mine.get(ident)
        if found is None:
            if isinstance(ident, Keyword):  # else it is no attribute, and refused as such
                self._check(ident)
            found = self._mine[ident] = super().held(ident)
        return found

    def _check(self, ident: Keyword) -> None:
        """Return if an attribute may be written, and with it the composites that it is a part of."""
        if ident in DESCRIBING:
            return
        if ident is EXCISE:
            raise AttributeForbidden(ident, self._shown)
        self._shown.check(ident)
        for whole in self.transactor.schema.composites_of(ident):
            self._shown.check(whole.ident)

    def check_fact(self, e: int, ident: Keyword, value: object) -> None:
        """Return if a fact may be added or retracted; of a new entity that has no name yet `check_rows` decides."""
        shown = self._shown
        if ident in DESCRIBING and not shown.named.get(e, True):
            raise AttributeForbidden(ident, self._shown)
        names = value if ident is TUPLE_ATTRS else (value,) if ident is IDENT else ()
        if isinstance(names, tuple) and not all(map(shown.attribute, names)):
            raise AttributeForbidden(ident, self._shown)

    # -- what there is --

    def _identity(self, facts: list[Fact]) -> int | None:
        """Return the entity that unique identities name. Raises AttributeForbidden for a name that is hidden."""
        for slot, value in facts:
            if isinstance(slot, Held) and slot.ident is IDENT and not self._shown.attribute(value):
                raise AttributeForbidden(IDENT, self._shown)
        return super()._identity(facts)

    def identities_of(self, schema: Schema) -> list[Held]:
        """Return the composites that find an entity by its parts, those that are shown."""
        found = super().identities_of(schema)
        return [held for held in found if self._shown.attribute(held.ident)]

    def entity_with(self, attribute: Keyword, value: object) -> int | None:
        """Return the entity that has a unique value, as far as that is shown."""
        found = super().entity_with(attribute, value)
        return None if found is None or not self._shown.fact(found, attribute) else found

    def is_unique(self, ident: Keyword) -> bool:
        """Return whether an attribute is known to be unique."""
        return (ident in DESCRIBING or self._shown.attribute(ident)) and super().is_unique(ident)

    def helds_of(self, e: int) -> list[Held]:
        """Return the attributes an entity has, as far as they are shown and can be written."""
        return [held for held in super().helds_of(e) if self._is_writable(e, held.ident)]

    def referrers(self, e: int) -> list[tuple[int, Keyword]]:
        """Return (entity, attribute) of the references to an entity that are shown and can be written."""
        return [(source, a) for source, a in super().referrers(e) if self._is_writable(source, a)]

    def _is_writable(self, e: int, ident: Keyword) -> bool:
        if not self._shown.fact(e, ident):
            return False
        self._check(ident)  # of what can be seen
        return True

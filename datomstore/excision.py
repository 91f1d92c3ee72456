"""Removing facts for good, because they must go: what a request takes along.

Is:     from the facts of a request (`:db/excise` and its bounds) to the rows that go, and the audit facts.
Is not: the rewriting of the log, which `datomstore.streams` does in the transaction that asks for it.
Fits:   retraction is for what is no longer so; excision is for what must not be known any more.

    {:db/excise e}                                         an entity: all its facts ever, and its components
    {:db/excise e :db.excise/attrs [:a :b]}                only these attributes of it
    {:db/excise :an/attribute}                             an attribute of all entities
    {... :db.excise/beforeT t}  {... :db.excise/before #inst "..."}    only what was said before then

A retraction goes with the fact it ended, and a composite with any of its parts. The request stays as a fact, with
:db.excise/count (rows removed) and :db.excise/root (the database's root before it).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datomstore.datom import TX_BASE, t_of
from datomstore.errors import DatomstoreError
from datomstore.facts import NEVER, Rows
from datomstore.intern import Ids, intern
from datomstore.schema import (
    EXCISE,
    EXCISE_ATTRS,
    EXCISE_BEFORE,
    EXCISE_BEFORE_T,
    EXCISED_COUNT,
    EXCISED_ROOT,
    IDENT,
    SCHEMA_ATTRIBUTES,
)
from datomstore.value import Keyword

if TYPE_CHECKING:
    from datomstore.transactor import Staged, Transactor


class ExcisionRefused(DatomstoreError):
    """What was asked to be excised has to stay: the schema, transactions, and the record of excisions."""

    code = "transaction/excision"


class ExcisionNotAlone(ExcisionRefused):
    """The batch has another transaction of the stream already."""


def plan(transactor: Transactor, staged: Staged) -> Rows:
    """Return the rows that a transaction's requests remove, and add the audit facts to it. Raises ExcisionRefused."""
    if transactor.roots is None:
        raise ExcisionRefused("only a stream can excise: a what-if has no log")
    if transactor.staged_count > 1:
        raise ExcisionNotAlone("an excision is the only transaction of its stream in a batch")
    root = transactor.root
    transactor.flush()
    gone = np.zeros(staged.start, np.bool_)
    for request in staged.excisions or ():
        removed = np.zeros(staged.start, np.bool_)
        for target in transactor.live_values(request, EXCISE):
            assert isinstance(target, int), target
            removed |= _rows_of(transactor, staged, request, target)
        count = int(np.count_nonzero(removed & ~gone))
        gone |= removed
        transactor.add(staged, transactor.held(EXCISED_COUNT), request, count)
        transactor.add(staged, transactor.held(EXCISED_ROOT), request, root)
    return np.flatnonzero(gone).astype(np.int64)


def _rows_of(
    transactor: Transactor, staged: Staged, request: int, target: int
) -> NDArray[np.bool_]:
    facts, start, n = transactor.facts, staged.start, transactor.rows
    ids = [intern(attribute) for attribute in _attributes(transactor, request)]
    asked = transactor.database().history().rows(target << 1, intern(EXCISE))
    if target >= TX_BASE or len(asked):
        raise ExcisionRefused(f"entity {target} is part of the record of what happened")
    ident = next(iter(transactor.live_values(target, IDENT)), None)
    if isinstance(ident, Keyword) and transactor.schema.get(ident) is not None:
        if ids:
            raise ExcisionRefused(f"{ident!r} is an attribute: it has no attributes to excise")
        wholes = [found.ident for found in transactor.schema.composites_of(ident)]
        found = np.isin(facts.a[:n], np.array([intern(a) for a in (ident, *wholes)], np.int64))
    elif ids:
        found = (facts.e[:n] == target << 1) & np.isin(facts.a[:n], np.array(ids, np.int64))
    else:
        found = np.isin(facts.e[:n], _with_components(transactor, n, target))
    kept = np.array(
        [intern(attribute) for attribute in SCHEMA_ATTRIBUTES if attribute is not IDENT]
    )
    found &= ~np.isin(facts.a[:n], kept)
    if found[start:].any():  # it would speak of what is there before, and is not afterwards
        raise ExcisionRefused(
            f"the transaction that excises entity {target} says something of it, too"
        )
    found, n = found[:start], start
    found &= facts.t[:n] < (TX_BASE + _before(transactor, request)) << 1
    ended = facts.ended[:n][found & facts.added[:n]]
    found[ended[(ended != NEVER) & (ended < n)]] = True
    return found


def _attributes(transactor: Transactor, request: int) -> list[Keyword]:
    """Return the attributes a request is limited to, and the composites made of them; none is no limit."""
    named = [a for a in transactor.live_values(request, EXCISE_ATTRS) if isinstance(a, Keyword)]
    for attribute in named:
        if attribute in SCHEMA_ATTRIBUTES and attribute is not IDENT:
            raise ExcisionRefused(f"{attribute!r} is part of the schema")
    return named + [
        composite.ident
        for attribute in named
        for composite in transactor.schema.composites_of(attribute)
    ]


def _with_components(transactor: Transactor, n: int, target: int) -> Ids:
    """Return the ids of an entity and of all that ever was a component of it."""
    facts = transactor.facts
    parts = [intern(found.ident) for found in transactor.schema if found.component]
    owned = np.isin(facts.a[:n], np.array(parts, np.int64))
    known = np.array([target << 1], np.int64)
    while True:
        more = np.union1d(known, facts.v[:n][owned & np.isin(facts.e[:n], known)])
        if len(more) == len(known):
            return known
        known = more


def _before(transactor: Transactor, request: int) -> int:
    """Return the transaction from which on facts stay."""
    bounds = [transactor.t]
    for t in transactor.live_values(request, EXCISE_BEFORE_T):
        assert isinstance(t, int), t
        bounds.append(t_of(t))
    for instant in transactor.live_values(request, EXCISE_BEFORE):
        assert isinstance(instant, datetime), instant
        last = transactor.database().as_of(instant - timedelta(milliseconds=1))
        bounds.append(last.basis_t + 1)
    return min(bounds)

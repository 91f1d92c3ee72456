"""The attributes of code that are derived when somebody asks for them.

Is:     `yang/rules/vocabulary.edn` as properties of attributes, for the schema of a database of code.
Is not: facts: the database derives them (`datomstore.datalog.views`).
Fits:   `yang.compile` puts them into the schema of the stream `code`.
"""

from __future__ import annotations

from functools import cache

from datomstore.database import Database
from datomstore.datalog.derivations import Lookup, provide
from datomstore.edn import read, write
from datomstore.schema import RULE
from datomstore.value import Keyword, Map
from yang import rules

FILE = "vocabulary.edn"


def _lookup(database: Database) -> Lookup:
    from yang.asked import Asked  # the passes take as long to import as the compiler

    return Asked(database).values


provide(_lookup)


@cache
def vocabulary() -> dict[Keyword, dict[Keyword, object]]:
    """Return ident -> properties, in DataScript's form."""
    found = read(rules.text_of(FILE), source=FILE)
    assert isinstance(found, Map), FILE
    return {ident: _properties(given) for ident, given in found.items()}


def _properties(given: object) -> dict[Keyword, object]:
    if isinstance(given, Map):
        return dict(given.items())
    return {RULE: write(rules.spelt_out(given, FILE))}

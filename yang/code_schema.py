"""The attributes of code: of what compilers of programs read, and of what the stream `code` keeps.

Is:     attributes with their properties, those included that are derived when somebody asks.
Is not: the facts themselves (`yang.ast_datoms`, `yang.execution`, `yang.stored`).
Fits:   every database of code has this schema.
"""

from __future__ import annotations

from typing import Any

from datomstore.database import Database
from datomstore.schema import VALUE_TYPE, attribute_of
from datomstore.value import Keyword, Map
from yang.analysis import BINDER, BODY, CAPTURE_BINDER, CAPTURE_GROUP, GROUP, STATIC
from yang.ast_datoms import SCHEMA
from yang.execution import CONTAINS, EXEC
from yang.resolve import HOST
from yang.vocabulary import vocabulary

PROGRAM_ROOT = Keyword("program/root")
SOURCE_LANGUAGE = Keyword("ast/source-lang")
DEFINITION = Keyword("scope/definition")  # what a name means that no scope binds
UNIT_HASH = Keyword("unit/hash")  # of a top-level statement, see `yang.units`

_REF = {VALUE_TYPE: Keyword("db.type/ref")}
_MANY = {Keyword("db/cardinality"): Keyword("db.cardinality/many")}
CODE_SCHEMA: dict[Keyword, Any] = {  # attribute -> its schema in DataScript's form
    **SCHEMA,
    **dict.fromkeys((BINDER, BODY, STATIC, GROUP, CAPTURE_GROUP, CAPTURE_BINDER), _REF),
    HOST["arity"]: _MANY,
    **{EXEC[name]: _REF for name in ("node", "body", "target", "function", "args", "lambda")},
    CONTAINS: _REF | _MANY,
    DEFINITION: _REF | _MANY,
    PROGRAM_ROOT: _REF,
    **vocabulary(),
}
REFERENCES = frozenset(
    ident
    for ident, properties in CODE_SCHEMA.items()
    if properties.get(VALUE_TYPE) is Keyword("db.type/ref")
)


def code_schema(database: Database) -> list[object]:
    """Return transaction data for the schema of code facts that a database lacks; mostly nothing."""
    return [
        Map([(Keyword("db/ident"), ident), *properties.items()])
        for ident, properties in CODE_SCHEMA.items()
        if database.schema.get(ident) != attribute_of(ident, properties)
    ]

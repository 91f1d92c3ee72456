"""What attributes are: type, cardinality, uniqueness.

Is:     the properties of attributes as one immutable value, read from facts or from DataScript's map form.
Is not: enforcement (`datomstore.transaction`).
Fits:   every database value carries the schema it was made with.

An attribute without schema has cardinality one and any type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from uuid import UUID

from datomstore.errors import DatomstoreError
from datomstore.value import Char, Keyword, Symbol

IDENT = Keyword("db/ident")
VALUE_TYPE = Keyword("db/valueType")
CARDINALITY = Keyword("db/cardinality")
UNIQUE = Keyword("db/unique")
INDEX = Keyword("db/index")
COMPONENT = Keyword("db/isComponent")
DOC = Keyword("db/doc")
SCHEMA_ATTRIBUTES = frozenset({IDENT, VALUE_TYPE, CARDINALITY, UNIQUE, INDEX, COMPONENT})

REF = Keyword("db.type/ref")
MANY = Keyword("db.cardinality/many")
IDENTITY = Keyword("db.unique/identity")
VALUE = Keyword("db.unique/value")

PYTHON_TYPES: dict[Keyword, tuple[type, ...]] = {
    Keyword("db.type/string"): (str,),
    Keyword("db.type/keyword"): (Keyword,),
    Keyword("db.type/symbol"): (Symbol,),
    Keyword("db.type/long"): (int,),
    Keyword("db.type/bigint"): (int,),
    Keyword("db.type/ratio"): (int, Fraction),
    Keyword("db.type/double"): (float,),
    Keyword("db.type/boolean"): (bool,),
    Keyword("db.type/instant"): (datetime,),
    Keyword("db.type/uuid"): (UUID,),
    Keyword("db.type/bytes"): (bytes,),
    Keyword("db.type/char"): (Char,),
    Keyword("db.type/tuple"): (tuple,),
    REF: (int,),
}


class SchemaError(DatomstoreError):
    """A property of an attribute has a value that means nothing."""

    code = "schema/invalid"


@dataclass(frozen=True, slots=True)
class Attribute:
    """The properties of one attribute."""

    ident: Keyword
    value_type: Keyword | None = None
    many: bool = False
    unique: Keyword | None = None  # IDENTITY, VALUE or None
    component: bool = False

    @property
    def is_ref(self) -> bool:
        """Return whether values are entities."""
        return self.value_type is REF


class Schema:
    """Attributes by ident; what is not in it has the default properties."""

    __slots__ = ("_attributes", "_defaults")

    def __init__(self, attributes: Mapping[Keyword, Attribute] | None = None) -> None:
        self._attributes: dict[Keyword, Attribute] = dict(attributes or {})
        self._defaults: dict[Keyword, Attribute] = {}  # made once: every fact asks for its own

    def __getitem__(self, ident: Keyword) -> Attribute:
        found = self._attributes.get(ident) or self._defaults.get(ident)
        if found is None:
            found = self._defaults[ident] = Attribute(ident)
        return found

    def get(self, ident: Keyword) -> Attribute | None:
        """Return an attribute that has been declared, else None."""
        return self._attributes.get(ident)

    def __iter__(self) -> Iterator[Attribute]:
        return iter(self._attributes.values())

    def with_property(self, ident: Keyword, name: Keyword, value: object) -> Schema:
        """Return the schema after a fact about an attribute. Raises SchemaError."""
        return Schema(self._attributes | {ident: changed(self[ident], name, value)})

    @staticmethod
    def from_maps(maps: Mapping[Keyword, Mapping[Keyword, object]]) -> Schema:
        """Return the schema of DataScript's form: ident -> properties. Raises SchemaError."""
        attributes = {}
        for ident, properties in maps.items():
            attribute = Attribute(ident)
            for name, value in properties.items():
                attribute = changed(attribute, name, value)
            attributes[ident] = attribute
        return Schema(attributes)


def changed(attribute: Attribute, name: Keyword, value: object) -> Attribute:
    """Return the attribute with one property set; properties that mean nothing here are left alone."""
    if name is VALUE_TYPE:
        if value not in PYTHON_TYPES:
            known = ", ".join(sorted(repr(kind) for kind in PYTHON_TYPES))
            raise SchemaError(f"{attribute.ident}: no value type {value!r}; there are {known}")
        return replace(attribute, value_type=value)
    if name is CARDINALITY:
        return replace(attribute, many=value is MANY)
    if name is UNIQUE:
        if value not in (IDENTITY, VALUE):
            raise SchemaError(f"{attribute.ident}: {value!r} is not a kind of uniqueness")
        return replace(attribute, unique=value)
    if name is COMPONENT:
        return replace(attribute, component=value is True)
    return attribute

"""What attributes are: type, cardinality, uniqueness, components, tuples.

Is:     the properties of attributes as one immutable value, read from facts or from DataScript's map form, and the
        rule that a value breaks.
Is not: enforcement (`datomstore.transaction`), which asks here.
Fits:   every database value carries the schema it was made with, so an earlier one has the earlier schema.

An attribute without schema has cardinality one and any type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from datomstore.errors import DatomstoreError
from datomstore.limits import LONG_BITS, TUPLE_ITEMS_MAX, TUPLE_ITEMS_MIN
from datomstore.value import Char, Keyword, Map, Symbol

IDENT = Keyword("db/ident")
VALUE_TYPE = Keyword("db/valueType")
CARDINALITY = Keyword("db/cardinality")
UNIQUE = Keyword("db/unique")
INDEX = Keyword("db/index")
COMPONENT = Keyword("db/isComponent")
NO_HISTORY = Keyword("db/noHistory")
TUPLE_ATTRS = Keyword("db/tupleAttrs")
TUPLE_TYPES = Keyword("db/tupleTypes")
TUPLE_TYPE = Keyword("db/tupleType")
RULE = Keyword("db/rule")
READING = Keyword("db/reading")
DOC = Keyword("db/doc")
TX_INSTANT = Keyword("db/txInstant")
EXCISE = Keyword("db/excise")
EXCISE_ATTRS = Keyword("db.excise/attrs")
EXCISE_BEFORE_T = Keyword("db.excise/beforeT")
EXCISE_BEFORE = Keyword("db.excise/before")
EXCISED_COUNT = Keyword("db.excise/count")
EXCISED_ROOT = Keyword("db.excise/root")

# The facts about an attribute that are its properties.
PROPERTIES = (
    VALUE_TYPE,
    CARDINALITY,
    UNIQUE,
    COMPONENT,
    NO_HISTORY,
    TUPLE_ATTRS,
    TUPLE_TYPES,
    TUPLE_TYPE,
    RULE,
    READING,
)
SCHEMA_ATTRIBUTES = frozenset({IDENT, INDEX, *PROPERTIES})

REF = Keyword("db.type/ref")
TUPLE = Keyword("db.type/tuple")
LONG = Keyword("db.type/long")
ONE = Keyword("db.cardinality/one")
MANY = Keyword("db.cardinality/many")
IDENTITY = Keyword("db.unique/identity")
VALUE = Keyword("db.unique/value")

NAME = Symbol("name")  # the reading of symbols and keywords as their names

PYTHON_TYPES: dict[Keyword, tuple[type, ...]] = {
    Keyword("db.type/string"): (str,),
    Keyword("db.type/keyword"): (Keyword,),
    Keyword("db.type/symbol"): (Symbol,),
    LONG: (int,),
    Keyword("db.type/bigint"): (int,),
    Keyword("db.type/ratio"): (int, Fraction),
    Keyword("db.type/bigdec"): (Decimal,),
    Keyword("db.type/double"): (float,),
    Keyword("db.type/boolean"): (bool,),
    Keyword("db.type/instant"): (datetime,),
    Keyword("db.type/uuid"): (UUID,),
    Keyword("db.type/bytes"): (bytes,),
    Keyword("db.type/char"): (Char,),
    TUPLE: (tuple,),
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
    no_history: bool = False
    tuple_attrs: tuple[Keyword, ...] = ()  # a composite: its value is made of these
    tuple_types: tuple[Keyword, ...] = ()  # one type for each item
    tuple_type: Keyword | None = None  # one type for all items
    rule: str | None = None  # rules that derive further facts when a query asks for the attribute
    reading: Map | Symbol | None = None  # constants that stand for others in a query, or NAME

    @property
    def is_ref(self) -> bool:
        """Return whether values are entities."""
        return self.value_type is REF

    def item_type(self, place: int) -> Keyword | None:
        """Return the type of an item of a tuple."""
        return self.tuple_types[place] if place < len(self.tuple_types) else self.tuple_type


class Schema:
    """Attributes by ident; what is not in it has the default properties."""

    __slots__ = ("_attributes", "_defaults", "composites", "views")

    def __init__(self, attributes: Mapping[Keyword, Attribute] | None = None) -> None:
        self._attributes: dict[Keyword, Attribute] = dict(attributes or {})
        self.composites = [found for found in self._attributes.values() if found.tuple_attrs]
        # Attributes that queries see otherwise than the facts have them.
        self.views = frozenset(
            found for found in self._attributes.values() if found.rule or found.reading is not None
        )
        self._defaults: dict[Keyword, Attribute] = {}  # made once: every fact asks for its own

    def __getitem__(self, ident: Keyword) -> Attribute:
        found = self._attributes.get(ident) or BUILTIN.get(ident) or self._defaults.get(ident)
        if found is None:
            found = self._defaults[ident] = Attribute(ident)
        return found

    def get(self, ident: Keyword) -> Attribute | None:
        """Return an attribute that has been declared, else None."""
        return self._attributes.get(ident)

    def __iter__(self) -> Iterator[Attribute]:
        return iter(self._attributes.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self._attributes == other._attributes

    def __hash__(self) -> int:
        return hash(frozenset(self._attributes.values()))

    def composites_of(self, ident: Keyword) -> list[Attribute]:
        """Return the composites that an attribute is a part of."""
        return [found for found in self.composites if ident in found.tuple_attrs]

    def with_attribute(self, attribute: Attribute) -> Schema:
        """Return the schema with an attribute as it is now."""
        return Schema(self._attributes | {attribute.ident: attribute})

    def without(self, ident: Keyword) -> Schema:
        """Return the schema without an attribute."""
        return Schema({key: value for key, value in self._attributes.items() if key is not ident})

    @staticmethod
    def from_maps(maps: Mapping[Keyword, Mapping[Keyword, object]]) -> Schema:
        """Return the schema of DataScript's form: ident -> properties. Raises SchemaError."""
        schema = Schema(
            {ident: attribute_of(ident, properties) for ident, properties in maps.items()}
        )
        for attribute in schema:
            check_composite(schema, attribute)
        return schema


def attribute_of(ident: Keyword, properties: Mapping[Keyword, object]) -> Attribute:
    """Return an attribute; properties that mean nothing here are left alone. Raises SchemaError."""
    attrs = _keywords(ident, TUPLE_ATTRS, properties.get(TUPLE_ATTRS))
    types = _keywords(ident, TUPLE_TYPES, properties.get(TUPLE_TYPES))
    single = properties.get(TUPLE_TYPE)
    for kind in (*types, *([] if single is None else [single])):
        if kind is TUPLE or kind not in PYTHON_TYPES:
            raise SchemaError(f"{ident!r}: no type of a tuple's item {kind!r}")
    value_type = properties.get(VALUE_TYPE)
    if value_type is None and (attrs or types or single is not None):
        value_type = TUPLE
    if value_type is not None and value_type not in PYTHON_TYPES:
        known = ", ".join(sorted(repr(kind) for kind in PYTHON_TYPES))
        raise SchemaError(f"{ident!r}: no value type {value_type!r}; there are {known}")
    rule, reading = properties.get(RULE), properties.get(READING)
    if rule is not None and not isinstance(rule, str):
        raise SchemaError(f"{ident!r}: {RULE!r} is the text of a vector of rules, not {rule!r}")
    if not (reading is None or reading is NAME or isinstance(reading, Map)):
        raise SchemaError(f"{ident!r}: {READING!r} is a map, or name, not {reading!r}")
    attribute = Attribute(
        ident,
        value_type=value_type,
        many=_one_of(ident, CARDINALITY, properties.get(CARDINALITY), (ONE, MANY)) is MANY,
        unique=_one_of(ident, UNIQUE, properties.get(UNIQUE), (IDENTITY, VALUE)),
        component=properties.get(COMPONENT) is True,
        no_history=properties.get(NO_HISTORY) is True,
        tuple_attrs=attrs,
        tuple_types=types,
        tuple_type=single,  # type: ignore[arg-type]
        rule=rule,
        reading=reading,
    )
    _check_consistent(attribute)
    return attribute


def _one_of(
    ident: Keyword, name: Keyword, value: object, allowed: tuple[Keyword, ...]
) -> Keyword | None:
    if value is None:
        return None
    for one in allowed:
        if value is one:
            return one
    raise SchemaError(f"{ident!r}: {name!r} is one of {', '.join(map(repr, allowed))}")


def _keywords(ident: Keyword, name: Keyword, value: object) -> tuple[Keyword, ...]:
    if value is None:
        return ()
    if not isinstance(value, (tuple, list)) or not all(isinstance(k, Keyword) for k in value):
        raise SchemaError(f"{ident!r}: {name!r} is a vector of keywords, not {value!r}")
    if not TUPLE_ITEMS_MIN <= len(value) <= TUPLE_ITEMS_MAX:
        raise SchemaError(
            f"{ident!r}: a tuple has {TUPLE_ITEMS_MIN} to {TUPLE_ITEMS_MAX} items, not {len(value)}"
        )
    return tuple(value)


def _check_consistent(attribute: Attribute) -> None:
    ident = attribute.ident
    kinds = [attribute.tuple_attrs, attribute.tuple_types, attribute.tuple_type]
    if sum(bool(kind) for kind in kinds) > 1:
        raise SchemaError(f"{ident!r}: one of tupleAttrs, tupleTypes and tupleType")
    if any(kinds) and attribute.value_type is not TUPLE:
        raise SchemaError(f"{ident!r} is a tuple, not {attribute.value_type!r}")
    if attribute.tuple_attrs and attribute.many:
        raise SchemaError(f"{ident!r}: a composite has cardinality one")
    if attribute.component and not attribute.is_ref:
        raise SchemaError(f"{ident!r}: a component is a :db.type/ref")


def check_composite(schema: Schema, attribute: Attribute) -> None:
    """Refuse a composite of parts that have many values or are composites. Raises SchemaError."""
    for part in attribute.tuple_attrs:
        if schema[part].many or schema[part].tuple_attrs:
            raise SchemaError(
                f"{attribute.ident!r}: {part!r} has cardinality many, or is a composite itself"
            )


def refusal(attribute: Attribute, value: object) -> str | None:
    """Return what is wrong with a value of an attribute whose references are resolved already, or None."""
    kind = attribute.value_type
    if kind is None:
        return None
    if not _conforms(kind, value):
        return f"{attribute.ident!r} takes {kind!r}, not {value!r}"
    if kind is not TUPLE:
        return None
    assert isinstance(value, tuple), value
    wanted = len(attribute.tuple_attrs) or len(attribute.tuple_types)
    if wanted and len(value) != wanted:
        return f"{attribute.ident!r} takes tuples of {wanted} items, not {value!r}"
    if attribute.tuple_type and not TUPLE_ITEMS_MIN <= len(value) <= TUPLE_ITEMS_MAX:
        return f"{attribute.ident!r}: a tuple has {TUPLE_ITEMS_MIN} to {TUPLE_ITEMS_MAX} items"
    for place, item in enumerate(value):
        item_type = attribute.item_type(place)
        if item_type is not None and item is not None and not _conforms(item_type, item):
            return f"{attribute.ident!r} takes {item_type!r} as item {place}, not {item!r}"
    return None


def _conforms(kind: Keyword, value: object) -> bool:
    kinds = PYTHON_TYPES[kind]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        return False
    if kind is LONG:
        assert isinstance(value, int), value
        return -(1 << (LONG_BITS - 1)) <= value < 1 << (LONG_BITS - 1)
    # An instant without its zone is no instant.
    return not isinstance(value, datetime) or value.tzinfo is not None


def _builtin(ident: Keyword, kind: str, **properties: bool) -> Attribute:
    return Attribute(ident, value_type=Keyword(f"db.type/{kind}"), **properties)  # type: ignore[arg-type]


# What the store itself writes and reads. Idents are unique without being declared.
BUILTIN: dict[Keyword, Attribute] = {
    attribute.ident: attribute
    for attribute in (
        Attribute(IDENT, value_type=Keyword("db.type/keyword"), unique=IDENTITY),
        _builtin(VALUE_TYPE, "keyword"),
        _builtin(CARDINALITY, "keyword"),
        _builtin(UNIQUE, "keyword"),
        _builtin(INDEX, "boolean"),
        _builtin(COMPONENT, "boolean"),
        _builtin(NO_HISTORY, "boolean"),
        _builtin(TUPLE_ATTRS, "tuple"),
        _builtin(TUPLE_TYPES, "tuple"),
        _builtin(TUPLE_TYPE, "keyword"),
        _builtin(RULE, "string"),
        Attribute(READING),
        _builtin(DOC, "string"),
        _builtin(TX_INSTANT, "instant"),
        _builtin(EXCISE, "ref", many=True),
        _builtin(EXCISE_ATTRS, "keyword", many=True),
        _builtin(EXCISE_BEFORE_T, "long"),
        _builtin(EXCISE_BEFORE, "instant"),
        _builtin(EXCISED_COUNT, "long"),
        _builtin(EXCISED_ROOT, "bytes"),
    )
}

"""Attributes that a query sees otherwise than the facts have them.

Is:     patterns of an attribute with rules (`:db/rule`) turned into calls of these, constants read (`:db/reading`).
Is not: stored: nothing of it is a fact, and a change of the rules changes no datom.
Fits:   `check` asks it for every pattern; the schema of the query's databases says what there is.
Source: views, as Datalog has always had them: an attribute is a predicate of two places.

The rules of an attribute `:a/b` are those named `a/b`; others of the same text are theirs alone. What the facts say of
the attribute counts, too. A pattern that asks for the transaction is about facts and so asks for them only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from datomstore.datalog.limits import VIEWS_KEPT
from datomstore.datalog.parse import parse_rules
from datomstore.datalog.standard import renamed
from datomstore.datalog.syntax import (
    BLANK,
    DEFAULT_SOURCE,
    Call,
    Clause,
    Constant,
    Pattern,
    Rule,
    Term,
)
from datomstore.schema import Attribute
from datomstore.value import Keyword, Map, Symbol

PREFIX = "view "  # no rule that is read from text has a space in its name
ENTITY, VALUE = Symbol("?entity"), Symbol("?value")
TERMS = 3  # entity, attribute, value


@dataclass(frozen=True, eq=False)
class Views:
    """The derived attributes of some databases."""

    rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)  # by the name of the call
    readings: Mapping[Keyword, Map | Symbol] = field(default_factory=dict)
    stored: frozenset[Clause] = frozenset()  # patterns that are about facts

    def asked(self, pattern: Pattern) -> Clause:
        """Return what answers a pattern: itself, or a call of its attribute's rules."""
        terms = pattern.terms
        if len(terms) == 1 or not isinstance(terms[1], Constant) or pattern in self.stored:
            return pattern
        attribute = terms[1].value
        if not isinstance(attribute, Keyword):
            return pattern
        if attribute in self.readings and len(terms) >= TERMS:
            terms = (*terms[:2], self._read(attribute, terms[2]), *terms[TERMS:])
            pattern = replace(pattern, terms=terms)
        name = PREFIX + attribute.name
        if name not in self.rules or len(terms) > TERMS:
            return pattern
        value = terms[2] if len(terms) == TERMS else BLANK
        return Call(pattern.source, name, (terms[0], value), pattern.form)

    def _read(self, attribute: Keyword, term: Term) -> Term:
        if not isinstance(term, Constant):
            return term
        reading = self.readings[attribute]
        if isinstance(reading, Map):
            return Constant(reading.get(term.value, term.value))
        named = isinstance(term.value, Symbol | Keyword)
        return Constant(term.value.name) if named else term  # type: ignore[attr-defined]


NO_VIEWS = Views()


@lru_cache(VIEWS_KEPT)
def views_of(attributes: frozenset[Attribute]) -> Views:
    """Return the views of attributes, parsed. Raises QueryError."""
    rules: dict[str, tuple[Rule, ...]] = {}
    stored: set[Clause] = set()
    for attribute in attributes:
        if attribute.rule is not None:
            fact = Pattern(
                DEFAULT_SOURCE, (ENTITY, Constant(attribute.ident), VALUE), attribute.ident
            )
            stored.add(fact)
            rules |= _rules_of(attribute, attribute.rule)
            name = PREFIX + attribute.ident.name
            facts = Rule(name, (ENTITY, VALUE), frozenset(), (fact,), attribute.ident)
            rules[name] = (facts, *rules.get(name, ()))
    readings = {a.ident: a.reading for a in attributes if a.reading is not None}
    return Views(rules, readings, frozenset(stored))


def _rules_of(attribute: Attribute, text: str) -> dict[str, tuple[Rule, ...]]:
    """Return an attribute's rules under names of its own."""
    own = attribute.ident.name
    plain = parse_rules(text).by_name
    names = {name: PREFIX + (own if name == own else f"{own} {name}") for name in plain}
    return {
        names[name]: tuple(
            replace(rule, name=names[name], body=renamed(rule.body, names)) for rule in rules
        )
        for name, rules in plain.items()
    }


def shown(name: str) -> str:
    """Return a rule's name as people wrote it."""
    return name.removeprefix(PREFIX).rpartition(" ")[2]

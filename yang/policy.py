"""Policies: rules that say which programs, and whose agents, a node does not take.

Is:     policy files read and checked; evaluated together over a program, where it stands, and who brings it.
Is not: what is known of agents and tokens (`yind.admission` states that as facts), nor what refusing means.
Fits:   `yin policy check` asks here without a node, `yind.admission` at every arrival.

A policy file is EDN: a vector of Datalog rules, as `yin lint --rules` takes them, some of which derive

    (violation ?what ?message)      ?what: a node of the AST, or a token or the agent
    (exempt ?policy)                violations of that policy do not count; its name as a keyword, or :all

They may read all facts of the AST, all relations of the passes, and what is stated of the agent. Names that a file
derives are its own. What every file says is found in one evaluation, under a budget; a policy that cannot be
evaluated in it refuses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, NamedTuple

from datomstore import edn
from datomstore.datalog import Budget, QueryError, derive
from datomstore.value import Keyword, List, Symbol
from yang import rules
from yang.analysis import TX
from yang.ast_datoms import ENTITY_BASE
from yang.columns import Facts
from yang.errors import Source
from yang.forms import text_of
from yang.nodes import Tree
from yang.passes import FACTS_SCHEMA, PASSES, RELATIONS, Subject, files_of, subject_of
from yang.pause import collector_paused
from yang.program import Program, tree_of
from yang.raised import core_forms
from yang.rule_files import (
    START,
    RuleFile,
    RulesInvalid,
    check_free,
    failed,
    head_name,
    invalid,
    names_in,
    passes_of,
    rule_file,
    rule_forms,
)
from yang.segment import Span, place_in

VIOLATION, EXEMPT = "violation", "exempt"
HEADS = {VIOLATION: 2, EXEMPT: 1}
EVERY_POLICY = Keyword("all")
AGENT_FACTS = frozenset(
    {"agent", "token", "right"}
)  # namespaces of what differs from agent to agent
OWN_ENTITIES = 1 << 40  # of facts that are not of the program
VIOLATIONS_MAX = 20  # told of one policy; how many there are is told, too
PRIVATE_ENTITIES = 1 << 20  # own entities from here on are of private streams
TEXT_MAX = 120  # characters of a node's source

Fact = tuple[int, str, object]  # entity from 0 on, attribute, value; a value may be Entity


class Entity(NamedTuple):
    """As the value of a Fact: another entity of the same facts, or a node."""

    number: int
    is_node: bool = False


class Code(NamedTuple):
    """A program to be judged."""

    hash: bytes
    tree: Tree
    subject: Subject


def code_of(program: Program) -> Code:
    """Return a program's facts, ready for policies. Raises ProgramInvalid."""
    tree = tree_of(program)
    return Code(program.hash, tree, subject_of(tree))


_NOTHING: Fact = (0, "policy/judged", True)  # so that there is a fact


class Policy(NamedTuple):
    """One policy file."""

    name: str  # the file's name without its ending
    doc: str  # its first comment
    text: str
    file: RuleFile  # its own names have the policy's before them
    heads: frozenset[str]  # what it derives
    of_agent: bool  # reads what differs from agent to agent
    of_code: bool  # reads the program


class Violation(NamedTuple):
    """One reason why a policy refuses."""

    policy: str
    message: str
    program: bytes = b""  # hash; none if it is not about code
    node: int = -1  # by pre-order index
    kind: str = ""  # of the node
    source: str = ""  # name of the file
    span: Span = Span(0, 0, 0, 0)
    text: str = ""  # the node as source

    def __str__(self) -> str:
        place = f"{self.source}:{self.span.line}:{self.span.column}: " if self.program else ""
        shown = f"\n  {self.text}" if self.text else ""
        return f"{place}{self.message} [{self.policy}]{shown}"


@dataclass(frozen=True)
class Judgement:
    """What policies say: violations, of each policy at most VIOLATIONS_MAX, and which policies do not count."""

    violations: tuple[Violation, ...] = ()
    exempt: frozenset[Keyword] = frozenset()
    count: int = 0  # of violations

    @property
    def counted(self) -> tuple[Violation, ...]:
        """Return the violations that are not exempt."""
        if EVERY_POLICY in self.exempt:
            return ()
        return tuple(each for each in self.violations if Keyword(each.policy) not in self.exempt)

    def __or__(self, other: Judgement) -> Judgement:
        return Judgement(
            self.violations + other.violations,
            self.exempt | other.exempt,
            self.count + other.count,
        )


BEGINS: Fact = (0, "standing/begins", Entity(0, is_node=True))  # the program has not begun


def private_facts(streams: Iterable[str]) -> list[Fact]:
    """Return the facts that streams are private."""
    names = sorted(set(streams))
    return [
        (PRIVATE_ENTITIES + number, "private/stream", name) for number, name in enumerate(names)
    ]


# -- files --


def read_policy(text: str, name: str) -> Policy:
    """Return the policy of a file's text. Raises RulesInvalid."""
    source, forms = rule_forms(text, name)
    policy = PurePath(name).stem
    own = {head_name(form) for form in forms}
    if not own & HEADS.keys():
        hint = '[[(violation ?node "...") clauses ...]]'
        raise invalid("no rule derives a violation", START, source, hint)
    for form in forms:
        _check_head(form.value[0].value, form.value[0].span, source)
        check_free(form, source, RELATIONS)
    file = rule_file(source, forms, lambda value: _renamed(value, policy, own))
    names = set(_attributes(tuple(file.rules)))
    reads_any = None in names
    of_agent = reads_any or bool(names & AGENT_FACTS)
    of_code = reads_any or bool(names - AGENT_FACTS) or bool(passes_of(file.rules))
    made = Policy(policy, _comment(text), text, file, frozenset(own), of_agent, of_code)
    judge([made], None, ())  # what cannot be evaluated whatever the program is
    return made


def _check_head(head: Sequence[Any], span: Span, source: Source) -> None:
    wanted = HEADS.get(head[0].value)
    if wanted is not None and len(head) != 1 + wanted:
        shape = "(violation ?what ?message)" if wanted == 2 else "(exempt ?policy)"
        raise invalid(f"it has {len(head) - 1} parts", span, source, f"it is {shape}")


def _renamed(value: object, policy: str, own: Set[str]) -> object:
    """Return a rule or clause whose own relations have the policy's name before theirs."""
    if isinstance(value, List):
        parts = [_renamed(part, policy, own) for part in value]
        if value and isinstance(value[0], Symbol) and value[0].name in own:
            parts[0] = Symbol(f"{policy}.{value[0].name}")
        return List(parts)
    if isinstance(value, tuple):
        return tuple(_renamed(part, policy, own) for part in value)
    return value


def _attributes(value: object) -> Iterable[str | None]:
    """Yield the namespaces of the attributes that rules read; None for one that is not written out."""
    if isinstance(value, List):
        for part in value[1:]:
            yield from _attributes(part)
    elif isinstance(value, tuple):
        if len(value) > 1 and not isinstance(value[0], (List, tuple)):
            attribute = value[1]
            yield (attribute.namespace or "") if isinstance(attribute, Keyword) else None
        else:
            for part in value:
                yield from _attributes(part)


def _comment(text: str) -> str:
    """Return the comment that a text begins with."""
    lines: list[str] = []
    for line in text.splitlines():
        if not line.startswith(";"):
            break
        lines.append(line.lstrip(";").removeprefix(" "))
    return "\n".join(lines).strip()


def explained(policy: Policy) -> dict[str, object]:
    """Return what a policy says of itself, for people."""
    relations = sorted({name for name in names_in(policy.file.rules) if name in RELATIONS})
    attributes = sorted({str(each) for each in _keywords(policy.file.rules)})
    holds = "for the code and the place in it" if policy.of_code else "for what the tokens say"
    if policy.of_agent and policy.of_code:
        holds = "for the code, the place in it, and what the tokens say"
    return {
        "policy": policy.name,
        "doc": policy.doc,
        "rules": len(policy.file.rules),
        "derives": ", ".join(sorted(policy.heads & HEADS.keys())),
        "relations": ", ".join(relations),
        "attributes": ", ".join(attributes),
        "passes": ", ".join(files_of(passes_of(policy.file.rules))),
        "verdict": f"kept {holds}",
    }


def _keywords(value: object) -> Iterable[Keyword]:
    """Yield the attributes that rules read."""
    if isinstance(value, tuple):
        pattern = len(value) > 1 and not isinstance(value[0], tuple)
        if pattern and not isinstance(value, List) and isinstance(value[1], Keyword):
            yield value[1]
        for part in value:
            yield from _keywords(part)


def digest(policies: Iterable[Policy]) -> bytes:
    """Return a hash of what policies say, and of the rules that they may read."""
    whole = hashlib.sha256(rules.digest())
    for name in PASSES:
        whole.update(rules.text_of(f"{name}.dl").encode() + b"\0")
    for policy in policies:
        whole.update(f"{policy.name}\0{policy.text}\0".encode())
    return whole.digest()


# -- judging --


def judge(
    policies: Sequence[Policy],
    code: Code | None,
    facts: Iterable[Fact],
    *,
    budget: Budget | None = None,
) -> Judgement:
    """Return what policies say of a program (None: of what the facts say alone).

    `facts` say where it stands, and who brings it; their entities count from 0.

    Raises:
        RulesInvalid: a rule cannot be evaluated, or does not come to an end within the budget.
    """
    wanted = [
        f"{policy.name}.{head}" for policy in policies for head in HEADS if head in policy.heads
    ]
    if not wanted:
        return Judgement()
    found = _derived(policies, wanted, code, facts, budget)
    exempt = {value for policy in policies for (value,) in found.get(f"{policy.name}.exempt", ())}
    told: list[Violation] = []
    count = 0
    for policy in policies:
        rows = found.get(f"{policy.name}.violation", ())
        count += len(rows)
        told += _told(policy, rows, code)
    kept = frozenset(value for value in exempt if isinstance(value, Keyword))
    return Judgement(tuple(told), kept, count)


def _told(policy: Policy, rows: Sequence[Sequence[Any]], code: Code | None) -> list[Violation]:
    """Return the first violations of a policy, in the order of the source."""
    violations = [_violation(policy, row, code) for row in rows]
    violations.sort(key=lambda each: (each.source, each.span, each.message))
    return [_with_text(each, code) for each in violations[:VIOLATIONS_MAX]]


def derived(
    policy: Policy, relation: str, facts: Iterable[Fact], *, budget: Budget | None = None
) -> list[tuple[Any, ...]]:
    """Return the answers of one of a file's own relations over plain facts, without a program. Raises RulesInvalid."""
    name = f"{policy.name}.{relation}"
    return _derived([policy], [name], None, facts, budget)[name]


def _derived(
    policies: Sequence[Policy],
    wanted: Sequence[str],
    code: Code | None,
    facts: Iterable[Fact],
    budget: Budget | None,
) -> dict[str, list[tuple[Any, ...]]]:
    own = tuple(rule for policy in policies for rule in policy.file.rules)
    whole = (*rules.load(*files_of(passes_of(own))), *own)
    columns = Facts(ENTITY_BASE) if code is None else code.subject.columns.twin()
    columns.say([_stated(fact) for fact in (_NOTHING, *facts)])
    try:
        with collector_paused():
            return derive(whole, wanted, columns.database(TX, FACTS_SCHEMA), budget=budget)
    except QueryError as error:
        raise _blamed(error, policies) from error


def _stated(fact: Fact) -> tuple[int, Keyword, object]:
    entity, attribute, value = fact
    if isinstance(value, Entity):
        value = value.number + (ENTITY_BASE if value.is_node else ENTITY_BASE + OWN_ENTITIES)
    return OWN_ENTITIES + entity, Keyword(attribute), value


def _blamed(error: QueryError, policies: Sequence[Policy]) -> RulesInvalid:
    """Return the error of the policy whose clause it is; of the first if it is none's."""
    for policy in policies:
        if error.clause_text in policy.file.places:
            return failed(error, policy.file)
    return failed(error, policies[0].file)


def _violation(policy: Policy, row: Sequence[Any], code: Code | None) -> Violation:
    what, message = row
    told = message if isinstance(message, str) else edn.write(message)
    if code is None or not isinstance(what, int):
        return Violation(policy.name, told)
    node = what - ENTITY_BASE
    if not 0 <= node < len(code.tree.items):
        return Violation(policy.name, told)
    item = code.tree.items[node]
    name = str(code.tree.items[0].scalars[0])
    source, span = place_in(code.tree.parts, name, item.span)
    return Violation(policy.name, told, code.hash, node, item.kind.name, source, span)


def _with_text(violation: Violation, code: Code | None) -> Violation:
    """Return a violation with its node as source, where that is an expression and not too long."""
    if code is None or violation.node <= 0:
        return violation
    tree = code.tree
    end = tree.placed.ends[violation.node] + 1
    if end - violation.node > TEXT_MAX or not _is_expression(violation.kind):
        return violation
    program = tree.items[0]._replace(counts=(1,))
    form = core_forms(Tree([program, *tree.items[violation.node : end]]))[0]
    text = " ".join(text_of(form).split())
    return violation._replace(text=text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}...")


def _is_expression(kind: str) -> bool:
    return kind not in ("arity", "parameter", "binding", "catch", "program")

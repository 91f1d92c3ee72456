"""Which decisions are meant: what a person says of them, resolved to what decisions have.

Is:     a selection, what of it a node does, and what is done here; names of agents and members as decisions name them.
Is not: asking for decisions, nor showing them (`cli.commands.audit`).
Fits:   `yin audit`. What selects nothing by mistake is an error: an empty table says that there was no such decision.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from capabilities.keys import PublicKey
from capabilities.tokens import Token
from cli.audit_words import checked_word
from cli.cluster import Cluster
from cli.connect import connected
from cli.errors import CliError, Exit
from datomstore.value import Map
from protocol.client import Client

QUERY = """
[:find ?e ?at ?who ?verb ?resource ?allowed ?reason ?effect ?block ?granted
 :in $ {inputs}
 :where {filters} [?e :audit/at-ms ?at] [?e :audit/who ?who] [?e :audit/verb ?verb] [?e :audit/resource ?resource]
        [?e :audit/allowed ?allowed] [(get-else $ ?e :audit/reason "") ?reason]
        [(get-else $ ?e :audit/effect "") ?effect] [(get-else $ ?e :audit/block "") ?block]
        [(get-else $ ?e :audit/granted "") ?granted]]
"""

AGENT_DIGITS = 12  # of an agent's id, as decisions have them
KEY_CHARACTERS = 12  # of a key's text; fewer may be a name that was mistyped
HEX = re.compile(r"[0-9a-f]{1,64}")
KEY = re.compile(rf"[a-z2-7]{{{KEY_CHARACTERS},55}}")
ADDRESS = re.compile(r"[0-9a-f]*[.:][0-9a-f.:]*")  # of who was turned away


class Selection(NamedTuple):
    """Which decisions are meant; None does not narrow."""

    who: tuple[str, ...] | None = None  # as they begin
    resource: str | None = None  # a pattern
    verb: str | None = None  # or the name of an effect
    allowed: bool | None = None
    since_ms: int | None = None
    block: str | None = None  # hexadecimal digits of a token's block, as they begin
    granted: frozenset[str] = (
        frozenset()
    )  # blocks after that one, with which agents were given tokens

    def query(self) -> tuple[str, tuple[object, ...]]:
        """Return the query, which does what can be done at the node, and its inputs."""
        clauses: list[tuple[str, str, object]] = []
        if self.allowed is not None:
            clauses.append(("?only", "[?e :audit/allowed ?only]", self.allowed))
        if self.since_ms is not None:
            clauses.append(("?since", "[?e :audit/at-ms ?at] [(>= ?at ?since)]", self.since_ms))
        names = " ".join(name for name, _, _ in clauses)
        filters = " ".join(clause for _, clause, _ in clauses)
        inputs = tuple(value for _, _, value in clauses)
        return QUERY.format(inputs=names, filters=filters), inputs

    def rows(self, node: str, answer: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """Yield the decisions of a node that are meant, of those that the query found there."""
        for entity, at_ms, who, verb, resource, allowed, reason, effect, block, granted in answer:
            row = {
                "at_ms": at_ms,
                "node": node,
                "who": who,
                "effect": effect,
                "verb": verb.name,
                "resource": resource,
                "allowed": allowed,
                "block": _hex(block),
                "granted": _hex(granted) or _hex(block),
                "reason": reason,
                "entity": entity,
            }
            if self._holds(row):
                yield row

    def _holds(self, row: Mapping[str, Any]) -> bool:
        return (
            row["who"].startswith(self.who or "")
            and fnmatchcase(row["resource"], self.resource or "*")
            and self.verb in (None, row["verb"], row["effect"])
            and (self.block is None or self._is_under_block(row))
        )

    def _is_under_block(self, row: Mapping[str, Any]) -> bool:
        assert self.block is not None, "that was asked for"
        return (
            row["block"].startswith(self.block)
            or row["granted"].startswith(self.block)
            or row["granted"] in self.granted
        )


def _hex(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else ""


# -- reading what a person says --


def checked_resource(cluster: Cluster, pattern: str) -> str:
    """Return a pattern of resources, which are nodes and NODE/STREAM. Raises CliError for one that no resource has."""
    if ":" in pattern:
        raise CliError(
            f"a stream is {pattern.replace(':', '/')!r} here, not {pattern!r}", exit_code=Exit.USAGE
        )
    parts = pattern.split("/")
    if not all(parts) or len(parts) > 2 or pattern.count("[") != pattern.count("]"):
        raise CliError(
            f"{pattern!r} is neither NODE nor NODE/STREAM, in which * is any text",
            exit_code=Exit.USAGE,
        )
    if len(parts) == 2 and not set("*?[") & set(parts[0]):
        cluster.node(parts[0])  # there are no decisions about the streams of another one
    return pattern


def checked_block(text: str) -> str:
    """Return the digits that a block's id begins with. Raises CliError."""
    if not HEX.fullmatch(text.lower()):
        raise CliError(
            f"{text!r} is not the id of a block, nor its beginning",
            exit_code=Exit.USAGE,
            hint="yin token inspect @FILE",
        )
    return text.lower()


def selection_of(
    cluster: Cluster,
    *,
    who: str | None,
    resource: str | None,
    verb: str | None,
    allowed: bool | None,
    since_ms: int | None,
    block: str | None,
) -> Selection:
    """Return the selection that options mean; nodes are asked for names and tokens. Raises CliError."""
    return Selection(
        resource=None if resource is None else checked_resource(cluster, resource),
        verb=None if verb is None else checked_word(verb),
        allowed=allowed,
        since_ms=since_ms,
        block=None if block is None else checked_block(block),
        who=None if who is None else whom(cluster, who),
        granted=frozenset() if block is None else granted_under(cluster, checked_block(block)),
    )


def whom(cluster: Cluster, text: str) -> tuple[str, ...]:
    """Return how those begin whom a text means: an agent by id or name, a member, a key, an address. Raises CliError."""
    if HEX.fullmatch(text.lower()) and len(text) >= AGENT_DIGITS:
        return (text.lower()[:AGENT_DIGITS],)
    found = [*_keys_of(cluster, text), *sorted(_agents_named(cluster, text))]
    if HEX.fullmatch(text.lower()):
        found.append(text.lower())
    if not found and (KEY.fullmatch(text.lower()) or ADDRESS.fullmatch(text.lower())):
        found.append(text.lower())
    if not found:
        raise CliError(
            f"{text!r} is no agent of this cluster, by id or name, no member, and no key, of which "
            f"{KEY_CHARACTERS} characters are enough",
            exit_code=Exit.USAGE,
            hint="yin ps; of an agent that was forgotten the id is needed",
        )
    return tuple(found)


def _keys_of(cluster: Cluster, name: str) -> list[str]:
    """Return the texts of the keys that a member has and had."""
    members = cluster.members
    keys: list[PublicKey] = []
    for member in members:
        key: PublicKey | None = member.key if member.name == name else None
        while key is not None and key not in keys:
            keys.append(key)
            key = members.lineage.predecessor(key)
    return [key.text for key in keys]


def _agents_named(cluster: Cluster, name: str) -> set[str]:
    def named(client: Client) -> set[str]:
        rows = client.request("agent.list", Map({}))["value"]
        return {row["id"].hex()[:AGENT_DIGITS] for row in rows if row["name"] == name}

    return _of_all(cluster, named)


def granted_under(cluster: Cluster, block: str) -> frozenset[str]:
    """Return with which blocks agents of today were given tokens that have a block whose id begins so.

    A decision has the last block of the token that was given, and not those that it was narrowed from; the tokens have.
    """

    def granted(client: Client) -> set[str]:
        found: set[str] = set()
        for agent in client.request("token.agents", Map({"block": block}))["value"]:
            for row in client.request("agent.tokens", Map({"id": agent.hex()}))["value"]:
                found |= _granted_after(Token.from_bytes(row["token"]), block)
        return found

    return frozenset(_of_all(cluster, granted))


def _granted_after(token: Token, block: str) -> set[str]:
    ids = [identity.hex() for identity in token.ids]
    granted = token.blocks[-1].terms.granted
    return {ids[granted]} if any(one.startswith(block) for one in ids[:granted]) else set()


def _of_all(cluster: Cluster, ask: Callable[[Client], set[str]]) -> set[str]:
    """Return what nodes answer, as far as they answer, and whoever asks may ask for more than decisions."""
    found: set[str] = set()
    for member in cluster.nodes():
        try:
            with connected(cluster, member.name) as client:
                found |= ask(client)
        except CliError as error:
            if error.exit_code not in (Exit.UNREACHABLE, Exit.DENIED):
                raise
    return found

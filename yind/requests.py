"""What agents ask for, until somebody answers.

Is:     `request-token`: a request that is a fact in the stream `requests`, a paused agent that waits for the answer, and
        the answers: of a person, or of rules that the operator gave the node.
Is not: a right: who grants gives a token of their own, narrowed; rules give one that a person bound to this node for it.
Fits:   `yind.effects` asks, `yind.control` brings the answers of people; all of it is durable with the agent's state.

The effect stays unanswered while the agent waits, so whatever happens to the node, it is asked again, and then either
finds the answer in the agent's record or waits on. An agent moved by a person asks anew where it arrives.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import structlog
import trio

from capabilities.caveats import ON_STREAMS, Caveats, Resource, Rights, Verb
from capabilities.errors import CapabilityError
from capabilities.handles import Handle
from capabilities.keys import PublicKey
from capabilities.patterns import check_pattern
from datomstore import edn
from datomstore.batch import Batch
from datomstore.database import Database
from datomstore.datalog import Budget, q
from datomstore.errors import DatomstoreError
from datomstore.streams import Stream
from datomstore.value import Keyword, Map, Set
from yind.admission import Bearer, proven_owner
from yind.agent import Agent, Asked, State
from yind.agents import Agents
from yind.authority import Authority, verb_name
from yind.cesk import Machine
from yind.clock import Clock
from yind.commits import Work
from yind.errors import (
    AdmissionRefused,
    AgentState,
    AgentUnknown,
    Denied,
    EffectInvalid,
    RequestInvalid,
)
from yind.glimpses import shown
from yind.limits import (
    ASK_STREAMS_MAX,
    ASK_TEXT_MAX,
    ASK_TTL_S_MAX,
    QUERY_ROWS_MAX,
    QUERY_SECONDS_MAX,
    TOKENS_PER_AGENT_MAX,
)

REQUEST_STREAM = "requests"
REQUEST_BYTES = 6  # of a request's id
TTL_S = 3600  # of what rules grant to who asked for no time, and at most unless they say so
HEADS = {  # what rules say; each part of a request is granted on its own
    "refuse": ("?r", "?why"),
    "grant": ("?r", "?verb", "?stream"),
    "grant-budget": ("?r", "?resource", "?most"),
    "grant-ttl": ("?r", "?most"),
}

_MANY = (Keyword("db/cardinality"), Keyword("db.cardinality/many"))
_SCHEMA = (
    Map(
        {
            Keyword("db/ident"): Keyword("request/id"),
            Keyword("db/unique"): Keyword("db.unique/identity"),
        }
    ),
    Map([(Keyword("db/ident"), Keyword("request/verb")), _MANY]),
    Map([(Keyword("db/ident"), Keyword("request/stream")), _MANY]),
)

_log = structlog.get_logger()


# -- the seam: what a policy says --


@dataclass(frozen=True, slots=True)
class Grant:
    """The request is to be granted as it is."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The request is to be refused."""

    why: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A person is to answer."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules with the heads of `HEADS`, and what they may grant from."""

    rules: tuple[object, ...]
    token: bytes  # bound to the node


def answer(asked: Asked, facts: Database, rules: tuple[object, ...]) -> Grant | Refuse | Ask:
    """Return what rules say to a request, given the facts of all requests; a refusal wins. Raises QueryError.

    Rules that grant a part of what is asked for grant nothing: the request is for all of it.
    """
    said = _Said(asked.id, facts, rules)
    if whys := said.rows("refuse"):
        return Refuse(min(str(why) for (why,) in whys))
    return Grant() if _all_is_granted(asked, said) else Ask()


class _Said:
    """What rules derive of one request."""

    def __init__(self, request: str, facts: Database, rules: tuple[object, ...]) -> None:
        self._request, self._facts, self._rules = request, facts, rules
        self._heads = {_head(rule)[0] for rule in rules}

    def rows(self, head: str) -> set[tuple[object, ...]]:
        """Return what a head is derived with, beside the request."""
        if head not in self._heads:
            return set()
        names = " ".join(HEADS[head][1:])
        query = f"[:find {names} :in $ % ?id :where [?r :request/id ?id] ({head} ?r {names})]"
        budget = Budget(rows=QUERY_ROWS_MAX, seconds=QUERY_SECONDS_MAX)
        return {
            tuple(row) for row in q(query, self._facts, self._rules, self._request, budget=budget)
        }


def _all_is_granted(asked: Asked, said: _Said) -> bool:
    """Return whether each verb on each pattern is granted, as it is written, and so much of each budget and of time."""
    if not said.rows("grant").issuperset(product(_keywords(asked.verbs), asked.streams)):
        return False
    amounts = said.rows("grant-budget") if asked.budget else set()
    for name, amount in asked.budget.items():
        if amount > _most(most for resource, most in amounts if resource == Keyword(name)):
            return False
    ttl_s = asked.ttl_s or TTL_S
    return ttl_s <= TTL_S or ttl_s <= _most(most for (most,) in said.rows("grant-ttl"))


def _most(amounts: Iterable[object]) -> int:
    return max((amount for amount in amounts if type(amount) is int), default=0)


def _keywords(verbs: int) -> tuple[Keyword, ...]:
    return tuple(Keyword(verb_name(verb)) for verb in Verb if verb & verbs)


# -- asking --


def asked_of(wanted: object, identity: str, now_ms: int) -> Asked:
    """Return the request that a map says. Raises EffectInvalid."""
    if not isinstance(wanted, Map):
        raise EffectInvalid("request-token: what is asked for is a map")
    known = {Keyword(name) for name in ("verbs", "streams", "budget", "ttl-s", "reason")}
    for key in wanted:
        if key not in known:
            raise EffectInvalid(f"request-token: no key {shown(key)}; there are {_listed(known)}")
    ttl_s = wanted.get(Keyword("ttl-s"))
    if ttl_s is not None and not _is_amount(ttl_s, ASK_TTL_S_MAX):
        raise EffectInvalid(f"request-token: :ttl-s is 1 to {ASK_TTL_S_MAX} seconds")
    verbs = _verbs(wanted.get(Keyword("verbs"), ()))
    streams = _streams(wanted.get(Keyword("streams"), ()))
    budget = _budget(wanted.get(Keyword("budget"), Map()))
    if bool(verbs) != bool(streams) or not (verbs or budget):
        raise EffectInvalid("request-token: ask for :verbs on :streams, for a :budget, or both")
    for right in (Rights(Verb(verbs), pattern) for pattern in streams):
        if right.idle == right.verbs:
            raise EffectInvalid(f"request-token: {_nothing_named(right)}")
    reason = _text(wanted.get(Keyword("reason"), ""), ":reason")
    return Asked(identity, verbs, streams, budget, ttl_s, reason, now_ms)


def _nothing_named(right: Rights) -> str:
    """Return why a right would be one on nothing."""
    name = shown(right.pattern)
    if right.idle & ON_STREAMS:
        return f"{name} names no stream; say {shown('NODE/' + right.pattern)}, or {shown('*/' + right.pattern)}"
    return f"{name} names no node"


def _listed(keys: set[Keyword]) -> str:
    return ", ".join(sorted(f":{key.name}" for key in keys))


def _is_amount(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most


def _items(value: object, name: str) -> list[object]:
    if not isinstance(value, (tuple, Set)) or len(value) > ASK_STREAMS_MAX:
        raise EffectInvalid(
            f"request-token: {name} is a vector or set of at most {ASK_STREAMS_MAX}"
        )
    return list(value)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value.encode()) > ASK_TEXT_MAX:
        raise EffectInvalid(f"request-token: {name} is text of at most {ASK_TEXT_MAX} bytes")
    return value


def _verbs(value: object) -> int:
    mask = 0
    for item in _items(value, ":verbs"):
        name = item.name.upper() if isinstance(item, Keyword) else ""
        if name not in Verb.__members__:
            raise EffectInvalid(f"request-token: {shown(item)} is no verb")
        mask |= Verb[name]
    return mask


def _streams(value: object) -> list[str]:
    found = [_text(item, "a stream") for item in _items(value, ":streams")]
    try:
        for pattern in found:
            check_pattern(pattern)
    except CapabilityError as error:
        raise EffectInvalid(f"request-token: {error}") from error
    return found


def _budget(value: object) -> dict[str, int]:
    if not isinstance(value, Map):
        raise EffectInvalid("request-token: :budget is a map")
    found: dict[str, int] = {}
    for key, amount in value.items():
        name = key.name if isinstance(key, Keyword) else ""
        if name.upper() not in Resource.__members__ or not _is_amount(amount, 2**63 - 1):
            raise EffectInvalid(f"request-token: {shown(key)} {shown(amount)} is no budget")
        found[name] = int(str(amount))
    return found


def words_of(asked: Asked) -> str:
    """Return a request in one line."""
    verbs = ",".join(verb_name(verb) for verb in Verb if verb & asked.verbs)
    wants = [f"{verbs} {' '.join(asked.streams)}"] if asked.verbs else []
    wants += [f"{amount} {name}" for name, amount in sorted(asked.budget.items())]
    return "; ".join(wants) + (f" ({asked.reason})" if asked.reason else "")


def caveats_of(asked: Asked, agent: bytes, now_s: int) -> Caveats:
    """Return the caveats of a block that grants exactly what was asked for."""
    rights = tuple(Rights(Verb(asked.verbs), pattern) for pattern in asked.streams)
    return Caveats(
        exp=now_s + (asked.ttl_s or TTL_S),
        rights=rights,
        agent=agent,
        budget={Resource[name.upper()]: n for name, n in asked.budget.items()} or None,
    )


# -- the requests of a node --

Check = Callable[[Agent, Machine, Sequence[Handle]], Awaitable[None]]
Write = Callable[[Agent, Work], Awaitable[None]]  # an agent, with what else is to be durable


async def _unchecked(agent: Agent, machine: Machine, tokens: Sequence[Handle]) -> None:
    pass


class Requests:
    """All requests of one node's agents."""

    def __init__(
        self,
        *,
        node: str,
        agents: Agents,
        authority: Authority,
        clock: Clock,
        policy: Policy | None,
    ) -> None:
        self._node = node
        self._agents = agents
        self._authority = authority
        self._clock = clock
        self._policy = policy
        self.ready: Callable[[Agent], None] = lambda agent: (
            None
        )  # queues an agent that was answered
        self.check: Check = _unchecked  # whether an agent that waits may have tokens
        self.watchers: set[Callable[[], None]] = set()

    def pending(self) -> list[Agent]:
        """Return the agents that wait for an answer, those who have waited longest first."""
        waiting = [
            agent
            for agent in self._agents
            if agent.record.state is State.PAUSED and _pending(agent) is not None
        ]
        return sorted(waiting, key=lambda agent: agent.record.since_ms)

    async def ask(self, agent: Agent, machine: Machine, arguments: Sequence[object]) -> None:
        """Answer `request-token`, or let its agent wait. Raises EffectInvalid, also where it was refused."""
        asked = agent.record.asked
        if asked is None:
            identity = self._clock.random_bytes(REQUEST_BYTES).hex()
            asked = agent.record.asked = asked_of(arguments[0], identity, self._clock.now_ms())
            facts = _facts(agent, machine, asked)
            try:
                await self._agents.commit(agent, lambda batch: self._state(batch, facts))
            except BaseException:
                agent.record.asked = None  # so that it is asked anew, and the facts say so
                raise
        if asked.answer == "pending":
            await self._consult(agent, machine, asked)
        if asked.answer == "pending":
            await self._wait(agent, asked)
            return
        agent.record.asked = None
        if asked.answer == "refused":
            data = Map({Keyword("request"): asked.id, Keyword("why"): asked.why})
            machine.resume_error(f"the request was refused: {asked.why}", data)
        else:
            machine.resume(True)

    async def _wait(self, agent: Agent, asked: Asked) -> None:
        await self._agents.pause(agent, f"asks for {words_of(asked)}", denied_right=words_of(asked))
        self._tell()

    def _state(self, batch: Batch, facts: Map) -> None:
        stream: Stream = self._agents.streams.open(REQUEST_STREAM)
        if stream.db().schema.get(Keyword("request/id")) is None:
            batch.transact(stream, _SCHEMA)
        batch.transact(stream, [facts])

    def _tell(self) -> None:
        for watcher in tuple(self.watchers):
            watcher()

    # -- answers --

    def find(self, identity: str) -> Agent:
        """Return the agent whose request has an id or a prefix of one. Raises AgentUnknown."""
        found = [a for a in self.pending() if (_pending(a) or "").startswith(identity)]
        if not identity or len(found) != 1:
            raise AgentUnknown(f"no request {identity!r} waits on node {self._node}")
        return found[0]

    async def grant(
        self, agent: Agent, tokens: Sequence[Handle], data: Sequence[bytes], who: str
    ) -> None:
        """Give an agent what it asked for; it goes on at the same step. Raises Denied, RequestInvalid or AgentState."""
        await self._grant(agent, self._still_pending(agent), tokens, data, who)

    async def refuse(self, agent: Agent, why: str, who: str) -> None:
        """Refuse what an agent asked for, which goes on with an error that it can catch. Raises AgentState."""
        await self._answered(agent, self._still_pending(agent), "refused", why, who)

    async def _grant(
        self,
        agent: Agent,
        asked: Asked,
        tokens: Sequence[Handle],
        data: Sequence[bytes],
        who: str,
    ) -> None:
        self._agents.load(agent)
        if not tokens or len(tokens) + len(agent.tokens) > TOKENS_PER_AGENT_MAX:
            raise RequestInvalid(f"an agent holds at most {TOKENS_PER_AGENT_MAX} tokens")
        with self._authority.attempt(agent):
            self._authority.fund(agent, tokens)
            agent.tokens += tokens
            agent.record.tokens += data
            await self._answered(agent, asked, "granted", "", who)

    def _still_pending(self, agent: Agent) -> Asked:
        asked = agent.record.asked
        if asked is None or asked.answer != "pending" or agent.record.state is not State.PAUSED:
            raise AgentState(f"agent {agent.text_id} waits for no answer")
        return asked

    async def _answered(self, agent: Agent, asked: Asked, what: str, why: str, who: str) -> None:
        if agent.record.state is State.PAUSED:
            await self._note(agent, asked, what, why, who, self._agents.wake)
            self._tell()
            self.ready(agent)
        else:
            agent.record.denied_right = None
            await self._note(agent, asked, what, why, who, self._agents.commit)

    async def _note(
        self, agent: Agent, asked: Asked, what: str, why: str, who: str, write: Write
    ) -> None:
        """Make an answer durable, with the agent and as facts. Where that fails, it is not answered."""
        asked.answer, asked.why = what, why
        facts: dict[Keyword, object] = {
            Keyword("request/id"): asked.id,
            Keyword("request/state"): Keyword(what),
            Keyword("request/answered-by"): who,
            Keyword("request/answered-ms"): self._clock.now_ms(),
        }
        if why:
            facts[Keyword("request/why")] = why
        try:
            await write(agent, lambda batch: self._state(batch, Map(facts)))
        except BaseException:
            asked.answer, asked.why = "pending", ""
            raise

    async def _consult(self, agent: Agent, machine: Machine, asked: Asked) -> None:
        """Let the rules answer, if there are any and they do; what they may not give is left to a person."""
        if self._policy is None:
            return
        facts = self._agents.streams.get(REQUEST_STREAM).db()
        try:
            said = await trio.to_thread.run_sync(answer, asked, facts, self._policy.rules)
            if isinstance(said, Refuse):
                await self._answered(agent, asked, "refused", said.why, "policy")
            elif isinstance(said, Grant):
                now_s = self._clock.now_ms() // 1000
                caveats = caveats_of(asked, agent.record.id, now_s)
                data = self._authority.narrowed_own(self._policy.token, caveats)
                handle = self._authority.handle_own(data, agent.record.id)
                await self.check(agent, machine, [*agent.tokens, handle])
                await self._grant(agent, asked, [handle], [data], "policy")
        except (
            DatomstoreError,
            CapabilityError,
            RequestInvalid,
            Denied,
            AdmissionRefused,
        ) as error:
            _log.warning("rules did not answer a request", request=asked.id, why=str(error))

    def row(self, agent: Agent) -> Map:
        """Return what a list of requests shows."""
        asked = agent.record.asked
        assert asked is not None, agent.text_id
        return Map(
            {
                "id": asked.id,
                "agent": agent.record.id,
                "name": agent.record.name,
                "verbs": tuple(verb_name(verb) for verb in Verb if verb & asked.verbs),
                "streams": tuple(asked.streams),
                "budget": Map(asked.budget),
                "ttl_s": asked.ttl_s,
                "reason": asked.reason,
                "at_ms": asked.at_ms,
            }
        )


def _pending(agent: Agent) -> str | None:
    asked = agent.record.asked
    return asked.id if asked is not None and asked.answer == "pending" else None


def _facts(agent: Agent, machine: Machine, asked: Asked) -> Map:
    facts: dict[Keyword, object] = {
        Keyword("request/id"): asked.id,
        Keyword("request/agent"): agent.text_id,
        Keyword("request/name"): agent.record.name,
        Keyword("request/state"): Keyword("pending"),
        Keyword("request/at-ms"): asked.at_ms,
        Keyword("request/reason"): asked.reason,
    }
    facts |= _origin(agent, machine)
    facts |= {Keyword(f"request/{name}"): amount for name, amount in asked.budget.items()}
    if asked.ttl_s is not None:
        facts[Keyword("request/ttl-s")] = asked.ttl_s
    if asked.verbs:
        facts[Keyword("request/verb")] = _keywords(asked.verbs)
        facts[Keyword("request/stream")] = tuple(asked.streams)
    return Map(facts)


def _origin(agent: Agent, machine: Machine) -> dict[Keyword, object]:
    """Return whose agent it is and what program it runs, if the owner has said so: a host may write any owner down."""
    record = agent.record
    programs = [unit.program_hash for unit in machine.units()]
    owner = PublicKey(record.owner)
    if not proven_owner(Bearer(record.id, record, agent.tokens, owner), programs):
        return {}
    return {Keyword("request/owner"): owner.bytes, Keyword("request/program"): record.program}


def read_rules(text: str, source: str) -> tuple[object, ...]:
    """Return the rules of a file: one vector of rules. Raises EdnError or ValueError."""
    rules = edn.read(text, source=source)
    if not isinstance(rules, tuple) or not all(isinstance(rule, tuple) and rule for rule in rules):
        raise ValueError(f"{source}: rules are a vector of vectors")
    for name, arguments in map(_head, rules):
        wanted = HEADS.get(name)
        if wanted is not None and arguments != len(wanted):
            raise ValueError(f"{source}: the head of such rules is ({name} {' '.join(wanted)})")
    return rules


def _head(rule: object) -> tuple[str, int]:
    """Return the name of a rule and how many arguments it has; no name where that is no rule."""
    head = rule[0] if isinstance(rule, tuple) else ()
    if not isinstance(head, tuple) or not head:
        return "", 0
    return getattr(head[0], "name", ""), len(head) - 1

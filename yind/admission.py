"""Whom a node takes: its policies, asked about every agent that arrives or begins here, and about code made on the way.

Is:     the facts that policies read of agents and tokens, verdicts and how long they hold, the refusal with its reasons;
        and what private streams give to agents.
Is not: how policies are evaluated (`yang.policy`), what has been verified of tokens (`capabilities`), or who asks.
Fits:   `yind.arrivals` asks `arriving`, `yind.control` `beginning` and `entering`, `yind.effects` `made` and `check_query`.

A verdict depends on the code, where the agent stands in it, the policies, and the names of private streams; of policies
that read tokens also on what these say. It is kept under just that, so an agent that comes by again costs a look-up. What cannot
be evaluated within the budget is refused.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple, Protocol

import trio

from capabilities.caveats import Verb
from capabilities.handles import Handle
from capabilities.keys import PublicKey
from capabilities.membership import Membership
from capabilities.tokens import Block, agent_id
from capabilities.verify import VerifiedChain
from datomstore.datalog import Budget
from datomstore.streams import Streams
from datomstore.value import Keyword, Map
from yang.errors import SourceErrors, YangError
from yang.policy import (
    Code,
    Entity,
    Fact,
    Judgement,
    Policy,
    Violation,
    code_of,
    digest,
    judge,
    private_facts,
    read_policy,
)
from yang.program import HASH_SIZE, Program
from yang.queries import gives_only_aggregates
from yang.rule_files import RulesInvalid
from yang.signatures import SIGNATURES
from yang.summaries import library_signatures
from yind.authority import Authority
from yind.cesk import Machine
from yind.cesk.standing import Kind, Standing, standing
from yind.clock import Clock
from yind.code import CodeLibrary
from yind.config import AdmissionLimits
from yind.errors import AdmissionRefused, ConfigError, EffectInvalid
from yind.limits import (
    ADMISSION_ROUNDS_MAX,
    ADMISSION_ROWS_MAX,
    REFUSALS_KEPT,
    SUBJECTS_KEPT,
    VERDICTS_KEPT,
)

PRIVATE = Keyword("db.stream/private")  # a fact that takes the right to change the schema
LIFETIME_STEP_S = 60  # lifetimes of tokens are rounded up to this, so that verdicts last

PLACE_BYTES_MAX = 1_024  # of a place that verdicts are kept under as it is
MESSAGE_MAX = 500  # characters of the first violation in a refusal; the wire's reasons have 1 KiB
FAILURE_HOLDS_MS = 60_000  # what could not be evaluated is not tried again so soon

Shape = tuple[object, ...]  # what policies may read of an agent


class Place(NamedTuple):
    """Where an agent stands."""

    programs: tuple[bytes, ...]  # hashes
    standing: bytes  # `Machine.standing`
    begins: bytes = b""  # the one of them that it begins now

    def short(self) -> Place | bytes:
        """Return what verdicts are kept under: the place, or a hash of one that is long."""
        if len(self.standing) + HASH_SIZE * len(self.programs) <= PLACE_BYTES_MAX:
            return self
        whole = hashlib.sha256(len(self.programs).to_bytes(8, "big"))
        for part in (*self.programs, self.begins, self.standing):
            whole.update(len(part).to_bytes(8, "big") + part)
        return whole.digest()


class Key(NamedTuple):
    """What a verdict depends on."""

    policies: bytes  # their digest
    place: Place | bytes | None
    shape: Shape | None


class Bearer(NamedTuple):
    """Who is asked about: an agent, and what it brings."""

    agent: bytes  # id
    papers: Papers  # what is said of it
    tokens: Sequence[Handle]
    sender: PublicKey  # who brings it: a node, or who lets it begin


class Papers(Protocol):
    """What an agent's record, or what travels with it, says of its origin."""

    @property
    def owner(self) -> bytes:
        """Public key of who started it."""

    @property
    def home_key(self) -> bytes:
        """Public key of the node that was on."""

    @property
    def program(self) -> bytes:
        """Hash of what it began as."""

    @property
    def nonce(self) -> bytes:
        """What makes its id its own."""


class Policies(NamedTuple):
    """The policies of a node at one time."""

    of_code: tuple[Policy, ...] = ()
    of_agents: tuple[Policy, ...] = ()  # read tokens, or who the agent is
    digest: bytes = b""  # empty: there are none
    names: str = ""  # for people
    agents_and_code: bool = False  # one of `of_agents` reads code as well

    @property
    def all(self) -> tuple[Policy, ...]:
        """Return all of them by name."""
        return tuple(sorted(self.of_code + self.of_agents, key=lambda policy: policy.name))


class Admission:
    """The policies of one node, and what they have said."""

    def __init__(
        self,
        *,
        node: str,
        limits: AdmissionLimits,
        folder: Path,
        code: CodeLibrary,
        streams: Streams,
        authority: Authority,
        members: Callable[[], Membership],
        clock: Clock,
    ) -> None:
        self._node = node
        self._folder = folder
        self._code = code
        self._streams = streams
        self._authority = authority
        self._members = members
        self._clock = clock
        self._limits = limits
        self._policies = read_policies(limits, folder)
        self._verdicts: OrderedDict[object, Judgement] = OrderedDict()
        self._failed: OrderedDict[Key, tuple[int, Judgement]] = OrderedDict()  # until when
        self._codes: OrderedDict[bytes, Code] = OrderedDict()
        self._owners: OrderedDict[tuple[bytes, tuple[bytes, ...]], str] = OrderedDict()
        self._refusals: OrderedDict[bytes, tuple[PublicKey, Map]] = OrderedDict()
        self._private: dict[str, tuple[int, bool]] = {}  # stream -> as of which t, whether
        self._blocks: OrderedDict[bytes, tuple[object, ...]] = OrderedDict()
        self._judging = trio.CapacityLimiter(1)
        self.evaluated_count = 0  # of verdicts that were not known

    @property
    def policies(self) -> Policies:
        """Return the policies that are in force."""
        return self._policies

    def reload(self, limits: AdmissionLimits) -> Policies:
        """Put the policies of a configuration in force, all or none. Raises ConfigError."""
        policies = read_policies(limits, self._folder)
        self._limits, self._policies = limits, policies
        self._verdicts.clear()
        self._failed.clear()
        self._private.clear()
        return policies

    # -- agents --

    def knows(self, machine: Machine, bearer: Bearer) -> bool:
        """Return whether it is known that an agent may run here; raise AdmissionRefused if it is known that it may not."""
        policies = self._policies
        if not policies.digest:
            return True
        keys = self._keys(policies, _place_of(machine), bearer)
        verdicts = [self._known(key) for key in keys]
        if None in verdicts:
            return False
        self._decide(bearer, verdicts)
        return True

    async def arriving(self, machine: Machine, bearer: Bearer) -> None:
        """Return if an agent that stands somewhere may run here. Raises AdmissionRefused."""
        if self._policies.digest:
            place = await trio.to_thread.run_sync(_place_of, machine)  # a large one takes its time
            await self._check(place, machine, bearer)

    @property
    def reads_tokens(self) -> bool:
        """Return whether what an agent holds makes a difference to some policy."""
        return bool(self._policies.of_agents)

    async def giving(self, machine: Machine, bearer: Bearer) -> None:
        """Return if an agent that is here may hold just the tokens of the bearer. Raises AdmissionRefused.

        Policies that read its code alone have said what they say, and are not asked again.
        """
        place = await trio.to_thread.run_sync(_place_of, machine)
        keys = [key for key in self._keys(self._policies, place, bearer) if key.shape is not None]
        await self._look_up(keys, place, machine, bearer)

    async def beginning(self, bearer: Bearer) -> None:
        """Return if an agent's program may begin here. Raises AdmissionRefused."""
        if self._policies.digest:
            program = bearer.papers.program
            await self._check(Place((program,), b"", program), None, bearer)

    async def entering(self, machine: Machine, program: bytes, bearer: Bearer) -> None:
        """Return if an agent may go on with a further program: a session's next, one that it made. Raises AdmissionRefused."""
        if self._policies.digest:
            now = await trio.to_thread.run_sync(_place_of, machine)
            place = Place((*now.programs, program), now.standing, program)
            await self._check(place, machine, bearer)

    async def _check(self, place: Place, machine: Machine | None, bearer: Bearer) -> None:
        await self._look_up(self._keys(self._policies, place, bearer), place, machine, bearer)

    async def _look_up(
        self, keys: Sequence[Key], place: Place, machine: Machine | None, bearer: Bearer
    ) -> None:
        policies = self._policies
        verdicts = [self._known(key) for key in keys]
        if None in verdicts:
            async with self._judging:
                verdicts = await trio.to_thread.run_sync(
                    self._judged, policies, place, machine, keys
                )
        self._decide(bearer, verdicts)

    def _decide(self, bearer: Bearer, verdicts: Iterable[Judgement | None]) -> None:
        """Note that an agent is admitted, or raise AdmissionRefused."""
        if any(verdict.violations for verdict in verdicts if verdict is not None):
            self._refuse(bearer, verdicts)
        who, names = bearer.agent.hex()[:12], self._policies.names
        self._authority.accept(who, "admit", self._node, f"by {names}")

    def _refuse(self, bearer: Bearer, verdicts: Iterable[Judgement | None]) -> None:
        """Raise AdmissionRefused unless all violations are exempt."""
        whole = Judgement()
        for verdict in verdicts:
            assert verdict is not None, bearer
            whole |= verdict
        if whole.counted:
            refusal = refused(self._node, whole)
            self._refusals[bearer.agent] = bearer.sender, refusal.data
            if len(self._refusals) > REFUSALS_KEPT:
                self._refusals.popitem(last=False)
            raise refusal

    def _keys(self, policies: Policies, place: Place, bearer: Bearer) -> tuple[Key, ...]:
        """Return what verdicts on an agent depend on: one for the policies of code, one for those of agents."""
        keys: list[Key] = []
        short = place.short()
        if policies.of_code:
            keys.append(Key(policies.digest, short, None))
        if policies.of_agents:
            where = short if policies.agents_and_code else None
            keys.append(Key(policies.digest, where, self._shape(bearer, place.programs)))
        return tuple(keys)

    def _known(self, key: Key) -> Judgement | None:
        verdict = self._verdicts.get(key)
        if verdict is None and key in self._failed:
            until_ms, failure = self._failed[key]
            if self._clock.now_ms() < until_ms:
                return failure
            self._failed.pop(key, None)
        return verdict

    def _judged(
        self,
        policies: Policies,
        place: Place,
        machine: Machine | None,
        keys: Sequence[Key],
    ) -> list[Judgement | None]:
        """Return the verdicts; those not known are found."""
        places = [] if machine is None else standing(machine)
        found: list[Judgement | None] = []
        for key in keys:
            verdict = self._known(key)
            if verdict is None:
                some = policies.of_code if key.shape is None else policies.of_agents
                verdict = self._evaluated(some, place, places, key)
            found.append(verdict)
        return found

    def _evaluated(
        self,
        policies: Sequence[Policy],
        place: Place,
        places: Sequence[Standing],
        key: Key,
    ) -> Judgement:
        self.evaluated_count += 1
        try:
            verdict = self._said(policies, place, places, self._facts_of_agent(key.shape))
        except (YangError, SourceErrors) as error:
            told = f"the policies cannot be evaluated: {str(error).splitlines()[0]}"
            failure = Judgement((Violation("", told),), count=1)
            self._failed[key] = self._clock.now_ms() + FAILURE_HOLDS_MS, failure
            if len(self._failed) > REFUSALS_KEPT:
                self._failed.popitem(last=False)
            return failure
        self._verdicts[key] = verdict
        if len(self._verdicts) > VERDICTS_KEPT:
            self._verdicts.popitem(last=False)
        return verdict

    def _said(
        self,
        policies: Sequence[Policy],
        place: Place,
        places: Sequence[Standing],
        facts: Sequence[Fact],
    ) -> Judgement:
        """Return what policies say of all programs of an agent. Raises YangError when they cannot say in time."""
        budget = self._budget()
        if not any(policy.of_code for policy in policies):
            return judge(policies, None, facts, budget=budget)
        whole = Judgement()
        private = self._private_facts()
        shared = len(place.programs) > 1
        for program in dict.fromkeys(place.programs):
            begins = program == place.begins
            stands = facts_of_standing(places, program, begins=begins, shared=shared)
            told = [*stands, *private, *facts]
            whole |= judge(policies, self._analysed(program), told, budget=budget)
        return whole

    def _analysed(self, program: bytes) -> Code:
        """Return what is known of a program; of the last ones it is kept."""
        found = self._codes.get(program)
        if found is None:
            known = self._code.find(program)
            if known is None:
                raise YangError(f"program {program.hex()[:12]} is not known here")
            found = self._codes[program] = code_of(known)
            if len(self._codes) > SUBJECTS_KEPT:
                self._codes.popitem(last=False)
        return found

    def tried(self, program: Program) -> Judgement:
        """Return what the policies of code say of a program that would begin here. Raises YangError."""
        policies = self._policies.of_code
        stands = facts_of_standing((), program.hash, begins=True)
        facts = [*stands, *self._private_facts()]
        return judge(policies, code_of(program), facts, budget=self._budget())

    def _budget(self) -> Budget:
        return Budget(
            seconds=self._limits.seconds, rounds=ADMISSION_ROUNDS_MAX, rows=ADMISSION_ROWS_MAX
        )

    # -- what policies read of agents --

    def _shape(self, bearer: Bearer, programs: tuple[bytes, ...]) -> Shape:
        """Return what policies may read of an agent: the same for agents that differ in nothing of it."""
        now_s = self._clock.now_ms() // 1000
        tokens = tuple(self._token_shape(handle.token, now_s) for handle in bearer.tokens)
        owner = self._owner(bearer, programs)
        return (bearer.sender.bytes, owner, programs, tokens)

    def _facts_of_agent(self, shape: Shape | None) -> list[Fact]:
        if shape is None:
            return []
        sender = PublicKey(shape[0])  # type: ignore[arg-type]
        member = self._members().of_key(sender)
        return facts_of_agent(self._node, sender.text if member is None else member.name, shape)

    def _owner(self, bearer: Bearer, programs: tuple[bytes, ...]) -> str | None:
        """Return the key of the agent's owner as text, if it is proven; what was proven stays so."""
        known = self._owners.get((bearer.agent, programs))
        if known is not None:
            return known
        if not proven_owner(bearer, programs):
            return None
        owner = self._owners[bearer.agent, programs] = PublicKey(bearer.papers.owner).text
        if len(self._owners) > VERDICTS_KEPT:
            self._owners.popitem(last=False)
        return owner

    def _token_shape(self, token: VerifiedChain, now_s: int) -> tuple[object, ...]:
        blocks = tuple(shape for block in token.blocks if (shape := self._block_shape(block)))
        steps = -((now_s - token.terms.until_s) // LIFETIME_STEP_S)
        return (token.root.bytes, steps * LIFETIME_STEP_S, blocks)

    def _block_shape(self, block: Block) -> tuple[object, ...]:
        """Return what a block narrows; nothing of one that only hands an agent on."""
        known = self._blocks.get(block.id)
        if known is None:
            known = self._blocks[block.id] = _narrowed(block)
            if len(self._blocks) > VERDICTS_KEPT:
                self._blocks.popitem(last=False)
        return known

    # -- refusals, for those who ask why --

    def why(self, agent: bytes, asker: PublicKey) -> Map:
        """Return why an agent was refused last, for who brought it; nothing if that is not known any more."""
        sender, data = self._refusals.get(agent, (None, Map()))
        return data if sender == asker else Map()

    # -- private streams --

    def is_private(self, stream: str) -> bool:
        """Return whether only aggregates of a stream are given to agents."""
        if any(fnmatchcase(stream, pattern) for pattern in self._limits.private):
            return True
        if not self._streams.exists(stream):
            return False
        found = self._streams.get(stream)
        known = self._private.get(stream)
        if known is None or known[0] != found.t:
            marked = any(datom.v is True for datom in found.db().datoms("aevt", PRIVATE))
            if known is not None and known[1] != marked:
                self._verdicts.clear()
            known = self._private[stream] = found.t, marked
        return known[1]

    def check_query(self, query: object, streams: Iterable[str]) -> bool:
        """Return whether a query reads a private stream; raise EffectInvalid if it then gives more than aggregates."""
        private = [stream for stream in streams if self.is_private(stream)]
        if private and not gives_only_aggregates(query):
            raise EffectInvalid(f"q: the stream {private[0]} is private: only aggregates leave it")
        return bool(private)

    def _private_facts(self) -> list[Fact]:
        names = [name for name in sorted(self._streams.names()) if self.is_private(name)]
        names += self._limits.private
        return private_facts([*names, *(f"{self._node}/{name}" for name in names)])


def read_policies(limits: AdmissionLimits, folder: Path) -> Policies:
    """Return the policies that a configuration names. Raises ConfigError with file, line and clause."""
    found: dict[str, Policy] = {}
    for relative in limits.policies:
        path = folder / relative
        try:
            policy = read_policy(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"admission: {path}: {error}") from error
        except RulesInvalid as error:
            raise ConfigError(f"admission: {error}") from error
        if policy.name in found:
            raise ConfigError(f"admission: {path}: there is another policy {policy.name}")
        found[policy.name] = policy
    some = [found[name] for name in sorted(found)]
    of_agents = tuple(policy for policy in some if policy.of_agent)
    return Policies(
        tuple(policy for policy in some if not policy.of_agent),
        of_agents,
        digest(some) if some else b"",
        ", ".join(found),
        any(policy.of_code for policy in of_agents),
    )


def refused(node: str, judgement: Judgement) -> AdmissionRefused:
    """Return the refusal that a judgement is."""
    counted = judgement.counted
    count = len(counted) if judgement.exempt else judgement.count
    more = f", and {count - 1} more" if count > 1 else ""
    first = str(counted[0]).split("\n")[0][:MESSAGE_MAX]
    message = f"a policy of node {node} refuses it: {first}{more}"
    data = {"violations": tuple(map(as_map, counted)), "count": count, "node": node}
    return AdmissionRefused(message, Map({Keyword(key): value for key, value in data.items()}))


def as_map(violation: Violation) -> Map:
    """Return a violation as data."""
    fields: dict[str, object] = {"policy": violation.policy, "message": violation.message}
    if violation.program:
        fields |= {
            "program": violation.program,
            "node": violation.node,
            "kind": violation.kind,
            "source": violation.source,
            "span": tuple(violation.span),
            "text": violation.text,
        }
    return Map({Keyword(key): value for key, value in fields.items()})


def _place_of(machine: Machine) -> Place:
    programs = tuple([unit.program_hash for unit in machine.units()])
    return Place(programs, machine.standing())


# -- facts --


def facts_of_standing(
    places: Iterable[Standing], program: bytes, *, begins: bool = False, shared: bool = False
) -> list[Fact]:
    """Return where an agent stands in one of its programs, for `reach.dl`.

    `begins`: at its beginning, beside that. `shared`: other programs may name what this one defines.
    """
    own = [place for place in places if place.program == program]
    facts: list[Fact] = [(0, "standing/shared", True)] if shared else []
    if begins:
        facts.append((0, "standing/begins", Entity(0, is_node=True)))
    for number, place in enumerate(own, 1):
        node = Entity(place.node, is_node=True)
        match place.kind:
            case Kind.RUNS | Kind.WAITS:
                name = "runs" if place.kind is Kind.RUNS else "waits"
                facts.append((number, f"standing/{name}", node))
                facts.append((number, "standing/body", Entity(place.body, is_node=True)))
            case Kind.HOLDS:
                facts.append((number, "standing/holds-body", node))
            case _:
                facts.append((number, "standing/node", node))
                facts += [(number, "standing/effect", each) for each in _effects_of(place)]
    return facts


def _effects_of(place: Standing) -> list[Keyword]:
    """Return what a function of the host or the core library reaches if somebody calls it."""
    if place.kind is Kind.HOLDS_CORE:
        rows = library_signatures().get(place.host, ())
        names = {effect for row in rows for effect in row.effects} - {"unknown"}
    else:
        signature = SIGNATURES[place.host]
        names = set(signature.effects)
        if signature.calls and place.kind is Kind.HOLDS_HOST:
            names.add("unknown")
    return [Keyword(name) for name in sorted(names)]


def proven_owner(bearer: Bearer, programs: Sequence[bytes]) -> bool:
    """Return whether the agent's owner is who its papers say, and has vouched for all of its code.

    The id names owner, program and home, and one of the tokens has a block for just this id, signed by the owner. Nodes
    sign such blocks, too, when they hand an agent on, for whoever it is: these have an epoch, and vouch for nothing.
    """
    papers = bearer.papers
    if tuple(programs) != (papers.program,) or not papers.home_key:
        return False
    owner, home = PublicKey(papers.owner), PublicKey(papers.home_key)
    if agent_id(owner, papers.program, papers.nonce, home) != bearer.agent:
        return False
    return any(
        block.caveats.agent == bearer.agent and block.caveats.epoch is None and signer == owner
        for handle in bearer.tokens
        for signer, block in _signed(handle.token)
    )


def _signed(token: VerifiedChain) -> Iterable[tuple[PublicKey, Block]]:
    signers = [token.root, *(block.key for block in token.blocks)]
    return zip(signers, token.blocks, strict=False)


_KINDS = ("exp", "nbf", "at", "agent", "via", "hops", "depth", "budget", "attrs", "revage")


def _narrowed(block: Block) -> tuple[object, ...]:
    caveats = block.caveats
    kinds = tuple(kind for kind in _KINDS if getattr(caveats, kind) is not None)
    if not kinds and caveats.rights is None:
        return ()
    budget = tuple(
        (resource.name.lower(), most) for resource, most in sorted((caveats.budget or {}).items())
    )
    rights = None if caveats.rights is None else tuple((int(v), p) for v, p in caveats.rights)
    return (kinds, rights, caveats.hops, caveats.depth, caveats.revage, budget)


AGENT, FIRST_TOKEN, TOKEN_STEP = 2000, 3000, 1000  # entities of `facts_of_agent`


def facts_of_agent(node: str, source: str, shape: Shape) -> list[Fact]:
    """Return what policies may read of an agent that comes to a node from another one, and of its tokens."""
    _, owner, programs, tokens = shape
    assert isinstance(tokens, tuple)
    assert isinstance(programs, tuple)
    facts: list[Fact] = [(AGENT, "agent/here", node), (AGENT, "agent/from", source)]
    facts += [(AGENT, "agent/program", program.hex()) for program in programs]
    if owner is not None:
        facts.append((AGENT, "agent/owner", owner))
    for number, token in enumerate(tokens, 1):
        entity = FIRST_TOKEN + number * TOKEN_STEP
        facts.append((AGENT, "agent/token", Entity(entity)))
        facts += _token_facts(entity, f"token {number}", *token)
    return facts


def _token_facts(
    entity: int, name: str, root: bytes, lifetime: int, blocks: Sequence[tuple[object, ...]]
) -> list[Fact]:
    facts: list[Fact] = [
        (entity, "token/name", name),
        (entity, "token/root", PublicKey(root).text),
        (entity, "token/lifetime", lifetime),
    ]
    verbs = sum(Verb)
    for index, (kinds, rights, hops, depth, revage, budget) in enumerate(blocks):
        facts += [(entity, "token/caveat", Keyword(kind)) for kind in kinds]  # type: ignore[attr-defined]
        limits = (("hops", hops), ("depth", depth), ("revage", revage), *budget)  # type: ignore[misc]
        facts += [(entity, f"token/{kind}", most) for kind, most in limits if most is not None]
        if rights is not None:
            verbs &= _any_of(rights)
            for place, (mask, pattern) in enumerate(rights):  # type: ignore[var-annotated, arg-type]
                right = entity + 40 * index + place + 1
                facts += [
                    (entity, "token/right", Entity(right)),
                    (right, "right/block", index),
                    (right, "right/pattern", pattern),
                    *((right, "right/verb", verb) for verb in _verbs(mask)),
                ]
    return [*facts, *((entity, "token/verb", verb) for verb in _verbs(verbs))]


def _any_of(rights: object) -> int:
    mask = 0
    for verbs, _ in rights:  # type: ignore[attr-defined]
        mask |= verbs
    return mask


def _verbs(mask: int) -> list[Keyword]:
    return [Keyword((verb.name or "").lower()) for verb in Verb if verb & mask]

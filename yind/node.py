"""One node: everything wired together under one nursery.

Is:     the order of starting and stopping, and which part gets which.
Is not: any work of the parts.
Fits:   `yind.main` runs it for ever; tests run several in one process.

Start: storage, streams, authority, code, agents; then unfinished hand-offs; then the scheduler; the listener last, so
that nobody is answered by half a node. Stop: the listener first, then slices end, then every agent is saved.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import structlog
import trio

from capabilities.errors import CapabilityError
from capabilities.keys import PublicKey
from capabilities.membership import Ledger, Membership
from capabilities.tokens import Token
from datomstore.edn import EdnError
from datomstore.errors import DatomstoreError
from datomstore.storage import Storage, StorageError
from datomstore.storage.lmdb import LmdbStorage
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Streams
from datomstore.value import Map
from protocol.transport import SendItem
from yind.admission import Admission, read_policies
from yind.agent import Agent, State
from yind.agents import Agents
from yind.audit import AUDIT_STREAM, Audit
from yind.authority import Authority
from yind.clock import Clock, System
from yind.code import CodeLibrary
from yind.config import AdmissionLimits, Config
from yind.config import load as load_config
from yind.control import Control
from yind.effects import Effects
from yind.errors import ConfigError, ListenError
from yind.fields import Answer
from yind.giving import Giving
from yind.gossip import Gossip, Spread
from yind.identity import Identity, read_identity
from yind.joining import Joining
from yind.members import Members
from yind.migrate import Migration
from yind.offspring import Offspring
from yind.peers import Peers
from yind.policies import Policies
from yind.requests import Policy, Requests, read_rules
from yind.returns import Returns
from yind.revocations import Revocations
from yind.rotation import Rotation
from yind.scheduler import Scheduler
from yind.session import Session

CLUSTER_STREAM = "cluster"

_log = structlog.get_logger()


class Node:
    """A running node."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        self.address = ("", 0)
        self._is_member = False
        self._scope = trio.CancelScope()
        self._stopped = trio.Event()
        self.identity = _loaded_identity(config)
        key = self.identity.now.key
        ledger = _loaded_ledger(config, _parsed_root(config))
        self.storage = _opened_storage(config)
        self.streams = Streams(self.storage, now_ms=clock.now_ms)
        audit = Audit(self.streams.open(AUDIT_STREAM), config.name)
        self.authority = Authority(roots=frozenset(), key=key, clock=clock, audit=audit)
        self.authority.revage = config.revage
        self.code = CodeLibrary(self.streams)
        self.agents = Agents(self.streams, self.authority, self.code, clock)
        self.members = Members(
            ledger,
            stream=self.streams.open(CLUSTER_STREAM),
            clock=clock,
            write=self.agents.write,
        )
        self.members.listen(self.authority.follow)
        self._make_cluster()
        self._make_travel()
        self._make_agents()
        self.control = Control(
            node=config.name,
            version=version("yin"),
            agents=self.agents,
            authority=self.authority,
            code=self.code,
            effects=self.effects,
            scheduler=self.scheduler,
            migration=self.migration,
            admission=self.admission,
            revocations=self.revocations,
            is_node=self.peers.is_node,
            more=self._verbs(),
            clock=clock,
            limits=config.agents,
            requests=self.requests,
            giving=self.giving,
        )

    def _make_cluster(self) -> None:
        """Make what knows the other nodes and tells them."""
        config, clock = self.config, self.clock
        self.peers = Peers(
            name=config.name,
            identity=self.identity,
            members=self.members,
            clock=clock,
            on_request=self._request,
            on_stranger=self.agents.note_turned_away,
        )
        self.revocations = Revocations(agents=self.agents, authority=self.authority)
        self.members.listen(self._recheck)
        self.members.listen(self._note_removal)
        self.gossip = [self._spread(self.revocations), self._spread(self.members)]
        self.revocations.told, self.members.told = (gossip.tell for gossip in self.gossip)
        self.authority.revocation_age_s = self.gossip[0].age_s
        self.peers.met = self._compare
        self.rotation = Rotation(
            node=config.name,
            identity=self.identity,
            members=self.members,
            agents=self.agents,
            authority=self.authority,
            peers=self.peers,
            tell=self.gossip[1].tell_all,
            clock=clock,
        )
        self.joining = Joining(
            node=config.name,
            key=lambda: self.identity.now.key,
            address=self._reached_at,
            members=self.members,
            agents=self.agents,
            authority=self.authority,
            clock=clock,
        )
        self.joining.changed = self.peers.renew
        self.members.renewals = self.joining.renewals
        self.peers.admit(self.joining.is_open, self.joining.apply)

    def _make_travel(self) -> None:
        """Make what lets agents come and go."""
        config, clock = self.config, self.clock
        self.admission = Admission(
            node=config.name,
            limits=config.admission,
            folder=config.path("."),
            code=self.code,
            streams=self.streams,
            authority=self.authority,
            members=lambda: self.members.current,
            clock=clock,
        )
        self.policies = Policies(
            node=config.name,
            admission=self.admission,
            authority=self.authority,
            current=lambda: current_admission(config),
        )
        self.migration = Migration(
            node=config.name,
            agents=self.agents,
            authority=self.authority,
            code=self.code,
            peers=self.peers,
            admission=self.admission,
            clock=clock,
            limits=config.agents,
        )
        self.peers.message = self.migration.message
        self.returns = Returns(agents=self.agents, authority=self.authority, peers=self.peers)

    def _make_agents(self) -> None:
        """Make what lets agents run, do something, and ask for more."""
        config, clock = self.config, self.clock
        self.requests = Requests(
            node=config.name,
            agents=self.agents,
            authority=self.authority,
            clock=clock,
            policy=_loaded_policy(config),
        )
        self.offspring = Offspring(
            node=config.name,
            agents=self.agents,
            authority=self.authority,
            code=self.code,
            clock=clock,
        )
        self.effects = Effects(
            self.agents,
            self.authority,
            self.code,
            clock,
            node=config.name,
            node_names=self.peers.node_names,
            migrate=self.migration.travel,
            admission=self.admission,
            arrived=self.migration.arrived,
            requests=self.requests,
            offspring=self.offspring,
        )
        self.scheduler = Scheduler(
            self.agents,
            self.effects,
            self.authority,
            workers=config.workers,
            fuel_slice=config.agents.fuel_slice,
        )
        self.requests.ready = self.offspring.ready = self.scheduler.ready
        self.giving = Giving(
            node=config.name,
            agents=self.agents,
            authority=self.authority,
            admission=self.admission,
            code=self.code,
            scheduler=self.scheduler,
        )
        self.requests.check = self.giving.check_own

    def _spread(self, spread: Spread) -> Gossip:
        return Gossip(
            spread,
            others=self.peers.other_nodes,
            channel=self.peers.channel,
            is_node=self.peers.is_node,
            refused=lambda who, why: self.authority.refuse(who, "tell", self.config.name, why),
        )

    def _verbs(self) -> dict[str, Answer]:
        """Return what the parts of the node answer themselves."""
        parts: list[Gossip | Rotation | Joining | Policies | Returns] = [
            *self.gossip,
            self.returns,
            self.rotation,
            self.joining,
            self.policies,
        ]
        return {name: answer for part in parts for name, answer in part.verbs().items()}

    def _recheck(self, membership: Membership) -> None:
        """Pause agents whose tokens no longer have a root that counts."""
        self.revocations.pause_revoked()

    def _note_removal(self, membership: Membership) -> None:
        """Say in the log that this node was put out of its cluster: nobody talks to it from now on."""
        is_member = membership.node(self.config.name) is not None
        if self._is_member and not is_member:
            agents = sum(not agent.ended for agent in self.agents)
            _log.warning("put out of the cluster", node=self.config.name, agents_here=agents)
        self._is_member = is_member

    def _compare(self, node: str) -> None:
        """Catch up with a node that has just been met."""
        for gossip in self.gossip:
            gossip.compare_with(node)

    def _reached_at(self) -> str:
        """Return the address at which others reach this node."""
        member = self.members.current.node(self.config.name)
        host, port = self.address
        return member.addresses[0] if member is not None and member.addresses else f"{host}:{port}"

    async def _request(self, session: Session, verb: str, body: object, send: SendItem) -> Map:
        return await self.control.request(session, verb, body, send)

    async def run(self, *, task_status: trio.TaskStatus[Node]) -> None:
        """Run until `stop`; started once the node listens."""
        try:
            with self._scope:
                await self._run(task_status)
        finally:
            self.streams.close()
            self._stopped.set()

    async def _run(self, task_status: trio.TaskStatus[Node]) -> None:
        with self.streams.batch() as batch:
            self.authority.load(batch)
            self.revocations.load(batch)
            self.members.load(batch)
            self.joining.load(batch)
            self.code.recover(batch)
        _check_member(self.config, self.members.current)
        self.rotation.recover()
        self.agents.recover()
        async with trio.open_nursery() as nursery:
            await nursery.start(self.members.run)
            await nursery.start(self.agents.run)
            await nursery.start(self.peers.run)
            await nursery.start(self.scheduler.run)
            scheduler = self.scheduler
            await nursery.start(self.migration.run, scheduler.ready, scheduler.between_turns)
            await nursery.start(self.revocations.run, self.scheduler.ready)
            await nursery.start(self.returns.run)
            for gossip in self.gossip:
                await nursery.start(gossip.run)
            self._resume()
            self.address = await nursery.start(self._serve)
            host, port = self.address
            _log.info("listening", node=self.config.name, address=f"{host}:{port}")
            task_status.started(self)

    async def _serve(self, *, task_status: trio.TaskStatus[tuple[str, int]]) -> None:
        """Accept connections until cancelled. Raises ListenError."""
        try:
            await self.peers.serve(self.config.listen, task_status=task_status)
        except OSError as error:  # of the start alone: a connection's own errors end with it
            raise ListenError(f"listen: {self.config.listen}: {error.strerror or error}") from error

    def _resume(self) -> None:
        """Let agents of an earlier run go on: a pending effect is asked again."""
        for agent in self.agents:
            if agent.ended or agent.record.state is State.PAUSED or self.migration.holds(agent):
                continue
            if agent.record.state is State.WAITING:
                agent.become(State.READY, self.clock.now_ms(), "the node restarted")
            self.scheduler.ready(agent)

    def reload(self) -> None:
        """Put in force what the configuration says now of policies; what is wrong with it is logged, and nothing changes."""
        try:
            policies = self.admission.reload(current_admission(self.config))
        except ConfigError as error:
            _log.error("the policies stay as they are", why=str(error))
        else:
            _log.info("policies", node=self.config.name, names=policies.names or "none")

    async def stop(self) -> None:
        """End turns, save every agent, close the storage."""
        with trio.CancelScope(shield=True):
            await self.scheduler.drain()
            self.migration.give_up_holds()
            for agent in self.agents:
                machine = agent.machine
                if (
                    machine is not None
                    and not agent.running
                    and (machine.fuel_used != agent.saved_fuel or agent.arrival is not None)
                ):
                    await self._save(agent)
            await self.agents.write(lambda batch: None)  # and what was to be written later
        self._scope.cancel()
        await self._stopped.wait()

    async def _save(self, agent: Agent) -> None:
        """Save an agent before a stop; one that cannot be saved goes on from where it was saved last, and the others do not mind."""
        try:
            await self.agents.commit(agent)
        except StorageError:
            raise
        except Exception:
            _log.exception("an agent cannot be saved", agent=agent.text_id)


def check(config: Config) -> None:
    """Return if a node would start so, as far as files tell; nothing is opened that a running node has open.

    Raises ConfigError: what the start would refuse. What the node's own data or the address says is not asked.
    """
    try:
        read_identity(config.path(config.key), config.path(config.certificate))
    except (CapabilityError, OSError) as error:
        raise ConfigError(f"key: {error}") from error
    ledger = _loaded_ledger(config, _parsed_root(config))
    _check_member(config, ledger.at(System().now_ms() // 1000))
    read_policies(config.admission, config.path("."))
    _loaded_policy(config)
    _check_data(config)


def _check_data(config: Config) -> None:
    """Return if the node's data are in a folder, or one can be made for them."""
    folder: Path = config.path(config.data)
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if config.storage != "memory" and not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise ConfigError(f"data: {folder}: {there} is no folder that can be written to")


def _check_member(config: Config, membership: Membership) -> None:
    if membership.node(config.name) is None:
        raise ConfigError(f"members: the cluster has no node {config.name!r}")


async def run_node(
    config: Config, clock: Clock, *, task_status: trio.TaskStatus[Node] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run one node. Raises ConfigError before it starts anything."""
    await Node(config, clock).run(task_status=task_status)


# -- what the configuration names --


def current_admission(config: Config) -> AdmissionLimits:
    """Return what a node's configuration file says of admission now. Raises ConfigError."""
    return load_config(Path(config.file)).admission if config.file else config.admission


def _parsed_root(config: Config) -> PublicKey:
    try:
        return PublicKey.parse(config.cluster)
    except CapabilityError as error:
        raise ConfigError(f"cluster: {error}") from error


def _loaded_identity(config: Config) -> Identity:
    try:
        return Identity(config.path(config.key), config.path(config.certificate))
    except (CapabilityError, OSError) as error:
        raise ConfigError(f"key: {error}") from error


def _loaded_ledger(config: Config, root: PublicKey) -> Ledger:
    text = _read(config, config.members, "members")
    try:
        return Ledger.from_text(text.decode(), root)
    except (CapabilityError, UnicodeDecodeError) as error:
        raise ConfigError(f"members: {config.path(config.members)}: {error}") from error


def _loaded_policy(config: Config) -> Policy | None:
    if config.requests is None:
        return None
    rules = _read(config, config.requests.rules, "requests.rules").decode(errors="replace")
    token = _read(config, config.requests.token, "requests.token").decode(errors="replace")
    try:
        data = Token.from_text(token.strip()).to_bytes()
        return Policy(read_rules(rules, config.requests.rules), data)
    except (CapabilityError, EdnError, ValueError) as error:
        raise ConfigError(f"requests: {error}") from error


def _read(config: Config, relative: str, field: str) -> bytes:
    path: Path = config.path(relative)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{field}: {path}: {error.strerror}") from error


def _opened_storage(config: Config) -> Storage:
    if config.storage == "memory":
        return MemoryStorage()
    _check_data(config)
    folder = config.path(config.data)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return LmdbStorage(folder, map_size=config.data_max)
    except (OSError, DatomstoreError) as error:
        raise ConfigError(f"data: {folder}: {error}") from error

"""The hand-off over real storage and real bytes, among three nodes, in whatever order Hypothesis finds interesting.

What is kept is in LMDB, as the daemon keeps it: records under their slots, encoded; messages are encoded and decoded.
A crash drops everything else, and what was not committed.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from mistakes import MISTAKES

from datomstore.storage.lmdb import LmdbStorage
from datomstore.streams import Streams
from protocol.handoff import (
    CHANCE_BYTES,
    NOTHING_FORGOTTEN,
    Action,
    Drop,
    Event,
    Force,
    Given,
    Interrupted,
    Lives,
    Owned,
    Persist,
    Persisted,
    Received,
    Reclaimed,
    Record,
    Resume,
    Retry,
    Send,
    Source,
    Start,
    Target,
    Verified,
    Verify,
    Withdraw,
    decode,
    encode,
    latest_attempt,
    new_attempt,
    running,
    slot,
    unfinished,
)
from protocol.messages import HandOff, Offer, Own, Refuse, Want
from protocol.messages import decode as decode_message
from protocol.messages import encode as encode_message

AGENT = b"a" * 32
NAMES = ("A", "B", "C")
RECORDS, EFFECTS, FORGOTTEN = "handoff", "effects", "forgotten"
ROUNDS_MAX = 200  # in which an undisturbed world comes to rest
Parcel = tuple[str, str, bytes]  # from, to, the message's bytes


def key_of(name: str) -> bytes:
    return name.encode() * 32


class Node:
    """One node: its storage, and what a crash takes away."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._path = folder / name
        self._open()
        self.source: Source | None = None
        self.target = Target.fresh(AGENT, 0 if name == "A" else -1)
        self.runs: int | None = 0 if name == "A" else None
        self.writing: list[Record | int] = []  # records, and the agent's effects
        self.verifying = False
        self.started: list[int] = []  # for the test: no crash takes it away

    def _open(self) -> None:
        self._streams = Streams(LmdbStorage(self._path, map_size=1 << 24), now_ms=lambda: 7)

    def close(self) -> None:
        self._streams.close()

    # -- what is kept --

    def records(self) -> list[Record]:
        with self._streams.batch() as batch:
            return [decode(data) for _, data in batch.scan(RECORDS)]

    def forgotten(self) -> int:
        with self._streams.batch() as batch:
            data = batch.get(FORGOTTEN, b"")
        return NOTHING_FORGOTTEN if data is None else int.from_bytes(data, "big")

    def owns(self) -> int | None:
        born_here = self.name == "A" and self.forgotten() == NOTHING_FORGOTTEN
        return running(self.records(), born_here=born_here)

    def has_acted(self) -> bool:
        """Return whether the agent has done here what it does, or that is on its way to the disk."""
        return self.runs in self.writing or bool(self.effects().get(self.runs or 0))

    def effects(self) -> dict[int, int]:
        """Return how often the agent's effect of each epoch is here."""
        with self._streams.batch() as batch:
            return {int(key): int(count) for key, count in batch.scan(EFFECTS)}

    def act(self) -> None:
        """Make the effect of the epoch that runs, as part of the same log."""
        assert self.runs is not None
        self.writing.append(self.runs)

    def _commit_effect(self, epoch: int) -> None:
        key = str(epoch).encode()
        with self._streams.batch() as batch:
            batch.put(EFFECTS, key, str(int(batch.get(EFFECTS, key) or b"0") + 1).encode())

    def _commit(self, record: Record) -> None:
        with self._streams.batch() as batch:
            batch.put(RECORDS, slot(record), encode(record))

    # -- what happens --

    def crash(self) -> list[Parcel]:
        self.close()
        self._open()
        records, forgotten = self.records(), self.forgotten()
        owns = self.owns()
        epoch = -1 if owns is None else owns
        lost = {record.epoch for record in self.writing if isinstance(record, Owned)}
        self.started = [epoch for epoch in self.started if epoch not in lost]
        self.target = (
            Target.restart(records, epoch, forgotten)
            if records
            else Target.fresh(AGENT, epoch, forgotten)
        )
        self.source, self.writing, self.verifying = None, [], False
        self.runs = owns
        given = unfinished(records)
        if given is None:
            return []
        self.source, actions = Source.restart(given)
        return self._do(actions)

    def hop(self, to: str, attempt: int) -> list[Parcel]:
        assert self.runs is not None
        self.source, actions = Source.begin(AGENT, self.runs, key_of(to), attempt)
        self.runs = None
        return self._do(actions)

    def flush(self) -> list[Parcel]:
        record = self.writing.pop(0)
        if isinstance(record, int):
            self._commit_effect(record)
            return []
        self._commit(record)
        if isinstance(record, Given) or slot(record).endswith(b"/source"):
            return self.tell_source(Persisted(record))
        return self.tell_target(Persisted(record))

    def interrupt(self) -> list[Parcel]:
        self.verifying = False
        return self.tell_target(Interrupted())

    def forget(self) -> list[Parcel]:
        latest = max(self.forgotten(), latest_attempt(self.records()))
        with self._streams.batch() as batch:
            for key in [key for key, _ in batch.scan(RECORDS)]:
                batch.delete(RECORDS, key)
            batch.put(FORGOTTEN, b"", latest.to_bytes(16, "big"))
        self.target = Target.fresh(AGENT, forgotten=latest)
        return []

    def idle(self) -> bool:
        busy = self.source or self.writing or self.verifying or self.target.held
        return not busy and self.runs is None and self.target.pending is None

    def waits(self) -> bool:
        return self.source is not None

    def ask_again(self) -> list[Parcel]:
        return self.tell_source(Retry())

    def tell_source(self, event: Event) -> list[Parcel]:
        if self.source is None:
            return []
        self.source, actions = self.source.step(event)
        return self._do(actions)

    def tell_target(self, event: Event) -> list[Parcel]:
        self.target, actions = self.target.step(event)
        return self._do(actions)

    def receive(self, sender: str, data: bytes) -> list[Parcel]:
        message = decode_message(data)
        assert isinstance(message, HandOff)
        event = Received(message, key_of(sender))
        if isinstance(message, Own | Refuse | Want):
            return self.tell_source(event)
        return self.tell_target(event)

    def verdict(self, *, good: bool) -> list[Parcel]:
        self.verifying = False
        if good and self.runs is None:
            return self.tell_target(Verified(True))
        return self.tell_target(Verified(False, "agent/state", "not here"))

    def _do(self, actions: list[Action]) -> list[Parcel]:
        sent: list[Parcel] = []
        for action in actions:
            match action:
                case Persist(record):
                    self.writing.append(record)
                    if isinstance(record, Reclaimed):
                        self.target = self.target.living(record.epoch + 1)
                    if isinstance(record, Owned) and self.source is not None:
                        self.source = (
                            None if self.source.given.epoch <= record.epoch else self.source
                        )
                case Send(to=to):
                    sent.append((self.name, chr(to[0]), encode_message(_message(action))))
                case Verify():
                    self.verifying = True
                case Resume(epoch=epoch):
                    self._run(epoch)
                    self.source = None
                    sent += self.tell_target(Lives(epoch))
                case Start(epoch=epoch):
                    self._run(epoch)
                    self.started.append(epoch)
                case Drop(epoch=epoch):
                    assert self.runs != epoch
                    self.source = None
        return sent

    def _run(self, epoch: int) -> None:
        assert self.runs is None, "two copies at one node"
        self.runs = epoch


def _message(send: Send) -> HandOff:
    if send.kind is Offer:
        return send.offer(digest=b"d" * 32, programs=(), tokens=(), body=b"image")
    return send.message()


class World(RuleBasedStateMachine):
    """Three nodes and the messages between them."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp())
        self._clock = itertools.count(1)
        self.nodes: dict[str, Node] = {}
        self.network: list[Parcel] = []

    @initialize()
    def begin(self) -> None:
        self.nodes = {name: Node(name, self._folder) for name in NAMES}

    def teardown(self) -> None:
        try:
            if self.nodes:
                self._come_to_rest()
        finally:
            for node in self.nodes.values():
                node.close()
            shutil.rmtree(self._folder)

    # -- what can happen --

    def _some(self, what: Callable[[Node], object]) -> list[Node]:
        return [node for node in self.nodes.values() if what(node)]

    @precondition(lambda self: self._some(lambda node: node.runs is not None))
    @rule(forward=st.booleans())
    def hop(self, forward: bool) -> None:
        """Let the agent act and go on, to the next node or the one before."""
        (node,) = self._some(lambda node: node.runs is not None)
        if not node.has_acted():
            node.act()
        to = NAMES[(NAMES.index(node.name) + (1 if forward else 2)) % len(NAMES)]
        self.network += node.hop(to, new_attempt(next(self._clock), b"c" * CHANCE_BYTES))

    @precondition(lambda self: self.network)
    @rule()
    def deliver_newest(self) -> None:
        sender, to, message = self.network[-1]
        self.network += self.nodes[to].receive(sender, message)

    @precondition(lambda self: self.network)
    @rule(data=st.data())
    def deliver_any(self, data: st.DataObject) -> None:
        """Deliver any message that was sent, once more perhaps."""
        sender, to, message = data.draw(st.sampled_from(self.network))
        self.network += self.nodes[to].receive(sender, message)

    @precondition(lambda self: self._some(lambda node: node.writing))
    @rule(data=st.data())
    def flush(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(self._some(lambda node: node.writing)))
        self.network += node.flush()

    @precondition(lambda self: self._some(lambda node: node.verifying))
    @rule()
    def verify(self) -> None:
        for node in self._some(lambda node: node.verifying):
            self.network += node.verdict(good=True)

    @precondition(lambda self: self._some(lambda node: node.waits()))
    @rule()
    def ask_again(self) -> None:
        for node in self._some(lambda node: node.waits()):
            self.network += node.ask_again()

    @rule(name=st.sampled_from(NAMES), data=st.data())
    def disturb(self, name: str, data: st.DataObject) -> None:
        """Let something go wrong at a node, if it can."""
        node = self.nodes[name]
        disturbances: list[Callable[[], list[Parcel]]] = [node.crash, node.crash]
        if node.source is not None:
            disturbances.append(lambda: node.tell_source(Withdraw()))
        if node.verifying:
            disturbances.append(lambda: node.verdict(good=False))
            disturbances.append(node.interrupt)
        elif node.target.held is not None:
            disturbances.append(lambda: node.tell_target(Interrupted()))
        if node.idle() and node.records():
            disturbances.append(node.forget)
        if self.network:
            disturbances.append(self._lose_all)
        self.network += data.draw(st.sampled_from(disturbances))()

    def _lose_all(self) -> list[Parcel]:
        self.network.clear()
        return []

    # -- what must hold --

    @invariant()
    def no_two(self) -> None:
        nodes = list(self.nodes.values())
        assert sum(node.owns() is not None for node in nodes) <= 1, "two owners"
        assert sum(node.runs is not None for node in nodes) <= 1, "two copies"
        effects = [epoch for node in nodes for epoch in node.effects()]
        assert len(set(effects)) == len(effects), "an effect at two nodes"
        assert all(count == 1 for node in nodes for count in node.effects().values())
        started = [epoch for node in nodes for epoch in node.started]
        assert len(set(started)) == len(started), "an epoch started twice"
        for node in nodes:
            assert node.started == sorted(node.started), "a node went back"

    def _come_to_rest(self) -> None:
        """Let nothing go wrong any more: the agent must be somewhere, once, and nobody waits."""
        self.network.clear()
        for _ in range(ROUNDS_MAX):
            if self._rests():
                break
            self._round()
        else:
            self._force()
        (home,) = [node for node in self.nodes.values() if node.runs is not None]
        assert home.owns() == home.runs
        if not home.has_acted():
            home.act()
            home.flush()
        self.no_two()

    def _rests(self) -> bool:
        busy = any(node.waits() or node.writing or node.verifying for node in self.nodes.values())
        return not busy and not self.network

    def _round(self) -> None:
        quiet = not self.network
        for node in self.nodes.values():
            while node.writing:
                self.network += node.flush()
            if node.verifying:
                self.network += node.verdict(good=True)
            if quiet:
                self.network += node.ask_again()
        parcels, self.network = self.network, []
        for sender, to, message in parcels:
            self.network += self.nodes[to].receive(sender, message)

    def _force(self) -> None:
        """Only who was forgotten may wait for good: a person takes the agent back, if it is nowhere else."""
        asked = [node for node in self.nodes.values() if node.source is not None]
        for node in asked:
            leaving = node.source
            assert leaving is not None
            target = self.nodes[chr(leaving.given.target[0])]
            assert leaving.given.attempt <= target.forgotten(), "stuck"
        if all(node.runs is None for node in self.nodes.values()):
            node = max(asked, key=lambda node: node.source.given.epoch if node.source else -1)
            self.network += node.tell_source(Force())
            while node.writing:
                self.network += node.flush()


SETTINGS = settings(
    max_examples=40,
    stateful_step_count=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestHandOffOverStorage = World.TestCase
TestHandOffOverStorage.settings = SETTINGS


@pytest.mark.parametrize(
    "name", ["reclaim on a time-out", "an epoch may be taken twice", "never asked again"]
)
def test_a_mistake_put_in_is_found_by_chance(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = MISTAKES[name].rules
    monkeypatch.setattr(Source, "begin", rules.begin)
    monkeypatch.setattr(Source, "step", rules.source)
    monkeypatch.setattr(Target, "step", rules.target)
    few = settings(SETTINGS, max_examples=100, phases=[Phase.generate], database=None)
    with pytest.raises((AssertionError, ValueError)):
        run_state_machine_as_test(World, settings=few)

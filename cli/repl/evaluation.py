"""One session's agent: units go to it, wherever it is, and what came of them comes back.

Is:     starting the agent, entering units, following what it prints, cancelling, ending.
Is not: compiling (`yang.session`), nor what people see (`cli.repl.entries`).
Fits:   on `cli.connect`; an agent that travels in the middle of a unit is followed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum
from typing import NamedTuple

from capabilities.tokens import Token, agent_id
from cli.agent_rows import ENDED
from cli.cluster import Cluster
from cli.connect import connected, find_agent, translated
from cli.errors import CliError, Exit
from cli.faults import fault_text
from cli.holding import delegate
from datomstore import edn
from datomstore.value import Map
from protocol.client import Client
from yang.program import Program
from yang.session import Session, Unit

INTERRUPTED = "interrupted"


class Kind(Enum):
    """What an evaluation came to."""

    VALUE = "value"
    ERROR = "error"  # the program's, with its trace
    DENIED = "denied"  # it lacks a right
    STOPPED = "stopped"  # by whoever waits for it, or by somebody else


EXITS = {
    Kind.VALUE: Exit.OK,
    Kind.ERROR: Exit.AGENT_FAILED,
    Kind.DENIED: Exit.DENIED,
    Kind.STOPPED: Exit.INTERRUPTED,
}


class Outcome(NamedTuple):
    """What a unit came to, as text for people."""

    kind: Kind
    text: str


class SessionOver(CliError):
    """The session's agent has ended: nothing more can be entered."""


class Evaluation:
    """The agent of a session."""

    def __init__(
        self,
        cluster: Cluster,
        node: str,
        agent: bytes,
        session: Session,
        *,
        printed: Callable[[str], None],
    ) -> None:
        """Take an agent; `printed` gets each line that it prints, at once."""
        self._session = session
        self._known = {session.first.program.hash}  # programs of the agent whose names it has
        self.cluster = cluster
        self.node = node
        self.agent = agent
        self.fuel_used = 0
        self._printed = printed
        self._lines = 0  # printed so far
        self._units: dict[bytes, Unit] = {}
        self._entered = 1  # units that the agent has, as far as is known here
        self._call = ExitStack()
        self._called = ""  # the node at the other end of the connection
        self._client: Client

    @staticmethod
    def begun(
        cluster: Cluster,
        node: str,
        session: Session,
        *,
        tokens: list[Token],
        memory_max: int,
        fuel_max: int | None,
        printed: Callable[[str], None],
    ) -> Evaluation:
        """Start an agent for a session. Raises CliError.

        Args:
            cluster: whose nodes it may travel to.
            node: where it begins.
            session: whose first unit it begins with.
            tokens: what it may do.
            memory_max: bytes of its heap.
            fuel_max: what it may compute in all, None for as much as the node allows.
            printed: gets each line that it prints, at once.
        """
        program, nonce = session.first.program, os.urandom(16)
        key = cluster.node(node).key
        agent = agent_id(cluster.operator_key.public, program.hash, nonce, cluster.home(node))
        body: dict[str, object] = {
            "program": program.hash,
            "nonce": nonce,
            "tokens": tuple(delegate(cluster, token, key, agent) for token in tokens),
            "name": "repl",
            "memory_max": memory_max,
            "session": True,
        }
        if fuel_max is not None:
            body["fuel_max"] = fuel_max
        with connected(cluster, node) as client:
            client.request("code.put", Map({"program": program.to_bytes()}))
            client.request("agent.spawn", Map(body))
        found = Evaluation(cluster, node, agent, session, printed=printed)
        found._settled()
        found._hang_up()
        return found

    @staticmethod
    def resumed(
        cluster: Cluster, name: str, session: Session, *, printed: Callable[[str], None]
    ) -> Evaluation:
        """Take up a session that was kept: its definitions become those of `session`. Raises CliError."""
        node, row = find_agent(cluster, name)
        if not row["session"] or row["state"] != "paused":
            raise CliError(
                f"agent {name} is no session that waits for an entry", exit_code=Exit.CONFLICT
            )
        found = Evaluation(cluster, node, row["id"], session, printed=printed)
        found._lines, found.fuel_used = row["log_lines"], row["fuel_used"]
        found._learn()
        found._hang_up()
        return found

    def evaluate(self, unit: Unit) -> Outcome:
        """Return what a unit came to. An interrupt from the keyboard cancels it. Raises SessionOver or CliError."""
        self._units[unit.program.hash] = unit
        self._known.add(unit.program.hash)
        self._entered += 1
        try:
            self._enter(unit)
            row = self._settled()
            if row["units"] != self._entered and row["state"] not in ENDED:
                self._learn()
        except KeyboardInterrupt:
            self._hang_up()  # in the middle of an answer
            row = self._cancelled()
        finally:
            self._hang_up()
        self.fuel_used = row["fuel_used"]
        return self._outcome(row)

    def _learn(self) -> None:
        """Let the session know what code of the agent defines that it has not seen: of others, or made by `eval`."""
        with self._connected() as client:
            details = client.request("agent.show", Map({"id": self.agent.hex()}))
            self._entered = len(details["programs"])
            for program_hash in details["programs"]:
                if program_hash not in self._known:
                    answer = client.request("code.get", Map({"hash": program_hash}))
                    self._session.adopt(Program.from_bytes(answer["program"]))
                    self._known.add(program_hash)

    def end(self) -> None:
        """Kill the agent; one that has ended already, or cannot be reached, is left alone."""
        try:
            with connected(self.cluster, self.node) as client:
                client.request(
                    "agent.kill", Map({"id": self.agent.hex(), "reason": "session over"})
                )
        except CliError:
            return

    # -- the agent --

    @contextmanager
    def _connected(self) -> Iterator[Client]:
        """Yield the connection to the agent's node, kept until the evaluation is over or something goes wrong."""
        if self._called != self.node:
            self._hang_up()
            self._client = self._call.enter_context(connected(self.cluster, self.node))
            self._called = self.node
        try:
            with translated(self.node):
                yield self._client
        except BaseException:
            self._hang_up()
            raise

    def _hang_up(self) -> None:
        self._called = ""
        self._call.close()

    def _enter(self, unit: Unit) -> None:
        body = Map({"id": self.agent.hex(), "program": unit.program.to_bytes()})
        try:
            with self._connected() as client:
                client.request("agent.enter", body)
        except CliError as error:
            if error.exit_code is not Exit.CONFLICT:
                raise
            self._check_goes_on(self._cancelled())  # it has moved, or somebody let it go on
            with self._connected() as client:
                client.request("agent.enter", body)

    def _followed(self) -> Map:
        """Return the agent's summary from the node where it is now."""
        while True:
            with self._connected() as client:
                body = Map({"id": self.agent.hex(), "timeout_ms": 0})
                row: Map = client.request("agent.wait", body)
            if row["state"] != "moved":
                return row
            self.node = row["moved_to"]

    def _settled(self) -> Map:
        """Return the agent's summary when it has stopped; what it prints is handed on meanwhile."""
        while True:
            with self._connected() as client:
                body = Map({"id": self.agent.hex(), "seen": self._lines})
                for item in (stream := client.stream("agent.follow", body)):
                    if item["kind"] == "log":
                        self._print(item["number"], item["line"])
                row: Map = stream.result
            if row["state"] == "moved":
                self.node = row["moved_to"]
            elif row["state"] == "paused" or row["state"] in ENDED:
                return row

    def _print(self, number: int, line: str) -> None:
        """Hand on a line; what came too fast to be kept is told."""
        missed = number - self._lines - 1
        if missed > 0:
            self._printed(f"... {missed:,} lines were printed too fast to be kept")
        self._lines = number
        self._printed(line)

    def _cancelled(self) -> Map:
        """Stop the agent where it is, and return its summary."""
        while True:
            row = self._followed()
            if row["state"] == "paused" or row["state"] in ENDED:
                return row
            with self._connected() as client:
                body = Map({"id": self.agent.hex(), "reason": INTERRUPTED})
                client.request("agent.pause", body)

    def _check_goes_on(self, row: Map) -> None:
        if row["state"] in ENDED:
            raise SessionOver(
                f"the session has ended on {self.node}: {row['reason'] or row['state']}",
                exit_code=Exit.AGENT_FAILED,
            )

    # -- what came of it --

    def _outcome(self, row: Map) -> Outcome:
        self._check_goes_on(row)
        if row["result"] is not None:
            return Outcome(Kind.VALUE, _text(row["result"]))
        if row["fault"] is not None:
            return Outcome(Kind.ERROR, self._fault(row))
        if row["denied_right"] is not None:
            return Outcome(Kind.DENIED, f"denied on {self.node}: {row['reason']}")
        return Outcome(Kind.STOPPED, row["reason"])

    def _fault(self, row: Map) -> str:
        """Return a fault with the places of this session's own text."""
        sources: dict[str, str] = {}
        fault = row.get("fault_data")
        if not isinstance(fault, Map):
            return str(row["fault"])
        places = tuple(self._placed(place, sources) for place in fault["places"])
        whole = Map([*fault.items(), ("places", places)])
        return fault_text(Map([*row.items(), ("fault_data", whole)]), sources)

    def _placed(self, place: Map, sources: dict[str, str]) -> Map:
        """Return a place as this session wrote it: the node may know equal code from somebody else."""
        unit = self._units.get(place["program"])
        if unit is None or not place["function"]:
            return place
        name, span = unit.segment.place(place["node"])
        sources.update(unit.source.texts())
        return Map([*place.items(), ("source", name), ("span", tuple(span))])


def _text(result: str) -> str:
    """Return the text to show that a unit's value is."""
    try:
        value = edn.read(result)
    except edn.EdnError:
        return result
    return value if isinstance(value, str) else result

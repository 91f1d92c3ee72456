"""Conversations of one side of a connection, told line by line in `scenarios/*.txt`.

    ### a sentence
    speak 1 2 fast          the versions of this side, and its features; without the line, those of this release
    -> Hello 1 1 n "beta"   what the peer says: type and fields; a name for bytes stands for as many as the field has
    -> array 200 1 "x"      ... any array
    -> bytes 00 00 10 01    ... any bytes
    -> more Ping 1 | "x"    ... a message with more fields than we know
    -> split Hello 1 1 n "beta"     ... a message, byte by byte
    -> long Offer ... | Ping 1      ... a message in parts, and another one behind the first of them
    say Ping 3              what this side says
    hello                   ... its Hello
    <- Ping 3               what leaves
    == ready 1 fast         state, version and features after a line that changed one of them
    !! wire/order           what the peer did wrong; a Goodbye says so
    ?? Ping cannot ...      what this side must not do
    .. Ping 3               what the reader gets

`b*70000` stands for as many bytes. The lines of the first eight kinds are read, those of the others are what must follow. `pytest tests/protocol --rewrite`
writes what follows now; a person reads the difference. All pairs of state and step occur in the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from datomstore import codec, edn
from datomstore.value import Symbol
from protocol import messages
from protocol.connection import _RECEIVED, _SENT, FEATURES, TRANSITIONS, Connection, State, Step
from protocol.errors import LocalFault, RemoteFault
from protocol.framing import FrameBuffer, encode_frame
from protocol.limits import FRAME_BYTES_MAX, PART_BYTES_MAX, VERSION_MAX, VERSION_MIN
from protocol.messages import Message

FOLDER = Path(__file__).parent / "scenarios"
INPUTS = ("speak", "->", "say", "hello")
SIZES = {"nonce": 16, "agent": 32, "attempt": 16, "digest": 32}


class Scenario(NamedTuple):
    """One conversation."""

    file: str
    title: str
    text: str


def scenarios() -> Iterator[Scenario]:
    for path in sorted(FOLDER.glob("*.txt")):
        for block in path.read_text().split("### ")[1:]:
            title, _, text = block.partition("\n")
            yield Scenario(path.name, title, text.strip("\n") + "\n")


ALL = list(scenarios())


class Teller:
    """Goes through a conversation and writes down what follows from each line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.met: set[tuple[State, Step]] = set()
        self._left = FrameBuffer(FRAME_BYTES_MAX)
        self._speak((VERSION_MIN, VERSION_MAX), FEATURES)

    def _speak(self, versions: tuple[int, int], features: tuple[str, ...]) -> None:
        self.connection = Connection(
            name="alpha", nonce=b"a".ljust(16, b"."), versions=versions, features=features
        )
        self._seen = self._where()

    def _where(self) -> str:
        connection = self.connection
        version = "" if connection.version is None else f" {connection.version}"
        return (
            connection.state.value + version + "".join(f" {f}" for f in sorted(connection.features))
        )

    def tell(self, line: str) -> None:
        self.lines.append(line)
        word, _, rest = line.partition(" ")
        match word:
            case "speak":
                low, high, *features = rest.split()
                self._speak((int(low), int(high)), tuple(features))
            case "hello":
                self._say(self.connection._hello)
            case "say":
                self._say(message_of(rest))
            case _:
                for part in peer_bytes(rest):
                    self._hear(part)
        if self._where() != self._seen:
            self._seen = self._where()
            self.lines.append(f"== {self._seen}")

    def _say(self, message: Message) -> None:
        self.met.add((self.connection.state, _SENT.get(type(message), Step.SEND)))
        try:
            self._leave(self.connection.send(message))
        except LocalFault as fault:
            self.lines.append(f"?? {fault}")

    def _hear(self, data: bytes) -> None:
        self._note(data)
        try:
            for message in self.connection.receive_data(data):
                self.lines.append(f".. {text_of(message)}")
        except RemoteFault as fault:
            self.lines.append(f"!! {fault.code}")
            self._leave(self.connection.farewell(fault))

    def _note(self, data: bytes) -> None:
        """Write down which step of which state the bytes are, if they are one message."""
        try:
            message = messages.decode(data[4:])
        except (RemoteFault, IndexError):
            return
        self.met.add((self.connection.state, _RECEIVED.get(type(message), Step.RECEIVE)))

    def _leave(self, data: bytes) -> None:
        for payload in self._left.receive(data):
            self.lines.append(f"<- {text_of(messages.decode(payload))}")


def peer_bytes(text: str) -> list[bytes]:
    """Return what a peer says, in the parts in which it arrives."""
    word, _, rest = text.partition(" ")
    match word:
        case "bytes":
            return [bytes.fromhex(rest)]
        case "array":
            return [encode_frame(codec.pack(tuple(edn.read_all(rest))))]
        case "more":
            known, _, more = rest.partition(" | ")
            array = codec.unpack(messages.encode(message_of(known)))
            assert isinstance(array, tuple)
            return [encode_frame(codec.pack((*array, *edn.read_all(more))))]
        case "split":
            data = encode_frame(messages.encode(message_of(rest)))
            return [data[at : at + 1] for at in range(len(data))]
        case "long":
            long, between = rest.split(" | ")
            return [*parts_of(message_of(long), between)]
        case _:
            return [encode_frame(messages.encode(message_of(text)))]


def parts_of(long: Message, between: str) -> Iterator[bytes]:
    """Yield the frames of a long message, with another one behind its first one."""
    payload = messages.encode(long)
    for at in range(0, len(payload), PART_BYTES_MAX):
        part = payload[at : at + PART_BYTES_MAX]
        yield encode_frame(messages.encode(messages.Part(at + len(part) == len(payload), part)))
        if not at:
            yield encode_frame(messages.encode(message_of(between)))


def message_of(text: str) -> Message:
    word, _, rest = text.partition(" ")
    kind = getattr(messages, word)
    names = list(kind.__struct_fields__)
    return kind(*map(field_of, names, edn.read_all(rest)))  # type: ignore[no-any-return]


def field_of(name: str, value: object) -> object:
    if isinstance(value, Symbol):
        text, _, times = value.name.partition("*")
        return (text * int(times or 1)).encode().ljust(SIZES.get(name, 0), b".")
    return value


def text_of(message: Message | None) -> str:
    assert message is not None
    names = message.__struct_fields__
    values = [shown(name, getattr(message, name)) for name in names]
    return " ".join([type(message).__name__, *values])


def shown(name: str, value: object) -> str:
    if isinstance(value, bytes):
        return value.rstrip(b".").decode() if name in SIZES else f"#{len(value)}"
    return edn.write(value)


def told(scenario: Scenario) -> Teller:
    teller = Teller()
    for line in scenario.text.splitlines():
        if line.startswith("#") or not line:
            teller.lines.append(line)
        elif line.partition(" ")[0] in INPUTS:
            teller.tell(line)
    return teller


@pytest.mark.parametrize("scenario", ALL, ids=lambda one: f"{one.file}: {one.title}")
def test_a_conversation_goes_as_it_is_written(
    scenario: Scenario, request: pytest.FixtureRequest
) -> None:
    found = "\n".join(told(scenario).lines) + "\n"
    if request.config.getoption("--rewrite"):
        path = FOLDER / scenario.file
        path.write_text(path.read_text().replace(scenario.text, found, 1))
    else:
        assert found == scenario.text


def test_every_step_is_met_in_every_state() -> None:
    met = {pair for scenario in ALL for pair in told(scenario).met}
    missing = {(state, step) for state in State for step in Step} - met
    assert not missing
    assert set(TRANSITIONS) <= met

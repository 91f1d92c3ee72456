"""What is short goes ahead of what is long, and what belongs together stays in its order."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from datomstore.value import Map
from protocol.connection import Connection
from protocol.limits import FRAME_BYTES_MAX, PART_BYTES_MAX, SEND_BUFFER_BYTES
from protocol.messages import Cancel, Go, Goodbye, Item, Message, Offer, Ping, Reply, Request
from protocol.outbox import Outbox


def pair() -> tuple[Connection, Connection]:
    left, right = (Connection(name=name, nonce=bytes(16)) for name in ("left", "right"))
    greetings = left.hello(), right.hello()
    left.receive_data(greetings[1])
    right.receive_data(greetings[0])
    return left, right


class Line:
    """An outbox between two connections."""

    def __init__(self) -> None:
        self.left, self.right = pair()
        self.outbox = Outbox()

    def put(self, message: Message) -> None:
        self.outbox.put(message, self.left.frames(message))

    def write(self) -> list[Message]:
        """Have one write arrive."""
        return self.right.receive_data(self.outbox.take())


def offer(agent: bytes, size: int) -> Offer:
    return Offer(agent * 32, 1, bytes(16), bytes(32), (), (), bytes(size))


def go(agent: bytes) -> Go:
    return Go(agent * 32, 1, bytes(16))


def everything(line: Line) -> list[Message]:
    found: list[Message] = []
    while line.outbox:
        found += line.write()
    return found


def test_short_ones_leave_together_and_at_once() -> None:
    line = Line()
    sent: list[Message] = [Ping(1), go(b"a"), Request(1, "x", Map())]
    for message in sent:
        line.put(message)
    assert line.write() == sent
    assert not line.outbox


def test_what_is_short_goes_between_the_parts_of_what_is_long() -> None:
    line = Line()
    long = offer(b"a", 3 * PART_BYTES_MAX)
    line.put(long)
    assert line.write() == []
    line.put(go(b"b"))
    line.put(Request(1, "cluster.sync", Map()))
    assert line.write() == [go(b"b"), Request(1, "cluster.sync", Map())]
    assert everything(line) == [long]


def test_what_is_about_the_same_agent_or_request_stays_behind() -> None:
    line = Line()
    sent: list[Message] = [
        offer(b"a", 2 * PART_BYTES_MAX),
        go(b"a"),
        Item(7, Map({"data": bytes(2 * PART_BYTES_MAX)})),
        Item(7, Map()),
        Reply(7, True, Map()),
        Request(8, "code.put", Map({"data": bytes(2 * PART_BYTES_MAX)})),
        Cancel(8),
    ]
    for message in sent:
        line.put(message)
    assert everything(line) == sent


def test_goodbye_comes_last() -> None:
    line = Line()
    sent: list[Message] = [offer(b"a", 2 * PART_BYTES_MAX), Goodbye("done")]
    for message in sent:
        line.put(message)
    assert everything(line) == sent


def test_what_is_long_leaves_room_for_what_is_short() -> None:
    line = Line()
    line.put(offer(b"a", 2 * SEND_BUFFER_BYTES))
    assert line.outbox.has_room(long=False)
    assert not line.outbox.has_room()
    while not line.outbox.has_room():
        line.write()
    line.put(Item(1, Map({"data": bytes(FRAME_BYTES_MAX // 2)})))
    assert line.outbox.has_room(long=False)
    for _ in range(8):
        line.put(Item(1, Map({"data": bytes(FRAME_BYTES_MAX // 2)})))
    assert not line.outbox.has_room(long=False)
    assert not line.outbox.has_room()
    line.write()
    assert line.outbox.has_room(long=False)


KEYS = [b"a", b"b", 1, 2, None]
MESSAGES = st.tuples(
    st.sampled_from(KEYS), st.sampled_from([10, 70_000, 150_000]), st.integers(0, 2)
)


@given(st.lists(MESSAGES, max_size=12))
def test_everything_arrives_whole_and_each_lane_in_its_order(
    plan: list[tuple[bytes | int | None, int, int]],
) -> None:
    line = Line()
    sent: defaultdict[object, list[Message]] = defaultdict(list)
    got: list[Message] = []
    for number, (key, size, writes) in enumerate(plan):
        message: Message
        if key is None:
            message = Ping(number)
        elif isinstance(key, int):
            message = Item(key, Map({"n": number, "data": bytes(size)}))
        else:
            message = Offer(key * 32, number, bytes(16), bytes(32), (), (), bytes(size))
        sent[key].append(message)
        line.put(message)
        for _ in range(writes):
            got += line.write() if line.outbox else []
    got += everything(line)
    arrived: defaultdict[object, list[Message]] = defaultdict(list)
    for message in got:
        key = None
        if isinstance(message, Item):
            key = message.id
        elif isinstance(message, Offer):
            key = message.agent[:1]
        arrived[key].append(message)
    assert arrived == sent
    assert line.outbox.short_bytes == line.outbox._long_bytes == line.outbox._lanes.total() == 0

"""The blocking client against a node that runs in a thread, and against servers that do wrong."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import trio
from members import FRIEND, NODE, STRANGER, Member
from serving import serving

from cli.connect import translated
from cli.errors import CliError, Exit
from datomstore.value import Map
from protocol.client import Client
from protocol.connection import Connection
from protocol.errors import (
    AuthenticationFailed,
    LocalFault,
    RemoteError,
    RemoteFault,
    Unreachable,
)
from protocol.limits import MESSAGE_BYTES_MAX, RECEIVE_BYTES
from protocol.messages import Goodbye, HandOff, Item, Ping, Pong, Reply
from protocol.tls import server_context
from protocol.transport import Channel, SendItem


class Busy(Exception):
    """What the daemon raises to say no."""

    code = "node/busy"


class Handler:
    """Answers what the tests ask."""

    async def request(self, channel: Channel, verb: str, body: Map, send: SendItem) -> Map:
        match verb:
            case "echo":
                return body
            case "count":
                for number in range(500):
                    await send(Map({"number": number}))
                return Map({"count": 500})
            case "hang":
                await trio.sleep_forever()
            case "leave":
                channel.close("the node stops")
                await trio.sleep_forever()
            case "refuse":
                raise Busy("come back later")
        raise AssertionError(verb)

    def message(self, channel: Channel, message: HandOff) -> None:
        raise AssertionError(message)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Return where a node listens, which runs in a thread."""
    started = threading.Event()
    found: list[str] = []
    stop = trio.CancelScope()
    token: list[trio.lowlevel.TrioToken] = []

    async def run() -> None:
        token.append(trio.lowlevel.current_trio_token())
        with stop:
            async with serving(Handler(), failed=lambda error: None) as (host, port):
                found.append(f"{host}:{port}")
                started.set()
                await trio.sleep_forever()

    thread = threading.Thread(target=trio.run, args=(run,))
    thread.start()
    assert started.wait(10)
    yield found[0]
    token[0].run_sync_soon(stop.cancel)
    thread.join(10)


def connect(address: str, as_member: Member = FRIEND, server: Member = NODE) -> Client:
    return Client.connect(
        address, key=as_member.private, certificate=as_member.certificate, server=server
    )


def test_requests_are_answered_one_after_the_other(address: str) -> None:
    with connect(address) as client:
        assert client.peer == NODE.key
        for number in range(20):
            assert client.request("echo", Map({"n": number})) == Map({"n": number})
        assert client.request("echo") == Map()


def test_items_come_in_order_and_then_the_result(address: str) -> None:
    with connect(address) as client:
        stream = client.stream("count")
        assert [item["number"] for item in stream] == list(range(500))
        assert stream.result == Map({"count": 500})


def test_a_stream_that_is_left_does_not_disturb_the_next_request(address: str) -> None:
    with connect(address) as client:
        stream = client.stream("count")
        for item in stream:
            assert item["number"] == 0
            break
        stream.cancel()
        assert client.request("echo", Map({"a": 1})) == Map({"a": 1})


def test_a_request_without_end_can_be_cancelled(address: str) -> None:
    with connect(address) as client:
        stream = client.stream("hang")
        stream.cancel()
        with pytest.raises(RemoteError, match="wire/cancelled"):
            list(stream)
        assert client.request("echo") == Map()


def test_a_no_of_the_node_keeps_its_code_and_the_connection(address: str) -> None:
    with connect(address) as client:
        with pytest.raises(RemoteError) as refused:
            client.request("refuse")
        assert (refused.value.code, refused.value.message) == ("node/busy", "come back later")
        assert client.request("echo") == Map()


def test_an_answer_that_does_not_come_in_time_ends_the_connection(address: str) -> None:
    with connect(address) as client:
        with pytest.raises(Unreachable):
            client.request("hang", timeout_s=0.05)
        with pytest.raises(Unreachable, match="closed"):
            client.request("echo")


def test_a_node_that_says_goodbye_is_unreachable_and_says_why(address: str) -> None:
    with connect(address) as client, pytest.raises(Unreachable):
        client.request("leave")


def test_a_megabyte_goes_both_ways(address: str) -> None:
    body = Map({"data": os.urandom(1 << 20)})
    with connect(address) as client:
        assert client.request("echo", body) == body


def test_a_request_over_the_limit_is_our_fault_and_not_the_end(address: str) -> None:
    with connect(address) as client:
        with pytest.raises(LocalFault):
            client.request("echo", Map({"data": bytes(MESSAGE_BYTES_MAX)}))
        assert client.request("echo") == Map()


def test_an_unknown_key_is_told_that_it_is_not_accepted(address: str) -> None:
    with pytest.raises(AuthenticationFailed):
        connect(address, STRANGER)


def test_a_node_that_is_not_the_one_meant_is_left(address: str) -> None:
    with pytest.raises(AuthenticationFailed):
        connect(address, server=STRANGER)


def test_a_node_with_another_key_is_left_though_it_is_trusted(address: str) -> None:
    class Other:
        """Whose key is not the one of its certificate."""

        key, certificate = STRANGER.key, NODE.certificate

    with pytest.raises(AuthenticationFailed, match="not the node it should be"):
        Client.connect(address, key=FRIEND.private, certificate=FRIEND.certificate, server=Other())


@pytest.mark.parametrize("nowhere", ["127.0.0.1:1", "127.0.0.1", "", "127.0.0.1:99999", "x:y"])
def test_nobody_there_is_unreachable(nowhere: str) -> None:
    with pytest.raises(Unreachable):
        connect(nowhere)


# -- servers that do wrong --


@contextmanager
def listening(act: Callable[[socket.socket], None]) -> Iterator[str]:
    """Run `act` on the first connection to a port; yields its address."""

    def serve_one() -> None:
        accepted, _ = listener.accept()
        with accepted, suppress(OSError):
            act(accepted)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve_one)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)


def greeted(
    act: Callable[[ssl.SSLSocket, Connection], None],
) -> Callable[[socket.socket], None]:
    """Return an act that begins as a node does."""

    def run(plain: socket.socket) -> None:
        context = server_context(NODE.private, NODE.certificate, [FRIEND.certificate])
        with context.wrap_socket(plain, server_side=True) as secured:
            connection = Connection(name="node", nonce=bytes(16))
            secured.sendall(connection.hello())
            connection.receive_data(secured.recv(RECEIVE_BYTES))
            act(secured, connection)

    return run


@pytest.mark.parametrize("tells", [True, False], ids=["says so", "greets all the same"])
def test_a_node_of_a_release_too_far_away_is_told_from_a_broken_one(tells: bool) -> None:
    def act(plain: socket.socket) -> None:
        context = server_context(NODE.private, NODE.certificate, [FRIEND.certificate])
        with context.wrap_socket(plain, server_side=True) as secured:
            later = Connection(name="node", nonce=bytes(16), versions=(8, 9))
            fault = RemoteFault("wire/version", "we speak 8 to 9")
            secured.sendall(later.farewell(fault) if tells else later.hello())
            secured.recv(RECEIVE_BYTES)

    with listening(act) as address:
        with pytest.raises(CliError, match="8 to 9") as refused, translated("beta"):
            connect(address)
        assert refused.value.exit_code is Exit.VERSION


def test_a_port_that_does_not_speak_tls_is_not_our_node() -> None:
    def act(plain: socket.socket) -> None:
        plain.sendall(b"220 mail.example.com ESMTP\r\n")

    with listening(act) as address, pytest.raises((AuthenticationFailed, Unreachable)):
        connect(address)


def test_a_port_that_says_nothing_is_unreachable_in_time() -> None:
    def act(plain: socket.socket) -> None:
        while plain.recv(RECEIVE_BYTES):
            pass

    with listening(act) as address, pytest.raises(Unreachable):
        Client.connect(
            address,
            key=FRIEND.private,
            certificate=FRIEND.certificate,
            server=NODE,
            timeout_s=0.1,
        )


def test_strange_bytes_after_the_greeting_are_the_nodes_fault() -> None:
    def act(secured: ssl.SSLSocket, connection: Connection) -> None:
        secured.sendall(b"\xff" * 64)

    with listening(greeted(act)) as address, connect(address) as client:
        with pytest.raises(RemoteFault):
            client.request("echo")
        with pytest.raises(Unreachable):
            client.request("echo")


def test_a_connection_that_breaks_is_unreachable() -> None:
    def act(secured: ssl.SSLSocket, connection: Connection) -> None:
        secured.recv(RECEIVE_BYTES)

    with (
        listening(greeted(act)) as address,
        connect(address) as client,
        pytest.raises(Unreachable),
    ):
        client.request("echo")


def test_the_client_answers_pings_while_it_waits() -> None:
    heard: list[object] = []

    def act(secured: ssl.SSLSocket, connection: Connection) -> None:
        (request,) = connection.receive_data(secured.recv(RECEIVE_BYTES))
        secured.sendall(connection.send(Ping(7)))
        heard.extend(connection.receive_data(secured.recv(RECEIVE_BYTES)))
        number = request.id  # type: ignore[union-attr]
        secured.sendall(connection.send(Item(number + 1, Map({"stray": True}))))
        secured.sendall(connection.send(Reply(number, True, Map({"done": True}))))
        secured.recv(RECEIVE_BYTES)

    with listening(greeted(act)) as address, connect(address) as client:
        assert client.request("echo") == Map({"done": True})
    assert heard == [Pong(7)]


def test_a_goodbye_instead_of_an_answer_says_why() -> None:
    def act(secured: ssl.SSLSocket, connection: Connection) -> None:
        secured.recv(RECEIVE_BYTES)
        secured.sendall(connection.send(Goodbye("the node stops")))

    with listening(greeted(act)) as address, connect(address) as client:
        with pytest.raises(Unreachable, match="the node stops"):
            client.request("echo")
        with pytest.raises(Unreachable):
            client.request("echo")

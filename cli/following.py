"""What several nodes send as it happens, in one sequence.

Is:     a connection and a thread for each node, and one queue.
Is not: an order among nodes: what comes first is yielded first.
Fits:   `yin audit --follow`, `yin token requests --follow`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator, Sequence

from cli.cluster import Cluster
from cli.connect import connected
from cli.errors import CliError, Exit
from cli.output import note
from datomstore.value import Map

AGAIN_S = 1.0  # how long a node that does not answer is left alone

News = queue.Queue[tuple[str, Map | CliError | None]]  # None: the node answers


def followed(
    cluster: Cluster, names: Sequence[str], verb: str, body: Map, *, again: bool = False
) -> Generator[tuple[str, Map], None, None]:
    """Yield each item that nodes send, with the node's name, until interrupted.

    Args:
        cluster: where the nodes are.
        names: of the nodes.
        verb: a request that is answered item by item.
        body: of the request.
        again: ask a node that does not answer again and again, and say so; it may send what it has sent before.

    Raises CliError: a node refuses, or does not answer; with `again`, none of them answered.
    """
    news: News = queue.Queue()
    stopped = threading.Event()
    for name in names:
        threading.Thread(
            target=_listen,
            args=(cluster, name, verb, body, news, stopped if again else None),
            daemon=True,
            name=name,
        ).start()
    try:
        yield from _heard(news, len(names), again)
    finally:
        stopped.set()


def _heard(news: News, count: int, again: bool) -> Iterator[tuple[str, Map]]:
    heard = False
    missed = 0
    while True:
        name, item = news.get()
        if item is None:
            heard = True
        elif isinstance(item, Map):
            yield name, item
        else:
            missed += 1
            never = not heard and missed == count
            if not again or never or item.exit_code is not Exit.UNREACHABLE:
                raise item
            note(f"no answer from {name}: it is asked again")


def _listen(
    cluster: Cluster, name: str, verb: str, body: Map, news: News, stopped: threading.Event | None
) -> None:
    """Hand on what a node sends, once; or again and again until stopped."""
    told = False  # that it does not answer
    while True:
        try:
            with connected(cluster, name) as client:
                news.put((name, None))
                told = False
                for item in client.stream(verb, body):
                    news.put((name, item))
        except CliError as error:
            if not told:
                news.put((name, error))
            told = True
            if error.exit_code is not Exit.UNREACHABLE:
                return
        if stopped is None or stopped.wait(AGAIN_S):
            return

"""What several nodes send as it happens, in one sequence.

Is:     a connection and a thread for each node, and one queue; a node that is lost is asked again until it is there.
Is not: an order among nodes: what comes first is yielded first.
Fits:   `yin audit --follow`, `yin token requests --follow`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator, Sequence

from cli.cluster import Cluster
from cli.connect import Missed, connected, missed_text, none_reached
from cli.errors import NotReached
from cli.output import note
from datomstore.value import Map

AGAIN_S = 1.0  # how long a node that does not answer is left alone; twice as long each time
AGAIN_MAX_S = 8.0

News = queue.Queue[tuple[str, Map | Exception | None]]  # None: the node answers


def followed(
    cluster: Cluster, names: Sequence[str], verb: str, body: Map
) -> Generator[tuple[str, Map | None], None, None]:
    """Yield each item that nodes send, with the node's name, until interrupted; None for a node that is not reached.

    Such a node is said to be missed, and asked again and again. It sends what it has sent before then, too.

    Args:
        cluster: where the nodes are.
        names: of the nodes.
        verb: a request that is answered item by item.
        body: of the request.

    Raises CliError: a node refuses, or none of them answered.
    """
    news: News = queue.Queue()
    stopped = threading.Event()
    for name in names:
        threading.Thread(
            target=_listen,
            args=(cluster, name, verb, body, news, stopped),
            daemon=True,
            name=name,
        ).start()
    try:
        yield from _heard(news, len(names))
    finally:
        stopped.set()


def _heard(news: News, count: int) -> Iterator[tuple[str, Map | None]]:
    heard = False
    missed: Missed = {}
    while True:
        name, item = news.get()
        if isinstance(item, Map):
            yield name, item
        elif item is None:
            heard = True
            if missed.pop(name, None) is not None:
                note(f"{name} answers now")
        elif isinstance(item, NotReached):
            missed[name] = item
            if not heard and len(missed) == count:
                raise none_reached(missed)
            note(f"{missed_text({name: item})}: it is asked again")
            yield name, None
        else:
            raise item


def _listen(
    cluster: Cluster, name: str, verb: str, body: Map, news: News, stopped: threading.Event
) -> None:
    """Hand on what a node sends, and that it is lost, once, or refuses; ask again until stopped, but not who refuses."""
    told = False  # that it does not answer
    again_s = AGAIN_S
    while not stopped.is_set():
        follows = False
        try:
            with connected(cluster, name, quietly=told) as client:
                news.put((name, None))
                told, again_s = False, AGAIN_S
                for item in client.stream(verb, body):
                    follows = True
                    news.put((name, item))
        except NotReached as error:
            if not told:
                news.put((name, error))
            told = True
        except Exception as error:
            # Who was let follow and is cut off, as one who is too slow is, asks again, and hears then if they may not.
            if not follows:
                news.put((name, error))
                return
        stopped.wait(again_s)
        again_s = min(2 * again_s, AGAIN_MAX_S)

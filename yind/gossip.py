"""Sets that only grow, on their way through the cluster.

Is:     telling every other node at once what is new here, and comparing sets with each of them now and then, which is
        how a node that was away catches up.
Is not: what is in the sets or who may add to them: whoever takes in an item checks it.
Fits:   revocations (`yind.revocations`) and statements about the cluster (`yind.members`) travel so.
Source: Demers et al., "Epidemic algorithms for replicated database maintenance" (1987): rumours and anti-entropy. The
        union of two sets is the set of both, so no order matters.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import structlog
import trio

from capabilities.errors import CapabilityError
from capabilities.keys import PublicKey
from datomstore.storage import StorageError
from datomstore.value import Map
from protocol.errors import ProtocolError, RemoteFault
from protocol.transport import Channel
from yind.errors import Denied, RequestInvalid
from yind.fields import Answer, Fields
from yind.limits import (
    GOSSIP_S,
    GOSSIP_TOLD_MAX,
    GOSSIP_UNTOLD_MAX,
    REVOCATIONS_SHOWN_MAX,
    STATEMENTS_SHOWN_BYTES,
)
from yind.session import Session

_log = structlog.get_logger()


class Spread(Protocol):
    """A set that only grows, as far as its way between nodes is concerned."""

    topic: str  # the verbs are TOPIC.digest, TOPIC.list and TOPIC.tell

    def digest(self) -> bytes:
        """Return what is equal for equal sets."""

    def listed(self, after: bytes) -> tuple[bytes, ...]:
        """Return the next items of the set, in its order, as bytes."""

    def place(self, item: bytes) -> bytes:
        """Return where an item stands in that order. Raises CapabilityError for bytes that are none."""

    async def take_bytes(self, items: Iterable[bytes], teller: PublicKey) -> int:
        """Check and keep items that a node told of; return how many are new. Raises CapabilityError."""


@dataclass(slots=True)
class _Fetch:
    """How far the list of a node has come."""

    begun: float  # trio's clock
    after: bytes = b""  # the place of the last item
    refused: CapabilityError | None = None


class Gossip:
    """One set of one node, in touch with the others'."""

    def __init__(
        self,
        spread: Spread,
        *,
        others: Callable[[], list[str]],
        channel: Callable[[str], Awaitable[Channel]],
        is_node: Callable[[PublicKey], bool],
        refused: Callable[[str, str], None],
    ) -> None:
        self._spread = spread
        self._others = others
        self._channel = channel
        self._is_node = is_node
        self._refused = refused  # told who told what was not taken, and why
        self._compared: dict[str, float] = {}  # node -> when our sets were equal last, trio's clock
        self._fetches: dict[str, _Fetch] = {}  # of nodes whose lists have not come to an end
        self._untold: dict[str, list[bytes]] = {}  # to nodes that are being told
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Compare sets with every other node again and again, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            while True:
                for name in self._others():
                    nursery.start_soon(self._compare_or_log, name)
                await trio.sleep(GOSSIP_S)

    def compare_with(self, name: str) -> None:
        """Compare sets with a node without waiting for the next turn."""
        if self._nursery is not None:
            self._nursery.start_soon(self._compare_or_log, name)

    def age_s(self) -> int | None:
        """Return how old this node's set may be: since when some node has not been heard. None: never all."""
        others = self._others()
        if not all(name in self._compared for name in others):
            return None
        now = trio.current_time()
        return int(max((now - self._compared[name] for name in others), default=0))

    def tell(self, items: list[bytes]) -> None:
        """Tell every other node what is new. Who hears slowly is told the rest by comparing."""
        if self._nursery is None:
            return
        for name in self._others():
            if (untold := self._untold.get(name)) is not None:
                untold += items[: max(0, GOSSIP_UNTOLD_MAX - len(untold))]
            else:
                self._untold[name] = list(items)
                self._nursery.start_soon(self._tell_untold, name)

    async def tell_all(self, items: list[bytes]) -> None:
        """As `tell`; returns when every node has heard, or has not answered."""
        async with trio.open_nursery() as nursery:
            for name in self._others():
                nursery.start_soon(self._tell, name, list(items))

    async def _tell_untold(self, name: str) -> None:
        """Tell a node what waits for it, and what comes meanwhile: one task, however much there is to tell."""
        try:
            await self._tell(name, self._untold[name])
        finally:
            del self._untold[name]

    async def _tell(self, name: str, items: list[bytes]) -> None:
        """Tell a node items, which are taken from the list; one that does not answer in time is not told the rest."""
        try:
            while items:
                part = tuple(items[:GOSSIP_TOLD_MAX])
                del items[:GOSSIP_TOLD_MAX]
                with trio.fail_after(GOSSIP_S):
                    channel = await self._channel(name)
                    await channel.request(f"{self._spread.topic}.tell", Map({"items": part}))
        except (ProtocolError, trio.TooSlowError) as error:  # comparing sets will tell it
            _log.info("news was not told", topic=self._spread.topic, node=name, why=str(error))
        except Exception:  # whatever one node makes of this, the others are still told
            _log.exception("news was not told", topic=self._spread.topic, node=name)

    async def _compare_or_log(self, name: str) -> None:
        try:
            with trio.move_on_after(GOSSIP_S):
                await self._compare(name)
        except (ProtocolError, CapabilityError) as error:
            _log.debug(
                "sets were not compared", topic=self._spread.topic, node=name, why=str(error)
            )
        except StorageError as error:
            _log.error("what is new cannot be saved", topic=self._spread.topic, why=str(error))
        except Exception:  # whatever one node answers, sets are still compared with the others
            _log.exception("sets were not compared", topic=self._spread.topic, node=name)

    async def _compare(self, name: str) -> None:
        channel = await self._channel(name)
        asked = trio.current_time()
        answer = await channel.request(f"{self._spread.topic}.digest")
        if answer.get("digest") == self._spread.digest():
            self._fetches.pop(name, None)
            self._compared[name] = asked
            return
        fetch = self._fetches.setdefault(name, _Fetch(asked))
        await self._go_on(channel, fetch)
        self._fetches.pop(name, None)
        if fetch.refused is not None:
            raise fetch.refused
        self._compared[name] = fetch.begun

    async def _go_on(self, channel: Channel, fetch: _Fetch) -> None:
        """Take in what a node lists, from where that was cut off. What is refused keeps out nothing that comes later."""
        while True:
            asked = Map({"after": fetch.after})
            answer = await channel.request(f"{self._spread.topic}.list", asked)
            listed = _checked(answer.get("items"))
            if not listed or (last := self._spread.place(listed[-1])) <= fetch.after:
                return
            fetch.refused = await self._take(listed, channel.peer) or fetch.refused
            fetch.after = last

    async def _take(self, listed: tuple[bytes, ...], teller: PublicKey) -> CapabilityError | None:
        """Take in one answer, a few items in one turn of the event loop; return why some were refused.

        What gives an item its standing may come behind it: what is refused is looked at once more.
        """
        starts = list(range(0, len(listed), GOSSIP_TOLD_MAX))
        refused: CapabilityError | None = None
        for _ in range(min(2, len(starts))):
            again, refused = [], None
            for start in starts:
                try:
                    await self._spread.take_bytes(listed[start : start + GOSSIP_TOLD_MAX], teller)
                except CapabilityError as error:
                    again.append(start)
                    refused = error
                await trio.lowlevel.checkpoint()
            starts = again
        return refused

    # -- what others ask --

    def verbs(self) -> dict[str, Answer]:
        """Return what answers the requests of other nodes."""
        return {
            f"{self._spread.topic}.digest": self._digest,
            f"{self._spread.topic}.list": self._list,
            f"{self._spread.topic}.tell": self._told,
        }

    async def _digest(self, session: Session, fields: Fields) -> object:
        return Map({"digest": self._spread.digest()})

    async def _list(self, session: Session, fields: Fields) -> object:
        return Map({"items": self._spread.listed(fields.data("after", b""))})

    async def _told(self, session: Session, fields: Fields) -> object:
        """Take in what a node tells. Nobody else may: sets are kept for good, and would fill."""
        if not self._is_node(session.peer):
            raise Denied(
                "only a node of the cluster tells news", right=f"tell {self._spread.topic}"
            )
        items = fields.items("items")
        if len(items) > GOSSIP_TOLD_MAX or not all(type(item) is bytes for item in items):
            raise RequestInvalid(f"news is at most {GOSSIP_TOLD_MAX} byte strings")
        try:
            return Map({"new": await self._spread.take_bytes(items, session.peer)})  # type: ignore[arg-type]
        except CapabilityError as error:
            self._refused(session.peer.text, str(error))
            raise


def _checked(listed: object) -> tuple[bytes, ...]:
    """Return what a node lists, nothing if that is no list of bytes. Raises RemoteFault for more than honest nodes list."""
    if not isinstance(listed, tuple) or not all(type(item) is bytes for item in listed):
        return ()
    if len(listed) > REVOCATIONS_SHOWN_MAX or sum(map(len, listed)) > STATEMENTS_SHOWN_BYTES:
        raise RemoteFault("wire/message", "it lists more than fits into one answer")
    return listed

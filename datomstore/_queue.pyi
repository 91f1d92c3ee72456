"""Types of the queue of writers that share a commit (`_queue.pyx`)."""

from collections.abc import Mapping
from typing import Any

from datomstore._transact import TxReport
from datomstore.value import Keyword

class Request:
    """A transaction that waits for its turn."""

    stream: Any
    items: list[object]
    meta: Mapping[Keyword, object] | None
    report: TxReport | None
    error: BaseException | None
    done: bool
    leads: bool  # the lead has been passed to it

    def __init__(
        self, stream: object, items: list[object], meta: Mapping[Keyword, object] | None, /
    ) -> None: ...
    def finish(self, report: TxReport, /) -> None: ...
    def fail(self, error: BaseException, /) -> None: ...

class Queue:
    """The requests of all writers."""

    @property
    def led(self) -> bool: ...
    def enter(self, request: Request, /) -> bool:
        """Let a request wait; return whether its writer leads."""
    def wait(self, request: Request, /) -> None:
        """Sleep until the request is done or leads. Raises what a signal raises."""
    def take(self, most: int, /) -> list[Request]:
        """Return what waits, the oldest first."""
    def give_back(self, requests: list[Request], /) -> None:
        """Let requests wait again, before all others."""
    def leave(self, request: Request, /) -> None:
        """Let a request wait no longer."""
    def done(self, group: list[Request], mine: Request, /) -> None:
        """Wake the writers of a group that is done, some of them a little later."""
    def pass_lead(self) -> None:
        """Pass the lead to the writer that has waited longest, if any waits."""

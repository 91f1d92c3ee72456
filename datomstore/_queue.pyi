"""Types of the queue of transactions that share a commit (`_queue.pyx`)."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from datomstore._transact import TxReport
from datomstore.streams import Stream
from datomstore.value import Keyword

T = TypeVar("T")

def call_out(callback: Callable[[T], object], argument: T, /) -> None:
    """Call what must not be in the way: its error goes to `sys.unraisablehook`."""

class Commit:
    """A transaction on its way to the log. Its methods are those of `concurrent.futures.Future`."""

    @property
    def stream(self) -> Stream: ...
    @property
    def items(self) -> list[object]: ...
    @property
    def meta(self) -> Mapping[Keyword, object] | None: ...
    @property
    def report(self) -> TxReport: ...  # once it is over without an error
    @property
    def error(self) -> BaseException | None: ...
    @property
    def over(self) -> bool: ...  # it has its report or its error
    def __init__(
        self,
        stream: Stream,
        items: list[object],
        meta: Mapping[Keyword, object] | None,
        /,
        *,
        sleeps: bool = False,
    ) -> None: ...
    def finish(self, report: TxReport, /) -> None: ...
    def fail(self, error: BaseException, /) -> None: ...
    def done(self) -> bool:
        """Return whether it has been committed or refused."""
    def result(self, timeout: float | None = None) -> TxReport:
        """Return its report when it is on disk. Raises TimeoutError, and what `transact` raises."""
    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return why it was not committed, None if it was. Raises TimeoutError."""
    def add_done_callback(self, callback: Callable[[Commit], object], /) -> None:
        """Call `callback` with this when it is over: in the thread that commits, or at once if it is already."""

class Queue:
    """The transactions of all writers."""

    @property
    def led(self) -> bool: ...  # some thread commits, or has been called to
    @property
    def count(self) -> int:
        """Return how many wait."""
    def streams(self) -> set[Stream]:
        """Return the streams of what waits."""
    def enter(self, commit: Commit, /) -> bool:
        """Let a transaction wait; return whether a thread has to be called to commit it."""
    def rest(self) -> bool:
        """Note that nobody commits if nothing waits; return whether that is so."""
    def wait(self, commit: Commit, /) -> None:
        """Sleep until a transaction is over. Raises what a signal raises."""
    def take(self, most: int, /) -> list[Commit]:
        """Return what waits, the oldest first."""
    def leave(self, commit: Commit, /) -> None:
        """Let a transaction wait no longer."""
    def done(self, group: list[Commit], /) -> None:
        """Tell the writers of a group that is over: those that sleep a little later, a few at a time."""

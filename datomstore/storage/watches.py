"""Who wants to know that a log has grown.

Is:     callables by stream, and the telling.
Is not: the engine: it tells after a write transaction is durable.
Fits:   every engine that is one process's own has a Watches; one that many share would have its engine's notices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from datomstore._queue import call_out

Told = Callable[[int], object]


class Watches:
    """Callables by stream."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[Told, ...]] = {}

    def add(self, stream: str, told: Told) -> Callable[[], None]:
        """Have a callable told the end of a log when it has grown; return how to stop it."""
        self._of[stream] = (*self._of.get(stream, ()), told)

        def stop() -> None:
            left = [other for other in self._of.get(stream, ()) if other is not told]
            if left:
                self._of[stream] = tuple(left)
            else:
                self._of.pop(stream, None)

        return stop

    def tell(self, ends: Mapping[str, int]) -> None:
        """Tell of logs that have grown, by their new ends."""
        if self._of:
            for stream, end in ends.items():
                for told in self._of.get(stream, ()):
                    call_out(told, end)  # what is durable cannot fail any more

"""The body of a request, field by field.

Is:     reading with types; what is missing or of another type is named in the error.
Is not: what the fields mean (`yind.control`, `yind.granting`).
Fits:   every request verb gets one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from datomstore.value import Map
from yind.errors import RequestInvalid
from yind.session import Session


class Fields:
    """The body of a request, read field by field with its type."""

    def __init__(self, body: object) -> None:
        if not isinstance(body, Map):
            raise RequestInvalid("the body of a request is a map")
        self._body = body

    def get(self, name: str, kind: type, default: object = ...) -> object:
        """Return a field of the given type; a missing one is an error unless there is a default."""
        value = self._body.get(name, default)
        if value is ...:
            raise RequestInvalid(f"the request lacks the field {name!r}")
        if value is not default and not isinstance(value, kind):
            raise RequestInvalid(f"the field {name!r} is not a {kind.__name__}")
        return value

    def text(self, name: str, default: object = ...) -> str:
        """Return a string field."""
        return self.get(name, str, default)  # type: ignore[return-value]

    def data(self, name: str, default: object = ...) -> bytes:
        """Return a bytes field."""
        return self.get(name, bytes, default)  # type: ignore[return-value]

    def items(self, name: str, default: object = ...) -> tuple[object, ...]:
        """Return a vector field."""
        return self.get(name, tuple, default)  # type: ignore[return-value]

    def number(self, name: str, default: int | None) -> int | None:
        """Return a non-negative integer field, or the default."""
        value = self._body.get(name, None)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise RequestInvalid(f"the field {name!r} is not a non-negative integer")
        return value


# What answers a verb of another part of the node.
Answer = Callable[[Session, Fields], Awaitable[object]]

"""Where a node listens, as text.

Is:     host and port of "host:port", also "[::1]:7070".
Is not: resolving names.
Fits:   both I/O modules.
"""

from __future__ import annotations

from protocol.errors import Unreachable


def split_address(address: str) -> tuple[str, int]:
    """Return host and port. Raises Unreachable."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65_535:
        raise Unreachable(f"{address!r} is not HOST:PORT")
    return host.strip("[]"), int(port)

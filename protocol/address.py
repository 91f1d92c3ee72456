"""Where a node listens, as text.

Is:     host and port of "host:port", also "[::1]:7070", and whether others can be told it.
Is not: resolving names.
Fits:   both I/O modules.
"""

from __future__ import annotations

import ipaddress

from protocol.errors import Unreachable


def split_address(address: str) -> tuple[str, int]:
    """Return host and port. Raises Unreachable."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65_535:
        raise Unreachable(f"{address!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def is_dialable(address: str) -> bool:
    """Return whether an address leads to one host, wherever it is dialled: no `0.0.0.0` or `::`, and a port."""
    try:
        host, port = split_address(address)
    except Unreachable:
        return False
    return port > 0 and not is_wildcard(host)


def is_wildcard(host: str) -> bool:
    """Return whether a host is none, but every address of the machine that listens."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:  # a name, or one of the short ways to write zeros
        return host in ("", "*", "0", "0.0", "0.0.0")

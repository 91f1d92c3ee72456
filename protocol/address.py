"""Where a node listens, as text.

Is:     host and port of "host:port", also "[::1]:7070", and whether others can be told it.
Is not: resolving names.
Fits:   both I/O modules.
"""

from __future__ import annotations

import ipaddress
import string

from protocol.errors import Unreachable

_HOST = frozenset(
    string.ascii_letters + string.digits + ".-_:%*"
)  # of names and numbers, and "*" for all


def split_address(address: str) -> tuple[str, int]:
    """Return host and port. Raises Unreachable."""
    host, colon, port = address.rpartition(":")
    # `isdigit` alone also takes what `int` does not, such as "²", and digits without end.
    if not colon or not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65_535:
        raise Unreachable(f"{address!r} is not HOST:PORT")
    host = host.strip("[]")
    if not _is_host(host):
        raise Unreachable(f"{address!r} names no host")
    return host, int(port)


def _is_host(text: str) -> bool:
    """Return whether a resolver can be asked for a host: it raises what is no OSError for one that it cannot encode."""
    try:
        name = text.encode("idna").decode("ascii")
    except UnicodeError:  # an empty part, or one that is too long
        return False
    return len(name) <= 253 and all(character in _HOST for character in name)


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

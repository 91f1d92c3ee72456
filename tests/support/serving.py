"""The transport over sockets, with a handler of the test's own behind it.

Is:     NODE, listening on loopback for the members that a test names.
Is not: a node: nobody answers but the handler.
Fits:   tests of `protocol`; `fleet` and `daemons` have whole nodes.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
from members import FRIEND, NODE, Member

from protocol.holdings import Holdings
from protocol.tls import server_context
from protocol.transport import Applicants, Handler, serve


def raised(error: Exception) -> None:
    """Let a fault of ours fail the test."""
    raise error


@asynccontextmanager
async def serving(
    handler: Handler,
    *members: Member,
    failed: Callable[[Exception], None] = raised,
    applicants: Applicants | None = None,
    holdings: Holdings | None = None,
) -> AsyncIterator[tuple[str, int]]:
    """Yield where NODE listens; it knows FRIEND, and other members, and takes applications if somebody answers them."""
    context = server_context(
        NODE.private,
        NODE.certificate,
        [member.certificate for member in (FRIEND, *members)],
        applicants=applicants is not None,
    )
    async with trio.open_nursery() as nursery:
        yield await nursery.start(
            lambda task_status: serve(
                "127.0.0.1:0",
                context=lambda: context,
                name="node",
                nonce=lambda: os.urandom(16),
                handler=handler,
                failed=failed,
                applicants=applicants,
                holdings=holdings,
                task_status=task_status,
            )
        )
        nursery.cancel_scope.cancel()

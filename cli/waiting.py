"""Waiting that a person sees, and that ends.

Is:     a line on standard error once something takes long, and the option that says how long at most.
Is not: how far work has come (`cli.progress`).
Fits:   commands that wait until an agent has stopped, or has moved.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from cli.output import note

SAY_AFTER_S = 2.0


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say what is waited for, if the block takes longer than SAY_AFTER_S."""
    timer = threading.Timer(SAY_AFTER_S, note, [f"waiting for {what} ..."])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def timeout_option(default_s: float) -> Callable[..., Any]:
    """Give a command `--timeout`, as `timeout_s`."""
    return click.option(
        "--timeout",
        "timeout_s",
        type=click.FloatRange(0, min_open=True),
        default=default_s,
        show_default=True,
        metavar="SECONDS",
        help="Give up waiting after so long; what was asked for may still happen.",
    )

"""Durations as people type them: 90s, 10m, 2h, 7d.

Is:     reading them, and the option of commands that change a key.
Is not: a moment (`cli.caveats`).
Fits:   commands.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from cli.errors import CliError, Exit

DURATION = re.compile(r"(\d+)(s|m|h|d)")
UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(text: str) -> int:
    """Return seconds of a text such as 90s, 10m, 2h, 7d. Raises CliError."""
    match = DURATION.fullmatch(text)
    if match is None:
        raise CliError(
            f"{text!r} is not a duration such as 90s, 10m, 2h or 7d", exit_code=Exit.USAGE
        )
    return int(match[1]) * UNIT_S[match[2]]


def lasting(text: str, what: str = "a token") -> int:
    """Return the seconds of how long something is to last. Raises CliError, also for none."""
    seconds = parse_duration(text)
    if not seconds:
        raise CliError(f"{text!r} is over at once: {what} lasts 1s or longer", exit_code=Exit.USAGE)
    return seconds


def overlap_option(default: str) -> Callable[..., Any]:
    """Give a command that changes a key `--overlap`, as `overlap_s`."""
    return click.option(
        "--overlap",
        "overlap_s",
        default=default,
        show_default=True,
        callback=lambda context, option, text: parse_duration(text),
        help="How long the old key still counts.",
    )

"""The options that say what a block of a token allows, and what they mean.

Is:     options, and reading them into caveats.
Is not: making a token (`cli.commands.token`).
Fits:   commands that mint, narrow, spawn, grant and renew.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from capabilities.caveats import Caveats, Resource, Rights, Verb
from capabilities.errors import CapabilityError
from capabilities.keys import PublicKey
from capabilities.patterns import check_attribute_pattern, check_pattern
from cli.cluster import Cluster
from cli.durations import DURATION, lasting, parse_duration
from cli.errors import CliError, Exit

AMOUNT = re.compile(r"(\d+)(k|M|G|KiB|MiB|GiB)?")
UNIT = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


BUDGET = click.option(
    "--budget",
    multiple=True,
    metavar="RESOURCE=N",
    help="At most so much of fuel, mem, rows, bytes, children or hops, such as rows=10k; k, M, G are "
    "thousands, KiB, MiB, GiB 1024s; may be given again.",
)


def ttl_option(default: str) -> Callable[..., Any]:
    """Give a command `--ttl`; `default` says what holds without it."""
    return click.option(
        "--ttl",
        metavar="DURATION",
        help=f"How long it lasts, such as 90s, 10m, 2h, 7d. [default: {default}]",
    )


ALLOW = click.option(
    "--allow",
    multiple=True,
    metavar="VERBS:PATTERN",
    help="Right, such as read,append:*/web; may be given again.",
)


def _with(
    command: Callable[..., object], options: Sequence[Callable[..., Any]]
) -> Callable[..., object]:
    for option in reversed(options):
        command = option(command)
    return command


def sharing_options(*, ttl: str) -> Callable[..., Any]:
    """Give a command the options that narrow what an agent gets; `ttl` says how long it lasts by default."""
    return partial(_with, options=[ALLOW, ttl_option(ttl), BUDGET])


def caveat_options(*, ttl: str) -> Callable[..., Any]:
    """Give a command the options that say what a block allows; `ttl` says how long it lasts by default."""
    options = [
        ALLOW,
        ttl_option(ttl),
        click.option(
            "--from", "begins", metavar="TIME", help="Not before, such as 2h or 2030-01-31T08:00."
        ),
        click.option("--at", multiple=True, metavar="NODE", help="Only on these nodes."),
        click.option("--agent", metavar="ID", help="Only for this agent: its whole id."),
        click.option(
            "--via", multiple=True, metavar="NODE|KEY", help="Only these may ever hold it."
        ),
        click.option(
            "--hops", type=click.IntRange(0, 255), help="How often its holder may change."
        ),
        click.option(
            "--depth", type=click.IntRange(0, 255), help="How often it may be narrowed further."
        ),
        BUDGET,
        click.option("--account", metavar="NODE", help="The node where its budget is drawn first."),
        click.option(
            "--attr",
            "attrs",
            multiple=True,
            metavar="PATTERN",
            help="Only attributes such as person/*, or not !person/salary; may be given again.",
        ),
        click.option(
            "--revage",
            metavar="DURATION",
            help="Only where revocations are known up to so long ago, such as 60s.",
        ),
        click.option("--note", help="A remark for the audit stream."),
        click.option(
            "--to",
            "holder",
            metavar="NODE|KEY",
            help="Bind it to a node or a public key; else it is a bearer token.",
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            help="Write it to this file (mode 0600) instead of printing it.",
        ),
    ]
    return partial(_with, options=options)


def caveats_of(cluster: Cluster, options: dict[str, object]) -> Caveats:
    """Return what the options say; those that a command lacks say nothing. Raises CliError."""

    def many(name: str) -> tuple[str, ...]:
        given = options.get(name) or ()
        assert isinstance(given, tuple), given
        return given

    def text(name: str) -> str | None:
        given = options.get(name)
        return None if given is None else str(given)

    ttl, begins, agent = text("ttl"), text("begins"), text("agent")
    account, revage = text("account"), text("revage")
    return Caveats(
        exp=None if ttl is None else _now_s() + lasting(ttl),
        nbf=None if begins is None else parse_moment(begins),
        rights=tuple(parse_right(one) for one in many("allow")) or None,
        at=frozenset(cluster.node(name).key for name in many("at")) or None,
        agent=None if agent is None else parse_agent(agent),
        via=frozenset(parse_key(cluster, one) for one in many("via")) or None,
        hops=options.get("hops"),  # type: ignore[arg-type]
        depth=options.get("depth"),  # type: ignore[arg-type]
        budget=parse_budget(many("budget")) or None,
        attrs=tuple(map(parse_attribute, many("attrs"))) or None,
        revage=None if revage is None else parse_duration(revage),
        note=text("note"),
        account=None if account is None else cluster.node(account).key,
    )


def _now_s() -> int:
    return time.time_ns() // 10**9


def parse_key(cluster: Cluster, text: str) -> PublicKey:
    """Return the key of a node's name, of a member's, or of its own text. Raises CliError."""
    for member in cluster.members:
        if member.name == text:
            return member.key
    try:
        return PublicKey.parse(text)
    except CapabilityError as error:
        raise CliError(
            f"{text!r} is neither a node nor a public key: {error}", exit_code=Exit.USAGE
        ) from error


def parse_agent(text: str) -> bytes:
    """Return an agent's id from its whole text. Raises CliError."""
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != 32:
        raise CliError(
            f"{text!r} is not an agent's whole id", exit_code=Exit.USAGE, hint="yin ps -o ids"
        )
    return data


def parse_moment(text: str) -> int:
    """Return the second of a moment in local time, or of a duration from now. Raises CliError."""
    if DURATION.fullmatch(text):
        return _now_s() + parse_duration(text)
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp())
    except ValueError:
        raise CliError(
            f"{text!r} is neither a duration nor a time such as 2030-01-31T08:00",
            exit_code=Exit.USAGE,
        ) from None


def parse_budget(texts: tuple[str, ...]) -> dict[Resource, int]:
    """Return the amounts of RESOURCE=N[,RESOURCE=N...]. Raises CliError."""
    found: dict[Resource, int] = {}
    for item in ",".join(texts).split(",") if texts else ():
        name, _, amount = item.partition("=")
        match = AMOUNT.fullmatch(amount)
        if name.upper() not in Resource.__members__ or match is None:
            known = ", ".join(resource.name.lower() for resource in Resource)
            raise CliError(
                f"{item!r} is not RESOURCE=N, such as rows=10k (resources: {known})",
                exit_code=Exit.USAGE,
            )
        resource = Resource[name.upper()]
        if resource in found:
            raise CliError(f"{name.lower()} has two budgets", exit_code=Exit.USAGE)
        found[resource] = int(match[1]) * UNIT[match[2] or ""]
    return found


def parse_right(text: str) -> Rights:
    """Return the right of VERB[,VERB...]:PATTERN. Raises CliError."""
    verbs, colon, pattern = text.partition(":")
    if not colon or not pattern:
        raise CliError(
            f"{text!r} is not VERBS:PATTERN, such as read:*/stdlib", exit_code=Exit.USAGE
        )
    mask = Verb(0)
    for name in verbs.split(","):
        try:
            mask |= Verb[name.upper()]
        except KeyError:
            known = ", ".join(str(verb.name).lower() for verb in Verb)
            raise CliError(f"no verb {name!r} (verbs: {known})", exit_code=Exit.USAGE) from None
    _check(check_pattern, pattern)
    return Rights(mask, pattern)


def right_text(right: Rights) -> str:
    """Return a right as `--allow` reads it."""
    verbs = ",".join(str(verb.name).lower() for verb in Verb if verb & right.verbs)
    return f"{verbs}:{right.pattern}"


def parse_attribute(text: str) -> str:
    """Return an attribute pattern. Raises CliError for one that is malformed."""
    _check(check_attribute_pattern, text)
    return text


def _check(rule: Callable[[str], None], text: str) -> None:
    try:
        rule(text)
    except CapabilityError as error:
        raise CliError(str(error), exit_code=Exit.USAGE) from error

"""Entry point of the daemon: arguments, signals, `trio.run`.

Is:     `yind --config yind.toml`; SIGTERM and SIGINT stop it gracefully, SIGHUP reads the policies again.
Is not: anything a test needs: tests start `yind.node.run_node` in their own nursery.
Fits:   exit 0 after a graceful stop, 78 (EX_CONFIG) when the configuration is wrong, 75 (EX_TEMPFAIL) when the address
        cannot be listened on, which may be otherwise the next time.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import structlog
import trio

from yind import config as configuration
from yind.clock import System
from yind.code import MODES
from yind.errors import ConfigError, ListenError
from yind.limits import STOP_S
from yind.node import check, run_node

EX_CONFIG = 78
EX_TEMPFAIL = 75
# A thread that has waited for the disk gets on with it at once, however busy the event loop is.
SWITCH_INTERVAL_S = 0.0002


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=Path("/etc/yind/yind.toml"),
    show_default=True,
    help="The node's configuration.",
)
@click.option("--check-config", is_flag=True, help="Check the configuration and leave.")
@click.option(
    "--storage", type=click.Choice(["lmdb", "memory"]), help="Override the file's storage."
)
@click.option(
    "--memory-max", type=click.IntRange(1), help="Override the heap an agent may have, in bytes."
)
@click.option(
    "--mode",
    type=click.Choice(MODES),
    help="Override how programs that begin here run; docs/modes.md says what that means.",
)
@click.option(
    "--ready-fd", type=int, help="Write a newline to this descriptor when the node listens."
)
@click.option(
    "--log", type=click.Choice(["debug", "info", "warning"]), default="info", show_default=True
)
def main(
    path: Path,
    check_config: bool,
    storage: str | None,
    memory_max: int | None,
    mode: str | None,
    ready_fd: int | None,
    log: str,
) -> None:
    """Run one node until it is told to stop."""
    configure_log(log)
    try:
        config = configuration.load(path)
    except ConfigError as error:
        click.echo(f"yind: {error}", err=True)
        sys.exit(EX_CONFIG)
    if storage is not None:
        config = msgspec.structs.replace(config, storage=storage)
    if memory_max is not None:
        agents = msgspec.structs.replace(config.agents, memory_max=memory_max)
        config = msgspec.structs.replace(config, agents=agents)
    if mode is not None:
        agents = msgspec.structs.replace(config.agents, mode=mode)
        config = msgspec.structs.replace(config, agents=agents)
    if check_config:
        _check(config)
        click.echo(f"{path}: node {config.name}, listens on {config.listen}")
        return
    sys.exit(_status(config, ready_fd))


def _status(config: configuration.Config, ready_fd: int | None) -> int:
    """Run the node and return the exit code; what kept it from starting is one line."""
    refused: BaseExceptionGroup[ConfigError | ListenError] | None = None
    try:
        trio.run(_run, config, ready_fd)
    except* (ConfigError, ListenError) as group:
        refused = group
    if refused is None:
        return 0
    reasons = list(_leaves(refused))
    for reason in reasons:
        click.echo(f"yind: {reason}", err=True)
    wrong = any(isinstance(reason, ConfigError) for reason in reasons)
    return EX_CONFIG if wrong else EX_TEMPFAIL


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """Yield the errors of nested groups: nurseries are in each other."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _check(config: configuration.Config) -> None:
    """Leave with EX_CONFIG if the node would not start so."""
    try:
        check(config)
    except ConfigError as error:
        click.echo(f"yind: {error}", err=True)
        sys.exit(EX_CONFIG)


def configure_log(level: str) -> None:
    """Write log lines to standard error. Tracebacks show no values of variables: those may be secrets."""
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


async def _run(config: configuration.Config, ready_fd: int | None) -> None:
    async with trio.open_nursery() as nursery:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        node = await nursery.start(run_node, config, System())
        gc.freeze()  # what is here now stays: the collector need not look at it again
        if ready_fd is not None:
            os.write(ready_fd, b"\n")
            os.close(ready_fd)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async for received in signals:
                if received != signal.SIGHUP:
                    break
                node.reload()
        with trio.move_on_after(STOP_S):
            await node.stop()
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    main()

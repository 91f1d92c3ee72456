"""How far long work has come, on a terminal.

Is:     one bar on standard error; nothing where standard error is no terminal.
Is not: data, or a result.
Fits:   imports, exports and whatever reads a whole stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cli.output import interactive

Update = Callable[[int], None]  # told how much is done


@contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Update]:
    """Draw how much of `total` is done, if that is known."""
    if not interactive():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as drawn:
        task = drawn.add_task(label, total=total)
        yield lambda done: drawn.update(task, completed=done)

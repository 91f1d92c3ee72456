"""Is every order of every run sorted, and of all its rows.

Is:     positions after positions, and each row met once.
Is not: what the columns say, which has been compared with the log.
Fits:   `datomstore.check`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datomstore._index import Run
from datomstore.check.fault import Fault
from datomstore.database import Database
from datomstore.facts import ORDERS

if TYPE_CHECKING:
    from datomstore._index import Codes, Offsets

NUMBERS_PER_ROW = 16  # numbers that are held in the place of one row


def check_orders(database: Database, faults: list[Fault], rows_max: int) -> None:
    """Look at the orders of all runs that a database value is searched in."""
    most = NUMBERS_PER_ROW * rows_max
    for run in database.facts.view(database.count_rows).runs:
        columns = {"e": run.e.codes, "a": run.a.codes, "v": run.v.codes}
        for name, keys in ORDERS.items():
            parts = run.order(name)
            ascending = all(_ascends(part, [columns[key] for key in keys], most) for part in parts)
            if not (ascending and _is_whole(run, parts, most, name == "vaet")):
                faults.append(Fault("order", database.basis_t, f"index {name} is not sorted"))


def _ascends(part: Offsets, columns: Sequence[Codes], most: int) -> bool:
    """Return whether rows are in the order of some columns."""
    for piece in _pieces(part, most, overlapping=1):
        undecided = np.ones(max(0, len(piece) - 1), np.bool_)
        for column in columns:
            codes = column[piece]
            if (undecided & (codes[1:] < codes[:-1])).any():
                return False
            undecided &= codes[1:] == codes[:-1]
    return True


def _is_whole(run: Run, parts: Sequence[Offsets], most: int, some: bool) -> bool:
    """Return whether every row is met once, or, of an order of some of them, at most once."""
    for low in range(0, len(run), most):
        met = np.zeros(min(most, len(run) - low), np.bool_)
        count = 0
        for part in parts:
            for piece in _pieces(part, most):
                inside = piece[(piece >= low) & (piece < low + len(met))] - low
                met[inside] = True
                count += len(inside)
        if count != met.sum() or not (some or met.all()):
            return False
    return all(int(part.max()) < len(run) for part in parts if len(part))


def _pieces(part: Offsets, most: int, overlapping: int = 0) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(part), most):
        yield part[max(0, start - overlapping) : start + most].astype(np.int64)

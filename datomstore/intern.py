"""Every value as a 64-bit id, so that relations are columns of integers.

Is:     one table for the process, append-only and safe for threads; exact about types.
Is not: durable: the log holds values, ids are given anew by every process. Ids have no order but equality.
Fits:   the indexes and the Datalog evaluator work on ids; values come back only at the edge. The table itself is in
        `datomstore._ids`.

An integer n with |n| < 2**61 is its own id, shifted: n << 1. So entity ids, references and small numbers join without a
look-up, and arithmetic and comparison can be done on whole columns. Everything else is entry i of the table:
(i << 1) | 1. Ids are never packed into narrower keys: a negative or wide id would meet another one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datomstore._ids import (
    find,
    intern,
    intern_many,
    value_of,
    value_table,
    values_of,
    values_of_rows,
    watch,
    watched,
)

__all__ = [
    "INLINE_BOUND",
    "Ids",
    "find",
    "intern",
    "intern_many",
    "value_of",
    "value_table",
    "values_of",
    "values_of_rows",
    "watch",
    "watched",
]

INLINE_BOUND = 1 << 61  # integers below it in magnitude are their own ids

Ids = NDArray[np.int64]

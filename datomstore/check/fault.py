"""What can be wrong with a stream.

Is:     the fault, with a rule that is stable.
Is not: how it is found.
Fits:   every part of `datomstore.check` makes them.
"""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """Something that is not as it should be."""

    rule: str  # stable: "bytes", "root", "facts", "attribute", "memory", "order" or "segments"
    t: int  # of the transaction, or of the newest where it is no single one's
    message: str

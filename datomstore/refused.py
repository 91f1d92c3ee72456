"""What is wrong with a transaction.

Is:     the errors of transaction data.
Is not: the rules that they break (`datomstore.transactor`, `datomstore.transaction`).
Fits:   raised by both, and by the loops in Cython below them.
"""

from __future__ import annotations

from datomstore.errors import DatomstoreError


class TransactionError(DatomstoreError):
    """The transaction data is wrong. `rule` is what it breaks, `datom` the fact (e, a, v) at fault, `item` where it stands."""

    code = "transaction/invalid"

    def __init__(
        self,
        message: str,
        *,
        rule: str = "form",
        datom: tuple[object, object, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.rule = rule
        self.datom = datom
        self.item: object = None


class UniqueConflict(TransactionError):
    """Another entity has the unique value already."""

    code = "transaction/unique"


class CasFailed(TransactionError):
    """The value is not the expected one."""

    code = "transaction/cas"

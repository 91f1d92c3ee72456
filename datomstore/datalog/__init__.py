"""Datalog over databases and relations.

Is:     `q` for queries, `columns` for their rows without tuples, `derive` and `derive_columns` for programs of rules, `pull` for trees of entities, `parse`, `explain`, `Budget`, `Rules` and the errors.
Is not: writing (`datomstore.transaction`).
Fits:   query -> parse -> check -> plan -> steps and fixpoints over columns of ids -> result.
"""

from datomstore.datalog.budget import Budget, Cancellation
from datomstore.datalog.errors import BudgetExceeded, QueryCancelled, QueryError
from datomstore.datalog.follow import Change, Subscription, follow
from datomstore.datalog.pull import pull, pull_many
from datomstore.datalog.query import (
    StepReport,
    columns,
    derive,
    derive_columns,
    explain,
    parse,
    q,
    rules_of,
)
from datomstore.datalog.syntax import Query, Rules

__all__ = [
    "Budget",
    "BudgetExceeded",
    "Cancellation",
    "Change",
    "Query",
    "QueryCancelled",
    "QueryError",
    "Rules",
    "StepReport",
    "Subscription",
    "columns",
    "derive",
    "derive_columns",
    "explain",
    "follow",
    "parse",
    "pull",
    "pull_many",
    "q",
    "rules_of",
]

"""Errors of queries, each with a stable code and the clause that caused it.

Is:     the classes.
Is not: the checks that raise them.
Fits:   callers catch QueryError; its text ends with the clause as it was written.
"""

from __future__ import annotations

from datomstore import edn
from datomstore.datalog.limits import CLAUSE_TEXT_MAX
from datomstore.errors import DatomstoreError

# Codes of what is found in the text of a query, or in what it is given, before any fact is looked at.
_ABOUT_QUERY = frozenset(
    {
        "query/syntax",
        "query/arity",
        "query/unbound",
        "query/or-variables",
        "query/negation-in-cycle",
        "query/order-in-cycle",
        "query/unknown-rule",
        "query/unknown-function",
        "query/unknown-source",
        "query/input",
        "query/pull",
        "query/budget",
        "query/cancelled",
    }
)


class QueryError(DatomstoreError):
    """A query that is refused, or a function in it that failed."""

    code = "query/error"

    def __init__(self, code: str, message: str, clause: object = None) -> None:
        self.code = code
        self.message = message
        self.clause_text = "" if clause in (None, "") else text_of(clause)
        super().__init__(f"{message}, in {self.clause_text}" if self.clause_text else message)

    def without_values(self) -> QueryError:
        """Return the error for who is not to learn values of facts from it."""
        if self.code in _ABOUT_QUERY:
            return self
        return QueryError(self.code, "a value does not fit, which is not shown", self.clause_text)


class BudgetExceeded(QueryError):
    """The query made more rows or took more time than its caller allows."""

    def __init__(self, message: str, clause: object = None) -> None:
        super().__init__("query/budget", message, clause)


class QueryCancelled(QueryError):
    """The caller has called the query off."""

    def __init__(self, clause: object = None) -> None:
        super().__init__("query/cancelled", "the query was cancelled", clause)


def text_of(form: object) -> str:
    """Return a clause as text."""
    if isinstance(form, str):
        return form
    try:
        text = edn.write(form)
    except (TypeError, ValueError):  # not of the data model, or a number too long to be written
        return f"a {type(form).__name__}"
    return text if len(text) <= CLAUSE_TEXT_MAX else f"{text[:CLAUSE_TEXT_MAX]}..."

"""A query ends soon after its caller calls it off."""

from __future__ import annotations

import threading

import pytest

from datomstore.datalog import Budget, Cancellation, QueryCancelled, q

FOREVER = "[[(up ?n ?m) [(inc ?n) ?m]] [(up ?n ?m) [(inc ?n) ?k] (up ?k ?m)]]"


def test_a_query_called_off_before_it_begins_does_nothing() -> None:
    token = Cancellation()
    token.cancel()
    with pytest.raises(QueryCancelled) as error:
        q("[:find ?x :where [?x]]", [(1,)], budget=Budget(cancellation=token))
    assert error.value.code == "query/cancelled"


def test_a_query_that_runs_is_called_off_from_another_thread() -> None:
    token = Cancellation()
    timer = threading.Timer(0.05, token.cancel)
    timer.start()
    with pytest.raises(QueryCancelled, match="cancelled, in "):
        q("[:find ?m :in % :where (up 0 ?m)]", FOREVER, budget=Budget(cancellation=token))
    timer.join()


def test_a_token_that_is_not_used_changes_nothing() -> None:
    budget = Budget(cancellation=Cancellation())
    assert q("[:find ?x . :where [?x]]", [(1,)], budget=budget) == 1

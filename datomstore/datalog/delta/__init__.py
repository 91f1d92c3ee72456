"""What a transaction changes in the rows of a query, from its facts alone.

Is:     the derivations that a transaction's facts make and break, each with a sign.
Is not: which answers these come to (`follow` counts them), nor recursion, aggregates or pulls.
Fits:   `follow` makes one View for a followed query and asks it after every transaction.
Source: Gupta, Mumick and Subrahmanian, Maintaining views incrementally: counting.

A derivation is a row over all variables of a flat body (`unfold`). What a transaction does to the derivations of a body
is the sum over its clauses of: that clause's change, joined with the clauses before it as they are now and those
after it as they were. The change of a pattern is the transaction's own facts, +1 or -1. That of a `not`, of a call
which is not unfolded, or of a function of an entity is found in two steps: the rows it could concern, from the facts
inside of it, then these rows with the clause as it is now, +1, and as it was, -1; what did not change cancels.

So no clause is read as a whole: each is looked up in the database's own index for the few rows at hand. The order of
look-ups is planned once for each clause that can change, and kept.

    reads        which attributes, and which names, clauses depend on
    transaction  the changed facts
    joins        rows joined with one clause, before or after
    ways         the joins from one clause's change on, compiled where rows are few
    bodies       a body's changes: the sum over its clauses
    view         the bodies of a query together
    dependence   whether a row has one derivation only
    closure      rules that are recursive, while facts are only added
    refusal      which queries cannot be followed so
"""

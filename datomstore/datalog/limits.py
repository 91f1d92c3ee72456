"""Every bound of the query engine, with unit and reason.

Is:     constants.
Is not: a query's budget, which its caller gives (`datomstore.datalog.budget`).
Fits:   imported where the bound is enforced.
"""

CLAUSE_DEPTH_MAX = 64  # not, or and and inside one another; parsing and planning recurse on it
TERMS_MAX = 64  # terms of one clause or rule head
PARSED_MAX = 512  # parsed queries and rule sets that are kept
SOURCES_MAX = 8  # database values whose scans are kept
JOIN_ROWS_MAX = (
    50_000_000  # rows of one join, without any budget: beyond it memory ends before patience
)
INTEGER_BITS_MAX = (
    1 << 16
)  # of a product or power inside a query: more would stall it between two budget checks
TEXT_LENGTH_MAX = 1 << 24  # characters that `str` may make

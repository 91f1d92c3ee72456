"""Every bound of the query engine, with unit and reason.

Is:     constants.
Is not: a query's budget, which its caller gives (`datomstore.datalog.budget`).
Fits:   imported where the bound is enforced.
"""

CLAUSE_DEPTH_MAX = 64  # not, or and and inside one another; parsing and planning recurse on it
TERMS_MAX = 64  # terms of one clause or rule head
PARSED_MAX = 512  # parsed queries and rule sets that are kept
ORDERS_MAX = 4_096  # orders of clauses that are kept with a program
SOURCES_MAX = 8  # database values whose scans are kept
JOIN_ROWS_MAX = (
    50_000_000  # rows of one join, without any budget: beyond it memory ends before patience
)
INTEGER_BITS_MAX = (
    1 << 16
)  # of a product or power inside a query: more would stall it between two budget checks
TEXT_LENGTH_MAX = 1 << 20  # characters that `str` may make
ROUNDS_MAX = 1 << 24  # of one recursion, without any budget: rows run out before
ROUNDS_PAUSE_ROWS = 1 << 12  # rows that a recursion visits at least before its rounds are looked at
JOIN_PAUSE_ROWS = 1 << 16  # rows that a join visits before the budget is looked at
DISTINCT_ROWS_MIN = 4_096  # rows of a join that are worth a sort for duplicates
BINDING_ROWS_MAX = 1 << 16  # rows that one binding form makes of one value
CLAUSES_MAX = 512  # clauses of one body; ordering them takes the square of it
VALUE_ITEMS_MAX = 1 << 16  # in a value that a query holds or makes, nested ones included
VALUE_DEPTH_MAX = 100  # of a value that a query holds or makes: hashing one recurses
ASKED_PART = 4  # a rule is answered whole once a quarter of the facts it reads were asked for
ASKED_ROWS_MIN = 4_096  # rows that the answers to what a rule is asked may always take
SEEDS_MAX = 8  # calls of a linear rule that are followed one by one
ADORNMENTS_MAX = 8  # sets of bound arguments that one rule is specialised for within a cycle
NESTED_MAX = 12  # fixpoints inside one another; below that, callees come first
CLAUSE_TEXT_MAX = 1_000  # characters of a clause that an error shows
INDEXED_MIN = (
    4_096  # facts of a pattern that a join in a loop indexes without a look at how few it looks up
)
SEEK_PART = (
    16  # an index is made for a pattern once more than a sixteenth of its facts are looked up
)
SEARCH_WORDS_MAX = 64  # parts of one full-text search
WORD_LENGTH_MAX = 100  # characters of a word that full text looks at
PULL_VALUES = 1_000  # values of one attribute that a pull gives unless :limit says otherwise
PULL_DEPTH_MAX = 150  # entities inside one another in one pull
PULL_ENTITIES_MAX = 1 << 20  # maps that one pull makes
FUNCTION_ROWS_MAX = 8_192  # rows on which a function is applied before the time is looked at
FUNCTION_WORK = 8  # rows that a function on one row takes as long as
WORK_BYTES = 64  # of the arguments of a function that are worth a row
WEIGHED_ROWS = 16  # values that a function makes, each of some megabytes at most, before they count
ITEM_BYTES = 64  # about, of a value in a collection and its place there
EXTENTS_BYTES_MAX = 1 << 30  # of the facts of patterns that are kept with one database value
EXTENT_ROW_BYTES_MAX = 1 << 10  # of one row in columns, indexes and tries: more than it ever takes
CORES_KEPT = 4_096  # cycles that clauses were found to form, for all queries
SEEK_ROWS_MAX = 1 << 23  # facts of a pattern beyond which look-ups never make an index of them
PATCH_ROWS_MAX = (
    4_096  # rows behind a database value up to which what was kept of it is brought up to date
)
GROUP_FILTERED_MAX = (
    16  # rows of one id that are compared one by one rather than found by a hash of two columns
)
FILTERED_FEW = 8  # a filter that leaves less than an eighth of a column ...
FILTERED_IN_VAIN = 24  # ... so many times is worth putting the column in order
ROWS_PORTION = (
    1 << 14
)  # rows of a result that are made before other threads may run and the time is looked at
PLANS_MAX = 256  # plans that are kept with a database value
KEPT_BYTES_MAX = (
    1 << 20
)  # of the tables of rules in a plan that is kept: planning is a part of small queries alone
KEPT_ROWS_MAX = 1 << 16  # facts of a pattern that such a plan holds on to
BODIES_MAX = 16  # flat bodies that a followed query is unfolded to; beyond it calls stay calls
PLAN_GROWTH = (
    4  # a followed query's orders of clauses are made anew when there are so many times more rows
)
SUMMED_ROWS_MIN = (
    256  # rows on the way to a change that are worth a look for those that have become the same
)
DERIVATIONS_MAX = 1 << 36  # of one row: as many rows of a join, each so often, still fit 64 bits
PATIENCE_ROWS_MIN = (
    1 << 16
)  # rows that a planned order may always make before the written one is tried
PATIENCE_PART = 4  # ... or so many times the facts of all patterns
PATIENCE_GROWTH = 16  # by how much more both may make after that, in turn
BATCH_ROWS = (
    1 << 21
)  # rows that one step works on at a time; more go through all further steps in parts
BATCH_LEAST = 64  # rows that are never worth being parted
FEW_ROWS = 64  # of a change, that are handled one by one: whole columns begin to pay beyond
VIEWS_KEPT = 64  # sets of derived attributes that are kept parsed
WALK_FACTS_MAX = 256  # facts of a transaction that are followed row by row, in one call
WALK_ROWS_MAX = 4_096  # ... and rows that this may make: beyond, whole columns are joined
PAIRED_ROWS_MIN = 1 << 15  # rows that joins of two may always make of clauses that form a cycle ...
HUBS_PART = 2  # ... or so many times the facts of these, before all are joined together ...
PAIRED_PART = 8  # ... which pays later where there are no hubs
HUB_ROWS = 64  # rows of one id that make it a hub
TRIE_ROWS_MAX = (1 << 31) - 1  # rows of a table that is joined with several others at once
CLOSURE_ROWS_MIN = (
    1 << 14
)  # rows that may always be made to keep what rules of a followed query have
CLOSURE_ROWS_TIMES = 64  # ... or so many times its answers: more are mostly about what is not asked

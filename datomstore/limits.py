"""Every bound of the store, with unit and reason.

Is:     constants.
Is not: a query's budget, which its caller gives.
Fits:   imported where the bound is enforced.
"""

EDN_DEPTH_MAX = 1_000  # nested collections in one text
EDN_NUMBER_LENGTH_MAX = 10_000  # characters; reading a longer integer costs quadratic time
CODEC_DEPTH_MAX = 100  # extensions inside extensions
CODEC_NESTING_MAX = (
    512  # vectors and extensions inside each other: what reads and writes them recurs
)
CODEC_BIG_INTEGER_MAX = 1 << 16  # bytes
CODEC_RATIO_PART_MAX = 1 << 10  # bytes above and below: a common divisor takes quadratic time
KEYS_UNCOUNTED = 8  # keys of a map from outside, however they collide
KEY_STEPS = 64  # in a dictionary that a key from outside may cost, on average; others cost about 4
KEY_STEPS_ALIKE = 8  # that a key costs for each before it of the same hash
CODEC_KEPT_BYTES_MAX = 1 << 20  # of memory that is kept for the next value's bytes
DATOMS_PAGE = 512  # datoms of an index that are made at once; entities that are looked up at once
TAIL_ROWS_MAX = 512  # newest rows that every search looks through, before they are sorted
RUN_ROWS_MIN = 1 << 17  # rows that a writer puts away without sorting, when nobody reads
RUN_FACTOR = 4  # a sorted run is merged with the next as long as it is not larger by more than this
ROWS_MAX = (1 << 32) - 1  # of one stream: offsets and ends of rows are four bytes
STREAM_NAME_MAX = 400  # bytes; keys of LMDB have 511
LMDB_MAP_SIZE = 1 << 40  # bytes of address space; the file grows only as far as it is used
REDO_FILE = 1 << 20  # bytes of each of the two files of a redo log
REDO_TRANSACTION_MAX = (
    1 << 17
)  # bytes of changes that are logged; what is larger is flushed itself, or it would be written twice
REDO_GROWTH_MAX = 1 << 26  # bytes that an environment grows before the log is begun anew
REDO_ROOM_MIN = 1 << 18  # bytes left of a map at which each transaction makes room for itself first
LONG_BITS = 64  # of :db.type/long; wider integers are :db.type/bigint
TUPLE_ITEMS_MIN = 2
TUPLE_ITEMS_MAX = 8  # items of a tuple value, as in Datomic
LOOKUP_MISSES_MAX = (
    64  # single look-ups in what is sorted, before an attribute's facts are read at once
)
LOG_PAGE = 256  # transactions read from a log in one storage transaction
GROUP_MAX = 1_000  # transactions of concurrent writers in one commit
WAITING_MAX = 1 << 16  # transactions that may wait for a commit; further ones are refused
WRITER_IDLE_S = 1.0  # seconds without work after which the thread that commits what waits ends
PROOF_TRANSACTIONS_MAX = 1 << 20  # digests in a proof that is checked
PURGE_WAIT_S = 5.0  # seconds that a purge waits for open transactions, and recovery for copies
LOCK_LOOK_S = 0.01  # seconds between two tries to get a lock that another process has
COPY_ATTEMPTS = 5  # of a folder that is written meanwhile
EXCHANGE_LINE_MAX = 1 << 28  # bytes of one transaction in a file that is imported
EXCHANGE_PAGE = 256  # transactions of an import in one commit
LOG_BLOB_MAX = 1 << 30  # bytes of a log blob when it is not compressed
SQUEEZE_MIN = (
    512  # bytes from which a log blob is compressed: below it, little is gained for what it takes
)
MEMORY_SQUEEZE_MIN = 4_096  # the same where nothing is written out: time counts for more than bytes
KEYS_CACHED = 1_024  # streams, and tables, of which it is kept how their keys begin
SQUEEZE_LEVEL = (
    -1
)  # of Zstandard: a third of the time of level 1, and for records of a store nearly its size
SEGMENT_SECTIONS_MAX = 64  # in one blob
DICTIONARY_PAGE_VALUES = 512  # values that are read together when one of them is wanted
DICTIONARY_PAGE_BYTES = 1 << 14  # about; a larger value has a page of its own
DICTIONARY_CACHED_PAGES = 64  # pages of values kept decoded
SEGMENT_CHUNK = 1 << 20  # items of a section that are handled at once
DICTIONARY_ROOM = (
    1 << 20
)  # values that a new dictionary has room for; what is not used takes no memory
MERGE_ROWS = 1 << 17  # rows in memory from which on they are written as a run
MERGE_BACKLOG_ROWS = 1 << 22  # rows in memory at which writers wait for the merge
MERGE_FACTOR = (
    1  # an older run is merged with newer ones that are together at least this fraction of it
)
MERGE_RUNS_MIN = 4  # runs, or blobs of values, in one merge
RUN_ROWS_MAX = 1 << 27  # rows of a run that merging makes
DICTIONARY_MERGED_MAX = 1 << 22  # values of a blob that merging makes
ENDED_PIECE = (
    1 << 16
)  # rows that are asked for together what ended them; a piece of `datomstore._index`
PENDING_ROWS_MAX = 4_096  # rows of committed transactions that wait to go into the columns together
BACKLOG_WAIT_S = 10.0  # seconds that a writer waits for a merge before it goes on all the same
REPLAY_ROWS = 1 << 17  # rows of a log that are decoded at once when a stream is opened
HELD_READ_MAX = (
    1 << 20
)  # facts of an attribute that the writer reads at once; of more it asks one by one
HELD_FACTS_MAX = (
    1 << 21
)  # live facts that the writer keeps in memory when a merge has taken the rows
CHECKED_ROWS = 1 << 16  # of a stream that is checked, held at a time
DECIMAL_DIGITS_MAX = 2_000  # of a decimal, and of its scale: so that no operation on two takes long
FILTERED_ROWS_MAX = 1 << 23  # rows of all copies without some attributes
FILTERED_ROWS_MIN = 1 << 14  # that each counts as at least, so that there are not too many
FILTERED_PAGE_ROWS = 1 << 18  # rows that are looked at together for such a copy

"""Every bound of the store, with unit and reason.

Is:     constants.
Is not: a query's budget, which its caller gives.
Fits:   imported where the bound is enforced.
"""

EDN_DEPTH_MAX = 1_000  # nested collections in one text
EDN_NUMBER_LENGTH_MAX = 10_000  # characters; reading a longer integer costs quadratic time
CODEC_DEPTH_MAX = 100  # extensions inside extensions
CODEC_BIG_INTEGER_MAX = 1 << 16  # bytes
TAIL_ROWS_MIN = 4_096  # rows behind the sorted part of an index before they are merged into it
STREAM_NAME_MAX = 400  # bytes; keys of LMDB have 511
LMDB_MAP_SIZE = 1 << 40  # bytes of address space; the file grows only as far as it is used

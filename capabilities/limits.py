"""Every bound of tokens, with unit and reason.

Is:     constants of the format; a token beyond one is refused before its signatures are looked at.
Is not: what a token grants.
Fits:   `tokens` and `verify`.
"""

TOKEN_BYTES_MAX = 16_384
BLOCK_BYTES_MAX = 2_048
BLOCKS_MAX = 64  # every hop adds one of about 200 bytes; docs/decisions/0001
RIGHTS_MAX = 32
KEY_SET_MAX = 64
PATTERN_BYTES_MAX = 256
PATTERNS_KEPT = 4_096  # answers about patterns, which are few and met again; about 2 MB
ATTRIBUTES_MAX = 64
NOTE_BYTES_MAX = 128
VERIFIED_CACHE_MAX = 10_000  # blocks whose signature has been checked
VERIFIED_TOKENS_MAX = 1_000  # whole tokens known by their bytes; at most 16 MB
HANDLE_STREAMS_MAX = 1_000  # streams that a handle has been asked about and remembers
STATEMENT_BYTES_MAX = (
    4_096  # of one statement about the cluster; one with a certificate has about 900
)
SEQ_MAX = 2**62 - 1  # the highest number of a statement: there is one after whatever somebody said
STATEMENTS_OF_ONE_MAX = 4_096  # that one appointed key or member may sign, with all its heirs; the root's are not counted
CERTIFICATE_BYTES_MAX = 2_048
NAME_BYTES_MAX = 63
ADDRESS_BYTES_MAX = 256
ADDRESSES_MAX = 8
CLOCK_SKEW_S = 60  # how far the clocks of two nodes may be apart when a key begins to hold
TICKET_SECRET_BYTES = 16
METER_ENTRIES_MAX = (
    100_000  # blocks that a node counts; about 10 MB, and more for what it cannot refuse any longer
)
REVOCATION_BYTES_MAX = 256
REVOCATION_SKEW_S = 86_400  # how long a revocation outlives its block, whatever clocks say
REVOCATIONS_MAX = 100_000  # about 50 MB; a full set refuses, and says so
REVOCATIONS_RESERVED = 10_000  # of these, for statements by roots

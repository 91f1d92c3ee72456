"""Every bound of the wire, with unit and reason.

Is:     constants. Changing one that both sides enforce is a change of protocol version.
Is not: what a node grants to agents (`yind.limits`).
Fits:   imported where the bound is enforced.
"""

VERSION_MIN = 1
VERSION_MAX = 1
FRAME_HEADER_BYTES = 4
JOIN_VERSION = 1
APPLICATION_BYTES_MAX = 4_096  # the one message of who applies for membership
ADMISSION_BYTES_MAX = 1 << 20  # the one answer
HELLO_BYTES_MAX = 4_096  # no frame before the peer's Hello may be longer
FRAME_BYTES_MAX = 1 << 16  # what is longer goes in parts, and others go between them
PART_BYTES_MAX = FRAME_BYTES_MAX - 16  # of a long message in one frame
MESSAGE_BYTES_MAX = 16 << 20  # an agent that carries much, a long answer
VALUE_NODES_MAX = 1 << 20  # values in one message; a node costs about 100 bytes once decoded
REASON_CHARACTERS_MAX = 200  # of a Goodbye
FEATURES_MAX = 64  # named in a Hello
TEXT_BYTES_MAX = 1_024  # names, verbs, reasons and codes
HASHES_MAX = 1_024  # programs one image may name
TOKENS_MAX = 64  # tokens one offer may carry
IMAGE_BYTES_MAX = 15 << 20  # leaves room in the message for tokens
RECEIVE_BYTES = 65_536  # of one read from a connection
LOOKS = 16  # for bytes that are expected, in one turn of the event loop: some 5 microseconds
SEND_BUFFER_BYTES = (
    1 << 18
)  # of frames that wait to be written, and as much in parts; beyond it who sends waits
UNSENT_BYTES_MAX = (
    1 << 17
)  # that the system keeps for a connection and has not sent: nothing goes ahead of them
WRITE_BYTES = 1 << 18  # of one write, which has to make progress within DEAD_S
HANDSHAKE_S = 3.0  # TLS and both Hellos
IDLE_PING_S = 5.0  # silence after which a side asks whether the other lives
DEAD_S = 15.0  # silence after which it does not
SLOW_READER_S = 10.0  # how long items may wait for the task that asked for them
ITEMS_BUFFER = 64  # items of one request that wait for their reader
REQUESTS_MAX = 64  # requests of one connection at a time
HELD_BYTES_OF_PEER = (
    1 << 26
)  # of messages that have not come whole, and of requests under way, over all connections
HELD_BYTES_MAX = 1 << 28  # ... of all peers; what they become in memory is some times as much
PRE_AUTHENTICATION_MAX = 64  # connections in their handshake; the oldest makes room
PRE_AUTHENTICATION_OF_SOURCE = 48  # of these from one address, while others wait
CONNECTIONS_OF_PEER = 256  # proven ones of one key; a further one is told so and closed
CONNECTIONS_MAX = 4_096  # proven ones altogether
RECONNECT_FIRST_S = 0.1  # the wait after a connection failed is random up to this, twice this, ...
RECONNECT_MOST_S = 10.0
RECONNECT_HEALTHY_S = 30.0  # a connection that lived so long makes the next wait short again
LISTEN_BACKLOG = 256
EPOCH_MAX = (
    1 << 62
)  # of an agent in a message: far from what records can hold, so that who takes it can count on
TAKEN_MAX = 256  # nodes whose giving of one agent a node can still confirm
REFUSED_MAX = 64  # offers of one agent that a node has refused and whose epoch it has not passed

"""Every bound of the daemon, with unit and reason.

Is:     constants. What an operator may change is in `yind.config`.
Is not: the wire's (`protocol.limits`), the tokens' (`capabilities.limits`) or the machine's own.
Fits:   imported where the bound is enforced.
"""

FUEL_SLICE = (
    200_000  # fuel of one turn; a few milliseconds, so that a turn of many agents stays fair
)
FUEL_AT_ONCE = 1_000  # fuel of the part of a turn that runs on the event loop; some 20 microseconds
CHECKPOINT_S = (
    1.0  # an agent that only computes is saved this often: a crash repeats at most so much
)
AGENT_MEMORY_MAX = 512 << 20  # bytes of heap for one agent unless its spawner asks for less
AGENT_COUNT_MAX = 100_000  # agents known to a node, tombstones not counted
EFFECT_PARTS_MAX = 1 << 18  # of what an effect is given, written out; some tens of milliseconds
EFFECT_PARTS_FREE = 1_000  # ... of which nothing is said: a tenth of a millisecond
EFFECT_FUEL_PART = 10  # ... of each of more: about what it takes to make it
EFFECT_PART_BYTES = 64  # ... of the agent's memory, as long as it is there twice
ANSWER_PART_BYTES = 8  # of the agent's memory that each part of an answer takes at least
LOG_LINE_BYTES_MAX = 8_192  # of one `log!`
SESSION_TEXT_BYTES_MAX = 1 << 18  # of one `log!` of a session, which takes several lines
LOG_LINES_KEPT = 1_000  # per agent; older lines are dropped, the count is kept
QUERY_SECONDS_MAX = 20.0  # one `q` of an agent or of the command line
QUERY_ROWS_MAX = 5_000_000  # rows any step of a query may hold
QUERY_FUEL_ONCE = 1_000  # of one `q` of an agent: about what it takes to be asked at all
QUERY_FUEL_ROW = 2  # ... of each row that it makes on the way, and of each part of what it is given
QUERY_FUEL_PORTION = 10_000  # is taken at once: some hundred microseconds of work
CODE_KEPT_TIMES = 4  # bytes of memory that one of code made at run time counts as: a node keeps the tree, steps and facts
SLEEP_MS_MAX = 366 * 24 * 3600 * 1000
TOKENS_PER_AGENT_MAX = 16
HAND_OFF_RETRY_S = 0.5  # Go is said again this often until the other side answers
HAND_OFF_CANCEL_S = 10.0  # after so long without an answer the source asks the target to refuse
ARRIVALS_MAX = 64  # offers that are checked at a time, each in a task
ARRIVALS_EACH_MAX = 16  # ... of one node
FETCH_S = 10.0  # a node has so long to send the programs of an agent that it offers
TARDY_S = 60.0  # of who has not, the agent is not looked at for so long
IMAGE_AT_ONCE_MAX = (
    1 << 16
)  # an offer that is no larger is checked where it comes, within a millisecond
AWAKE_NS = 1_000_000  # a node that has said Go does not sleep for so long
COMMIT_LATER_S = 0.05  # what nobody waits for is written with what comes next, or after so long
JOURNEY_MARKS_KEPT = 1 << 16  # of some 5,000 journeys; 6 MB
HOLD_S = (
    30  # an agent that was offered and not given for so long makes room; its source offers it again
)
FORGET_EVERY_S = 600  # how often a node looks for what it can forget
FORGET_AFTER_S = 86_400  # no attempt younger than this is forgotten; clocks may be apart by less
FORGET_AT_ONCE = 1_000  # agents looked at in one turn of the event loop: some ten milliseconds
FIRST_IDS_KEPT = 1_024  # agents whose id has been found to be theirs; 400 bytes each
PASSED_MAX = 1_024  # offers of epochs that have passed, each written down once
REFUSALS_EACH_MAX = (
    4_096  # agents of which a node has refused an offer of one other; up to 5 KB each
)
HELD_MAX = 1_024  # agents offered to this node that their source has not given yet
HELD_EACH_MAX = 512  # ... by one node
HELD_BYTES_EACH_MAX = 1 << 26  # ... and of so many bytes; machines take some times as much
GOSSIP_S = 5.0  # how often two nodes compare what they know of revocations and members
GOSSIP_TOLD_MAX = 64  # items in one message that tells what is new
GOSSIP_UNTOLD_MAX = 1_024  # items that wait for one node to hear those before them
STATEMENTS_SHOWN_BYTES = 1 << 20  # of what is known of the cluster, in one answer
STATEMENTS_RETRY_S = 1.0  # how soon a node tries again to write what it was told of the cluster
RETURN_RETRY_S = 5.0  # how often a node tries to give back what is left of a budget
ENDED_SWEEP_S = 60.0  # how often a node drops what it knows of blocks that have ended
REVOCATIONS_LOOK_S = 0.5  # how often a node looks whether its list is fresh enough for agents
REVOCATIONS_SHOWN_MAX = 2_000  # of the list, in one answer
REVOCATIONS_PERSON_MAX = 1_000  # that one person has told this node of, but for the roots'
REVOCATIONS_NODE_MAX = 40_000  # ... and one node: so many that two are not all
TICKET_S = 900  # a ticket holds so long unless its issuer says otherwise
TICKET_S_MAX = 7 * 24 * 3600
TICKETS_MAX = 256  # of one node at a time
TICKET_WRONG_MAX = 5  # wrong proofs for one ticket, after which it is burnt
REJECTED_MAX = 20  # applications without a ticket from one address, within ...
REJECTED_S = 60  # ... so many seconds, after which nobody at that address is listened to
REJECTED_ALL_MAX = 1_000  # ... and of all addresses, after which nobody is; some 100 KB
ROTATION_S = 24 * 3600  # both keys of a node hold so long unless somebody says otherwise
ROTATION_S_MAX = 30 * 24 * 3600
DIAL_AGAIN_S = 0.25  # a node that did not answer is not asked again sooner, however many want it
TELL_S = 2.0  # a rotation waits so long until the other nodes have heard of it
RETIRE_S = 1.0  # a connection that another one replaces may still be used from the other side
STOP_S = 5.0  # on SIGTERM agents get this long to reach the end of their slice
FOLLOW_BUFFER = 256  # events a slow follower may lag behind before it is cut off
RECORD_PART = 4 << 20  # bytes of a record in one message; a longer one comes in several
STREAM_NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
ADMISSION_SECONDS_MAX = (
    5.0  # all policies together over one program, unless the configuration says otherwise
)
ADMISSION_SECONDS_LONGEST = 60.0  # that a configuration may say
ADMISSION_ROWS_MAX = 50_000_000  # rows of all joins of one evaluation
ADMISSION_ROUNDS_MAX = 100_000  # of one recursion
VERDICTS_KEPT = 16_384  # of policies, some hundred bytes each
SUBJECTS_KEPT = 8  # analysed programs that may be asked about again, up to some megabytes each
REFUSALS_KEPT = 256  # reasons for the nodes that sent what was refused
REASONS_WAIT_S = 5.0  # for a node to say why its policies refused an agent
TURNED_AWAY_EACH_MS = 60_000  # who is not let in is noted so often, for each address
TURNED_AWAY_SOURCES_MAX = 256  # addresses noted in that time
BIRTHS_MAX = 32  # generations of agents that started each other
ASK_FUEL = 10_000  # of one `request-token`, which stays in a stream with what became of it
ASK_STREAMS_MAX = 32  # patterns in one `request-token`
ASK_TEXT_MAX = 256  # bytes of each of them, and of the reason
ASK_TTL_S_MAX = 366 * 24 * 3600
SYSTEM_STREAMS = frozenset({"code", "audit", "cluster", "requests"})  # written by the node alone

"""Every bound of the machine's Python side, with unit and reason; those of the C side stand with their code.

Is:     constants.
Is not: an agent's budget, which its spawner chooses.
Fits:   imported where the bound is enforced.
"""

STEPS_MAX = 1 << 22  # instructions of a segment; node indexes and positions stay far below 32 bits
SLOTS_MAX = 1 << 17  # of a frame: a literal with so many computed parts
CALL_SLOT_MAX = 0xFFFF  # first argument of a call: where the loaded code has room for it
FUNCTIONS_MAX = 1 << 20
MEMORY_MAX = 1 << 34  # bytes of one agent: reference counts of 31 bits cannot overflow below it
MEMORY_MIN = 1 << 12
IMAGE_BYTES_MAX = 1 << 32
UNITS_MAX = (
    1000  # of a session: an image names each, and protocol.limits.HASHES_MAX is not far above
)
HOT_COUNT = (
    500  # calls of a function, or rounds of a loop, run directly: about what compiling it costs
)
MACRO_FUEL_MAX = 50_000_000  # of one macro call: some seconds
MACRO_SLICE = 1_000_000  # fuel of a macro call that is paid for before more is spent
MACRO_MEMORY_MAX = 256 << 20

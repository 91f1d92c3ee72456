from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import NamedTuple

from datomstore.value import Map
from yang.segment import Segment, Span

IS_HOSTILE: bool

def constants_digest(code: Code) -> bytes: ...
def run_counts() -> tuple[list[int], list[int]]: ...

class Status(IntEnum):
    OUT_OF_FUEL = 0
    EFFECT = 1
    DONE = 2
    FAULT = 3
    OUT_OF_MEMORY = 4

class TraceEntry(NamedTuple):
    function: str
    source: str
    span: Span
    program_hash: bytes
    node: int
    times: int = 1

class Fault:
    message: str
    data: Map
    data_text: str
    trace: list[TraceEntry]
    cause: Fault | None
    def __init__(
        self,
        message: str,
        data: Map,
        data_text: str,
        trace: list[TraceEntry],
        cause: Fault | None,
    ) -> None: ...

class FrameView(NamedTuple):
    function: str
    program_hash: bytes
    pc: int
    node: int
    span: Span
    locals: list[tuple[str, str]]

class Code:
    segment: Segment
    core: Code | None
    program_hash: bytes
    def __init__(self, segment: Segment, core: Code | None) -> None: ...

class Machine:
    code: Code
    fuel_max: int | None
    def __init__(
        self,
        code: Code,
        *,
        memory_max: int,
        fuel_max: int | None = None,
        globals: Mapping[str, object] = ...,  # noqa: A002
        hash_key: bytes = b"",
    ) -> None: ...
    def run(self, fuel: int) -> Status: ...
    def run_steps(self, steps: int) -> Status: ...
    def miscount(self) -> None: ...
    def audit(self) -> None: ...
    @property
    def status(self) -> Status: ...
    @property
    def fuel_used(self) -> int: ...
    @property
    def memory_used(self) -> int: ...
    @property
    def memory_max(self) -> int: ...
    def collect(self) -> int: ...
    @property
    def effect(self) -> tuple[str, tuple[object, ...]]: ...
    def resume(self, value: object) -> None: ...
    def resume_error(self, message: str, data: Map) -> None: ...
    @property
    def result(self) -> object: ...
    @property
    def result_text(self) -> str: ...
    @property
    def fault(self) -> Fault: ...
    def frames(self) -> list[FrameView]: ...
    def image(self) -> bytes: ...
    @staticmethod
    def restore(
        image: bytes,
        code_of: Callable[[bytes], Code],
        *,
        memory_max: int,
        fuel_max: int | None = None,
    ) -> Machine: ...
    @staticmethod
    def programs_of(image: bytes) -> list[bytes]: ...

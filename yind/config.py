"""yind.toml, checked whole at the start.

Is:     the shape of the file as frozen structs, its defaults, and the resolution of relative paths.
Is not: limits that nobody should change (`yind.limits`).
Fits:   `yind.main` loads it; `yind.node` gets the result.

An unknown key, a wrong type or a missing file is a ConfigError that names the file and the key.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from datomstore.limits import LMDB_MAP_SIZE
from protocol.address import split_address
from protocol.errors import Unreachable
from yind.code import MODES
from yind.errors import ConfigError
from yind.limits import (
    ADMISSION_SECONDS_LONGEST,
    ADMISSION_SECONDS_MAX,
    AGENT_MEMORY_MAX,
    FUEL_SLICE,
)


class AgentLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one agent may use at most."""

    memory_max: int = AGENT_MEMORY_MAX  # bytes
    fuel_slice: int = FUEL_SLICE
    mode: str = "compiled"  # how programs that begin here run: "direct", "compiled" or "hybrid"


class AdmissionLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom the node takes. Read again on SIGHUP and `yin policy reload`."""

    policies: tuple[str, ...] = ()  # files, in any order
    private: tuple[
        str, ...
    ] = ()  # streams, also patterns with *, of which agents get only aggregates
    seconds: float = ADMISSION_SECONDS_MAX  # for all policies over one program; then it is refused


class Answers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What answers the requests of agents before a person has to."""

    rules: str  # a file of Datalog rules, see docs/tokens.md
    token: str  # what they may grant from, bound to this node


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One node. Paths are relative to the file's folder."""

    name: str
    listen: str  # "host:port"; port 0 lets the system choose
    key: str  # the node's Ed25519 seed, mode 0600
    certificate: str  # self-signed X.509, DER
    members: str  # signed membership records
    cluster: str  # the cluster's root public key, as text
    data: str = "data"  # folder of the storage environment
    storage: str = "lmdb"  # "lmdb" or "memory"
    data_max: int = LMDB_MAP_SIZE  # bytes the storage may grow to
    workers: int = 2  # threads that run agents
    agents: AgentLimits = AgentLimits()
    admission: AdmissionLimits = AdmissionLimits()
    requests: Answers | None = None
    revage: int | None = None  # seconds; with an older list of revocations agents are paused
    folder: str = "."  # set by `load`: what relative paths start from
    file: str = ""  # set by `load`: where it was read

    def path(self, relative: str) -> Path:
        """Return a path of the file, resolved."""
        return Path(self.folder) / relative


def load(path: Path) -> Config:
    """Return the checked configuration of a file. Raises ConfigError."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    try:
        config = msgspec.toml.decode(text, type=Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    if config.storage not in ("lmdb", "memory"):
        raise ConfigError(f"{path}: storage is {config.storage!r}; it can be 'lmdb' or 'memory'")
    if config.agents.mode not in MODES:
        known = ", ".join(map(repr, MODES))
        raise ConfigError(f"{path}: mode is {config.agents.mode!r}; it can be one of {known}")
    if not 0 < config.admission.seconds <= ADMISSION_SECONDS_LONGEST:
        limit = ADMISSION_SECONDS_LONGEST
        raise ConfigError(
            f"{path}: admission.seconds is {config.admission.seconds}; at most {limit}"
        )
    if not 1 <= config.workers <= 256:
        raise ConfigError(f"{path}: workers is {config.workers}; it can be 1 to 256")
    address(config.listen, where=str(path))
    return msgspec.structs.replace(config, folder=str(path.parent.resolve()), file=str(path))


def address(text: str, *, where: str) -> tuple[str, int]:
    """Return host and port of "host:port". Raises ConfigError."""
    try:
        return split_address(text)
    except Unreachable as error:
        raise ConfigError(f"{where}: {error}") from None

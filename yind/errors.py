"""Every error of the daemon.

Is:     one root, a stable code per class, the facts as attributes.
Is not: an agent's own faults (`yind.cesk`) or a peer's (`protocol.errors`).
Fits:   `yind.control` turns these into replies; `yind.main` into exit codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from capabilities.errors import Shortage
from capabilities.journey import Receipt
from capabilities.verify import VerifiedChain
from datomstore.value import Map


class YindError(Exception):
    """Root. `code` is stable and documented; `exit_code` is what the command line returns for it."""

    code = "node/error"


class ConfigError(YindError):
    """yind.toml or a file it names is missing or wrong; the message names the file and the key."""

    code = "node/config"


class ListenError(YindError):
    """The address cannot be listened on now, as when somebody else does."""

    code = "node/listen"


class AgentUnknown(YindError):
    """No agent of this node has the id, or more than one has the prefix."""

    code = "agent/unknown"


class PolicyUnknown(YindError):
    """No policy in force has the name."""

    code = "policy/unknown"


class AgentState(YindError):
    """The agent is in a state that the request does not apply to."""

    code = "agent/state"


class RequestInvalid(YindError):
    """A control request lacks a field or has one of the wrong type; the message names it."""

    code = "request/invalid"


class EffectInvalid(YindError):
    """An agent asked for an effect with arguments that make no sense; thrown into the agent, with `data`."""

    code = "effect/invalid"

    def __init__(self, message: str, data: Mapping[Any, Any] | None = None) -> None:
        super().__init__(message)
        self.data = data or {}


class FuelSpent(YindError):
    """What an agent asked for costs more than the fuel it has left: it is paused, and asks again when it has more."""

    code = "agent/fuel"


class Denied(YindError):
    """No token presented allows what was asked; says which block or which right is missing.

    `shortage` says which budget has less left than was needed, and how much that was, if that is why. `token` is the one
    that came nearest to allowing it.
    """

    code = "token/refused"

    def __init__(
        self,
        message: str,
        *,
        right: str,
        revoked: bool = False,
        shortage: Shortage | None = None,
        token: VerifiedChain | None = None,
    ) -> None:
        super().__init__(message)
        self.shortage = shortage
        self.token = token
        self.right = right  # "read alpha/stdlib"
        self.revoked = revoked


class TicketRefused(YindError):
    """The ticket is used or over, does not fit the application, or this node may issue none."""

    code = "join/ticket"


class RootMismatch(TicketRefused):
    """The applicant wants into another cluster."""

    code = "join/root"


class RotationRefused(YindError):
    """The node's key cannot be changed now."""

    code = "node/rotation"


class HopRefused(YindError):
    """The other node did not take the agent; it stays here. `data` says more, if there is more."""

    code = "hop/refused"

    def __init__(self, message: str, *, refusal: str = "", data: Map | None = None) -> None:
        super().__init__(message)
        self.refusal = refusal  # the code of what the other node said
        self.data = Map() if data is None else data


class HopUnreached(HopRefused):
    """There is no connection to the other node."""

    code = "hop/unreached"


class AdmissionRefused(HopRefused):
    """A policy of this node does not take an agent, or code; `data` has the violations."""

    code = "admission/refused"

    def __init__(self, message: str, data: Map) -> None:
        super().__init__(message, refusal=self.code, data=data)


class JourneyForked(HopRefused):
    """The agent that is offered went another way than the one this node has had: there are two of it."""

    code = "hop/forked"

    def __init__(self, message: str, receipt: Receipt) -> None:
        super().__init__(message, refusal=self.code)
        self.receipt = receipt  # of the hand-over that cannot have been

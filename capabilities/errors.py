"""Every error of this folder, with a stable code.

Is:     two kinds, never mixed: a token that is not one (`TokenInvalid`), and a good token that does not allow
        something (`TokenRefused`, normal and audited).
Is not: shown to strangers in full: on the wire a holder learns the code and the block.
Fits:   verification and authorization return a stronger type or raise one of these; they never return a boolean.
"""

from __future__ import annotations

Shortage = tuple[str, int]  # a resource, by its name, and how much of it was needed


class CapabilityError(Exception):
    """Root. `code` is stable and documented."""

    code = "token/error"
    shortage: Shortage | None = None


class KeyInvalid(CapabilityError):
    """Bytes or text that are no usable Ed25519 key, or a key file that others can read."""

    code = "token/bad-key"


class MemberInvalid(CapabilityError):
    """A membership record that the root did not sign, or that is malformed."""

    code = "token/bad-member"


class TicketInvalid(CapabilityError):
    """Text that is no ticket, or a proof that was not made with its secret."""

    code = "join/ticket"


class TokenInvalid(CapabilityError):
    """The bytes are no valid token; `why` says what is wrong, `block` where, when it is one block's fault.

    Bytes: too-long, encoding, shape, version, text. A block: key, caveat. The chain: root, signature, hops, depth, via, sealed.
    The proof: holder, possession, secret, seal. A list: full. The code is `token/bad-` and one of these.
    """

    def __init__(self, message: str, *, why: str, block: int | None = None) -> None:
        super().__init__(message if block is None else f"block {block}: {message}")
        self.message, self.why, self.block = message, why, block
        self.code = f"token/bad-{why}"

    def in_block(self, block: int) -> TokenInvalid:
        """Return the error as one of a block."""
        return TokenInvalid(self.message, why=self.why, block=block)


class TokenRefused(CapabilityError):
    """The token is valid and does not allow the request; `block` and `caveat` say why, as does the code.

    `shortage` says which budget has less left than was needed, and how much that was, if that is why.
    """

    def __init__(
        self, message: str, *, block: int, caveat: str, shortage: Shortage | None = None
    ) -> None:
        super().__init__(f"block {block} {message}")
        self.block = block
        self.caveat = caveat
        self.shortage = shortage
        self.code = f"token/{caveat}"

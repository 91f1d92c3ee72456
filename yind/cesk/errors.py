"""Every error of the machine's Python side.

Is:     one root, a stable code per class, the facts as attributes.
Is not: a program's own errors, which are values on its heap; an uncaught one is told as a `Fault`.
Fits:   raised by `_core` and `verify`; the node decides what they mean for an agent.
"""

from __future__ import annotations


class MachineError(Exception):
    """Root."""

    code = "machine/error"


class CodeInvalid(MachineError):
    """A segment that the machine would not be safe to run; says which instruction and why."""

    code = "machine/code-invalid"


class ImageInvalid(MachineError):
    """Bytes that are no image of an agent, or one that does not fit its code; says what is wrong."""

    code = "machine/image-invalid"


class StateInvalid(MachineError):
    """What was asked for does not apply to the machine's status."""

    code = "machine/state-invalid"


class ValueInvalid(MachineError):
    """A value has no EDN form, or is too large to be taken out of, or put into, the machine."""

    code = "machine/value-invalid"

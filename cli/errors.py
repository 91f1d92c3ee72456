"""What can go wrong for a person at the command line, with the exit code that tells scripts.

Is:     the table of exit codes and the one exception that carries them.
Is not: how an error is printed (`cli.main`).
Fits:   every command raises CliError; `cli.connect` translates what nodes answer.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes: documented, stable."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    AUTHENTICATION = 3
    NOT_FOUND = 4
    DENIED = 5
    CONFLICT = 6
    UNREACHABLE = 7
    LIMIT = 8
    AGENT_FAILED = 9
    REJECTED = 10
    VERSION = 11
    INTERNAL = 70
    INTERRUPTED = 130


# What they say to a script; `yin --help` shows it.
MEANS = {
    Exit.OK: "done",
    Exit.FAILURE: "not done, for a reason that has no number of its own",
    Exit.USAGE: "the command line is wrong",
    Exit.AUTHENTICATION: "a key, certificate or token is not what it must be",
    Exit.NOT_FOUND: "there is no such agent, stream, node or file",
    Exit.DENIED: "the tokens do not allow it",
    Exit.CONFLICT: "what is there already forbids it",
    Exit.UNREACHABLE: "a node was not reached; others may have answered",
    Exit.LIMIT: "a limit or a budget is used up",
    Exit.AGENT_FAILED: "the program ended with an error",
    Exit.REJECTED: "a node or a person did not want it",
    Exit.VERSION: "the two sides speak different versions",
    Exit.INTERNAL: "a fault of yin's own",
    Exit.INTERRUPTED: "interrupted at the terminal",
}


class CliError(Exception):
    """One line of what happened, and a hint of what to do."""

    def __init__(self, message: str, *, exit_code: Exit = Exit.FAILURE, hint: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.hint = hint


class NotReached(CliError):
    """A node with which there is no connection on which both sides are proven.

    Commands that ask every node go on without it. `state` says in two words what it is for a list of nodes.
    """

    def __init__(
        self, message: str, *, state: str, exit_code: Exit = Exit.UNREACHABLE, hint: str = ""
    ) -> None:
        super().__init__(message, exit_code=exit_code, hint=hint)
        self.state = state


# What a node's error code means for the exit status; the longest matching prefix counts.
EXIT_OF_CODE = {
    "token/": Exit.DENIED,
    "token/bad": Exit.AUTHENTICATION,
    "agent/unknown": Exit.NOT_FOUND,
    "agent/state": Exit.CONFLICT,
    "hop/": Exit.REJECTED,
    "hop/unreached": Exit.UNREACHABLE,
    "policy/unknown": Exit.NOT_FOUND,
    "admission/": Exit.REJECTED,
    "join/": Exit.DENIED,
    "join/root": Exit.AUTHENTICATION,
    "node/rotation": Exit.CONFLICT,
    "code/": Exit.REJECTED,
    "program/": Exit.REJECTED,
    "budget/": Exit.LIMIT,
    "query/budget": Exit.LIMIT,
    "wire/version": Exit.VERSION,
}


def exit_of(code: str) -> Exit:
    """Return the exit code for an error code of a node."""
    prefixes = [prefix for prefix in EXIT_OF_CODE if code.startswith(prefix)]
    return EXIT_OF_CODE[max(prefixes, key=len)] if prefixes else Exit.FAILURE

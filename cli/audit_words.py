"""The words that decisions have: rights, further verbs, effects of agents, and requests.

Is:     the words a person may name, so that one that is mistyped is not taken for one of which nothing was decided.
Is not: what they mean (docs/admission.md).
Fits:   `yin audit --verb`; a test compares them with the daemon's.
"""

from __future__ import annotations

from difflib import get_close_matches

from capabilities.caveats import Verb
from cli.errors import CliError, Exit

RIGHTS = frozenset(str(verb.name).lower() for verb in Verb)
FURTHER = frozenset(
    [
        "admit",
        "arrive",
        "give",
        "eval",
        "enter",
        "present",
        "connect",
        "tell",
        "say",
        "reclaim",
        "run",
        "release",
        "return",
    ]  # no rights
)
EFFECTS = frozenset(
    [
        "q",
        "transact!",
        "hop!",
        "here",
        "nodes",
        "streams",
        "now",
        "rand",
        "sleep",
        "log!",
        "compile*",
        "request-token",
        "fork!",
        "finish!",
        "handshake",
    ]
)
REQUESTS = frozenset(
    [
        "session.present",
        "node.info",
        "node.journeys",
        "query",
        "query.follow",
        "stream.list",
        "stream.transact",
        "stream.restore",
        "stream.log",
        "code.have",
        "code.put",
        "code.get",
        "agent.spawn",
        "agent.list",
        "agent.show",
        "agent.wait",
        "agent.follow",
        "agent.pause",
        "agent.resume",
        "agent.kill",
        "agent.enter",
        "agent.migrate",
        "agent.reclaim",
        "agent.hops",
        "agent.tokens",
        "agent.renew",
        "request.list",
        "request.follow",
        "request.grant",
        "request.refuse",
        "token.revoke",
        "token.agents",
        "token.left",
        "cluster.digest",
        "cluster.list",
        "cluster.say",
        "cluster.tell",
        "node.rotate",
        "ticket.issue",
        "ticket.list",
        "budget.return",
        "revocation.digest",
        "revocation.list",
        "revocation.tell",
        "policy.list",
        "policy.show",
        "policy.check",
        "policy.reload",
        "admission.why",
    ]
)
WORDS = RIGHTS | FURTHER | EFFECTS | REQUESTS


def checked_word(word: str) -> str:
    """Return a verb, effect or request. Raises CliError for one that there is not."""
    if word in WORDS:
        return word
    near = get_close_matches(word, WORDS, n=3)
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    raise CliError(
        f"no decision has the verb {word!r}{meant} (verbs: {', '.join(sorted(RIGHTS | FURTHER))}; or an effect such as "
        "q, or a request such as agent.spawn)",
        exit_code=Exit.USAGE,
    )

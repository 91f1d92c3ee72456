"""What people and nodes may ask about a node's policies: list, show, try, put in force; why an agent was refused.

Is:     requests, their rights checked.
Is not: the policies (`yind.admission`).
Fits:   `yind.control` answers these beside its own requests; `yin policy` asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import trio

from capabilities.caveats import Verb
from datomstore.value import Map
from yang.policy import Policy
from yang.program import Program
from yind.admission import Admission, as_map
from yind.authority import Authority
from yind.config import AdmissionLimits
from yind.errors import PolicyUnknown
from yind.fields import Answer, Fields
from yind.session import Session


class Policies:
    """The requests about one node's policies."""

    def __init__(
        self,
        *,
        node: str,
        admission: Admission,
        authority: Authority,
        current: Callable[[], AdmissionLimits],
    ) -> None:
        self._node = node
        self._admission = admission
        self._authority = authority
        self._current = current  # reads the configuration again; raises ConfigError

    def verbs(self) -> Mapping[str, Answer]:
        """Return what answers which request."""
        return {
            "policy.list": self.list,
            "policy.show": self.show,
            "policy.check": self.check,
            "policy.reload": self.reload,
            "admission.why": self.why,
        }

    def _allow(self, session: Session, verb: Verb) -> None:
        self._authority.allow(session.tokens, verb, self._node, who=session.peer.text)

    async def list(self, session: Session, fields: Fields) -> object:
        """List the policies in force."""
        self._allow(session, Verb.QUERY)
        return tuple(_row(policy) for policy in self._admission.policies.all)

    async def show(self, session: Session, fields: Fields) -> object:
        """Give the text of a policy."""
        self._allow(session, Verb.QUERY)
        name = fields.text("name")
        for policy in self._admission.policies.all:
            if policy.name == name:
                return Map([*_row(policy).items(), ("text", policy.text)])
        known = ", ".join(policy.name for policy in self._admission.policies.all) or "none"
        raise PolicyUnknown(f"no policy {name!r} is in force; there are {known}")

    async def check(self, session: Session, fields: Fields) -> object:
        """Say what the policies in force find in a program that would begin here; those of tokens are not asked."""
        self._allow(session, Verb.SPAWN)
        program = Program.from_bytes(fields.data("program"))
        judgement = await trio.to_thread.run_sync(self._admission.tried, program)
        violations = tuple(map(as_map, judgement.counted))
        return Map({"violations": violations, "count": judgement.count})

    async def reload(self, session: Session, fields: Fields) -> object:
        """Put in force what the configuration names now, all or none."""
        self._allow(session, Verb.SCHEMA)
        self._admission.reload(self._current())
        return tuple(_row(policy) for policy in self._admission.policies.all)

    async def why(self, session: Session, fields: Fields) -> object:
        """Say why an agent was refused, to who brought it."""
        return self._admission.why(fields.data("agent"), session.peer)


def _row(policy: Policy) -> Map:
    reads = [word for word, does in (("code", policy.of_code), ("agent", policy.of_agent)) if does]
    return Map(
        {
            "name": policy.name,
            "file": policy.file.name,
            "reads": tuple(reads),
            "derives": tuple(sorted(policy.heads)),
            "doc": policy.doc,
        }
    )

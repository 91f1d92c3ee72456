"""A second since 1970 as people read it.

Is:     the moment in local words, and how far it is from now.
Is not: durations that people type (`cli.durations`).
Fits:   commands that say until when something holds.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cli.cluster import now_s
from cli.token_text import moment


def moment_of(second: object) -> str:
    """Return a second in words."""
    now = datetime.fromtimestamp(now_s(), UTC)
    return moment(datetime.fromtimestamp(int(str(second)), UTC).isoformat(), now)

"""What tests of the store share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from datomstore.storage import Storage
from datomstore.storage.lmdb import LmdbStorage
from datomstore.storage.memory import MemoryStorage


@pytest.fixture(params=["memory", "lmdb"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    """Each engine in turn."""
    engine: Storage = (
        MemoryStorage()
        if request.param == "memory"
        else LmdbStorage(tmp_path / "db", map_size=1 << 24)
    )
    yield engine
    engine.close()

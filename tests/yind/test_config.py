"""yind.toml is checked whole, and what is wrong in it is named."""

from pathlib import Path

import pytest

from yind.config import load
from yind.errors import ConfigError

GOOD = """
name = "alpha"
listen = "127.0.0.1:7400"
key = "node.key"
certificate = "node.crt"
members = "members"
cluster = "root"
"""


def _write(folder: Path, text: str) -> Path:
    path = folder / "yind.toml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load(_write(tmp_path, GOOD))
    assert config.path(config.key) == tmp_path / "node.key"
    assert config.storage == "lmdb"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD + 'colour = "red"\n', "colour"),
        (GOOD.replace('name = "alpha"', ""), "name"),
        (GOOD + "workers = 0\n", "workers"),
        (GOOD + 'workers = "two"\n', "workers"),
        (GOOD + 'storage = "tape"\n', "tape"),
        (GOOD.replace("127.0.0.1:7400", "here"), "HOST:PORT"),
        (GOOD + "[agents]\nspeed = 3\n", "speed"),
        ("name = ", "TOML"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load(_write(tmp_path, text))
    assert "yind.toml" in str(caught.value)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "yind.toml"
    path.write_bytes(GOOD.encode() + b"\xff")
    with pytest.raises(ConfigError, match=r"yind\.toml: not TOML"):
        load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        load(tmp_path / "nowhere.toml")

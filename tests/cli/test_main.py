"""The command's conventions that need no node."""

import subprocess
import sys

import pytest

from cli.main import COMMANDS, main


def _exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    code = left.value.code
    assert isinstance(code, int)
    return code


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_code("--help") == 0
    printed = capsys.readouterr().out
    assert [name for name in COMMANDS if name not in printed] == []


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_code("fly") == 2
    assert "fly" in capsys.readouterr().err


def test_starting_the_command_imports_nothing_heavy() -> None:
    program = "import sys, cli.main; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()
    assert {"trio", "cryptography", "nacl", "lark", "numpy", "rich"}.isdisjoint(loaded)

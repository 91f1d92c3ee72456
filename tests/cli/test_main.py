"""The command's conventions that need no node."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.errors import Exit
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


def test_help_says_what_every_exit_code_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_code("--help") == 0
    _, _, codes = capsys.readouterr().out.partition("Exit codes:")
    assert [int(line.split()[0]) for line in codes.strip().splitlines()] == [*map(int, Exit)]


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_code("fly") == 2
    assert "fly" in capsys.readouterr().err


def test_what_the_system_says_of_a_named_file_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    for command, why in (
        (("cluster", "init", str(plain)), "no folder can be made there: File exists"),
        (("cluster", "init", str(plain / "sub")), "no folder can be made there: Not a directory"),
    ):
        assert _exit_code(*command) == 1
        assert capsys.readouterr().err == f"yin: {command[-1]}: {why}\n"


def test_who_reads_no_further_ends_the_command_as_it_does_others(tmp_path: Path) -> None:
    """With a buffer that is full before the end, and one that is full only there."""
    for length in (1, 100_000):
        program = f"""
import click, cli.main
@click.command()
def talk():
    click.echo("x" * {length})
cli.main.LazyGroup.get_command = lambda *_: talk
cli.main.main(["ps"])
"""
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.close()
        _, said = process.communicate(timeout=30)
        assert (process.returncode, said) == (141, b"")


def test_starting_the_command_imports_nothing_heavy() -> None:
    program = "import sys, cli.main; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()
    assert {"trio", "cryptography", "nacl", "lark", "numpy", "rich"}.isdisjoint(loaded)

"""`yin refactor` and the stations of `yin compile`, as a person would type them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import main

TEXT = "(defn twice [x] ; doubled\n  (* 2 x))\n(twice 4)\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.clj"
    path.write_text(TEXT)
    return path


def yin(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    assert isinstance(left.value.code, int)
    return left.value.code


def test_rename_shows_a_diff_and_writes_nothing(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert yin("refactor", "rename", file, "1:14", "n") == 0
    shown = capsys.readouterr()
    assert shown.out == (
        f"--- {file}\n+++ {file}\n@@ -1,3 +1,3 @@\n"
        "-(defn twice [x] ; doubled\n-  (* 2 x))\n"
        "+(defn twice [n] ; doubled\n+  (* 2 n))\n (twice 4)\n"
    )
    assert shown.err == "2 changes in 1 file; --write makes them\n"
    assert file.read_text() == TEXT


def test_write_writes_and_json_tells_every_change(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert yin("refactor", "rename", file, "3:4", "double", "--write", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["$type"] == "refactor.rename"
    assert told["written"] is True
    assert [change["start"] for change in told["changes"]] == [[1, 7], [3, 2]]
    assert file.read_text() == TEXT.replace("twice", "double")


def test_extract_writes_a_function(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert yin("refactor", "extract", file, "2:3-2:9", "product", "--write") == 0
    assert capsys.readouterr() == ("", "2 changes in 1 file written\n")
    assert file.read_text() == (
        "(defn product [x] (* 2 x))\n\n(defn twice [x] ; doubled\n  (product x))\n(twice 4)\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["rename", "1:1", "x"],
            1,
            "a.clj:1:1: there is no name here\n      (defn twice [x] ; doubled\n      ^",
        ),
        (["rename", "one", "x"], 2, "one is not LINE:COLUMN"),
        (["extract", "2:3", "x"], 2, "2:3 is not LINE:COLUMN-LINE:COLUMN"),
        (["extract", "2:4-2:8", "f"], 1, "these forms do not follow one another in a body"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(
    file: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    command, *rest = arguments
    assert yin("refactor", command, file, *rest) == code
    assert said in capsys.readouterr().err
    assert file.read_text() == TEXT


@pytest.mark.parametrize(
    ("emit", "begins"),
    [
        ("forms", "(defn twice [x] (* 2 x))\n"),
        ("expanded", "(def twice (fn* ([x] (* 2 x))))\n"),
        ("ast", "program"),
        ("datoms", "[0 :ast/type :program]"),
        ("exec", "; top level"),
        ("asm", "f0 (top level)"),
        ("clojure", "(defn twice [x] (* 2 x))\n(twice 4)\n"),
    ],
)
def test_every_station_is_shown(
    file: Path, capsys: pytest.CaptureFixture[str], emit: str, begins: str
) -> None:
    assert yin("compile", file, "--emit", emit) == 0
    assert capsys.readouterr().out.startswith(begins)

"""`yin lint`: output, exit codes, rule files."""

import json
from pathlib import Path

import pytest

from cli.main import main


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["lint", *arguments])
    code = left.value.code
    assert isinstance(code, int)
    return code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd.clj").write_text("(let [a 1\n      b (* 2 3)]\n  a)\n")
    (tmp_path / "wrong.clj").write_text("(foo)\n")
    (tmp_path / "clean.clj").write_text("(+ 1 (rand))\n")
    (tmp_path / "own.edn").write_text('[[(finding ?f :error "no chance") [?f :ast/name "rand"]]]\n')
    return tmp_path


def test_findings_show_place_line_and_caret(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("odd.clj", "clean.clj") == 0
    printed = capsys.readouterr()
    assert printed.out == (
        "odd.clj:2:7: warning: nothing reads b [unused-local]\n        b (* 2 3)]\n        ^\n"
    )
    assert printed.err == "0 errors, 1 warning, 1 remark (--info shows them) in 2 files\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["clean.clj"], 0),
        (["odd.clj"], 0),
        (["odd.clj", "--strict"], 1),
        (["odd.clj", "--strict", "--without", "unused-local"], 0),
        (["wrong.clj"], 1),
        (["clean.clj", "--rules", "own.edn"], 1),
        (["missing.clj"], 4),
    ],
)
def test_the_exit_code_tells_of_errors(folder: Path, arguments: list[str], code: int) -> None:
    assert _run(*arguments) == code


def test_json_holds_every_finding(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("odd.clj", "--json", "--info") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["$type"] == "lint.findings"
    assert [(item["line"], item["code"]) for item in found["items"]] == [
        (2, "unused-local"),
        (2, "constant-call"),
    ]


def test_a_wrong_rule_file_is_a_usage_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.edn").write_text("[[(finding ?f :error ?m)\n  (nowhere ?f)]]")
    assert _run("clean.clj", "--rules", "bad.edn") == 2
    assert "bad.edn:2:3: no rule nowhere" in capsys.readouterr().err

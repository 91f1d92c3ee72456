"""Stored data: looked after by commands, with and without a running node."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Yin, answers, cluster, code_of, working_in

PEOPLE = """{:db/ident :p/name :db/unique :db.unique/identity}
{:db/ident :p/likes :db/cardinality :db.cardinality/many}"""
FACTS = """[{:p/name "Ann" :p/likes ["tea" "chess"]} {:p/name "Bob" :p/likes ["tea"]}]"""
NAMES = "[:find ?n :where [_ :p/name ?n]]"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a running node, alpha, whose stream `people` has three transactions."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "schema.edn").write_text(PEOPLE)
    (folder / "facts.edn").write_text(FACTS)
    (folder / "more.edn").write_text('[[:db/add [:p/name "Bob"] :p/name "Rob"]]')
    with working_in(folder), cluster(1):
        made = ("stream", "create", "alpha:people", "--schema", "schema.edn")
        assert code_of("--cluster", "dev", *made) == 0
        for name in ("facts.edn", "more.edn"):
            assert code_of("--cluster", "dev", "stream", "import", "alpha:people", name) == 0
        yield folder


@pytest.fixture
def yin(place: Path, capfd: pytest.CaptureFixture[str]) -> Yin:
    return answers(capfd)


def ask(yin: Yin, query: str, *options: str) -> str:
    answer = yin("q", query, "--on", "alpha", "--stream", "people", *options)
    assert answer.code == 0, answer.err
    return answer.out


def test_a_stream_is_made_once(yin: Yin) -> None:
    answer = yin("stream", "create", "alpha:people")
    assert (answer.code, "has a stream 'people' already" in answer.err) == (6, True)


def test_stats_count_facts_by_attribute(yin: Yin) -> None:
    shown = json.loads(yin("stream", "stats", "alpha:people", "--json").out)
    counts = {row["attribute"]: row["facts"] for row in shown["attributes"]}
    assert (shown["t"], counts[":p/name"], counts[":p/likes"]) == (3, 2, 3)
    assert yin("stream", "stats", "alpha:nobody").code == 4


def test_a_query_looks_back(yin: Yin) -> None:
    assert json.loads(ask(yin, NAMES, "--as-of", "2", "--json"))["value"] == [["Ann"], ["Bob"]]
    assert json.loads(ask(yin, NAMES, "--since", "2", "--json"))["value"] == [["Rob"]]
    changed = "[:find ?n ?added :where [_ :p/name ?n _ ?added]]"
    assert len(json.loads(ask(yin, changed, "--history", "--json"))["value"]) == 4


def test_a_query_is_explained(yin: Yin) -> None:
    steps = json.loads(ask(yin, NAMES, "--explain", "--json"))["items"]
    assert [(step["clause"], step["rows"]) for step in steps] == [("[_ :p/name ?n]", 2)]


@pytest.mark.parametrize("suffix", ["edn", "jsonl", "csv", "msgpack"])
def test_an_export_is_imported_as_the_same_log(yin: Yin, place: Path, suffix: str) -> None:
    file = f"log.{suffix}"
    assert yin("stream", "export", "alpha:people", file).code == 0
    assert yin("stream", "import", f"alpha:{suffix}", file, "--log").code == 0
    again = yin("stream", "export", f"alpha:{suffix}").out.splitlines()
    assert again == yin("stream", "export", "alpha:people").out.splitlines()
    assert len(again) == 3
    assert yin("stream", "import", "stored", file, "--log", "--data", f"d-{suffix}").code == 0
    offline = yin("stream", "export", "stored", "--data", f"d-{suffix}").out.splitlines()
    assert offline == again
    answer = yin("q", NAMES, "--data", f"d-{suffix}", "--stream", "stored", "--json")
    assert json.loads(answer.out)["value"] == [["Ann"], ["Rob"]]


def test_a_file_that_is_no_export_says_where(yin: Yin, place: Path) -> None:
    (place / "bad.edn").write_text("{:t 1}\n")
    answer = yin("stream", "import", "alpha:bad", "bad.edn", "--log")
    assert answer.code == 1
    assert "bad.edn: line 1: no number, instant and datoms" in answer.err
    assert yin("stream", "export", "alpha:people", "x.pdf").code == 2


def test_the_tail_of_a_stream_is_printed(yin: Yin) -> None:
    lines = yin("stream", "tail", "alpha:people", "-n", "2", "--format", "json").out.splitlines()
    assert [json.loads(line)["t"] for line in lines] == [2, 3]


def started(*arguments: str) -> subprocess.Popen[str]:
    program = "import sys; from cli.main import main; main(sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", program, "--cluster", "dev", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"},
    )


def stopped(child: subprocess.Popen[str]) -> int:
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=20)
    return child.returncode


def test_a_query_and_a_log_are_followed(yin: Yin, place: Path) -> None:
    (place / "age.edn").write_text("[{:age/of 5} {:age/of 7}]")
    (place / "older.edn").write_text("[{:age/of 9}]")
    assert yin("stream", "import", "alpha:ages", "age.edn").code == 0
    query = "[:find ?a :where [_ :age/of ?a]]"
    followed = started("q", query, "--on", "alpha", "--stream", "ages", "--follow", "-o", "jsonl")
    tail = started("stream", "tail", "alpha:ages", "-n", "1", "-f", "--format", "json")
    assert followed.stdout is not None
    assert tail.stdout is not None
    try:
        assert json.loads(followed.stdout.readline())["added"] == [[5], [7]]
        assert json.loads(tail.stdout.readline())["t"] == 1
        assert yin("stream", "import", "alpha:ages", "older.edn").code == 0
        change = json.loads(followed.stdout.readline())
        assert (change["t"], change["added"], change["removed"]) == (2, [[9]], [])
        assert json.loads(tail.stdout.readline())["t"] == 2
    finally:
        codes = [stopped(followed), stopped(tail)]
    assert codes == [130, 130]


def test_a_bad_query_is_not_followed(yin: Yin) -> None:
    answer = yin(
        "q", "[:find ?x :where (no ?x)]", "--on", "alpha", "--stream", "people", "--follow"
    )
    assert (answer.code, "no rule no" in answer.err) == (1, True)


def test_a_running_node_is_backed_up_and_the_copy_is_sound(yin: Yin, place: Path) -> None:
    assert yin("backup", "copy", "--on", "alpha").code == 0
    report = json.loads(yin("verify", "--data", "copy", "--json").out)
    assert report["ok"]
    assert "people" in [row["name"] for row in report["streams"]]
    assert yin("backup", "copy", "--on", "alpha").code == 1
    assert yin("restore", "copy", "--data", "again").code == 0
    listed = json.loads(yin("stream", "ls", "--data", "again", "--json").out)["items"]
    assert {row["name"]: row["t"] for row in listed}["people"] == 3
    assert yin("restore", "copy", "--data", "again").code == 6
    assert "now" in yin("compact", "--data", "again").out
    rebuilt = json.loads(yin("rebuild", "--data", "again", "people", "--json").out)["items"]
    assert [(row["name"], row["t"]) for row in rebuilt] == [("people", 3)]
    assert yin("rebuild", "--data", "again", "nobody").code == 4
    assert json.loads(yin("verify", "--data", "again", "--json").out)["ok"]


def test_a_flipped_byte_is_found(yin: Yin, place: Path) -> None:
    assert yin("stream", "import", "s", "facts.edn", "--data", "flipped").code == 0
    file = place / "flipped" / "data.mdb"
    data = bytearray(file.read_bytes())
    data[data.rindex(b"chess")] ^= 1
    file.write_bytes(data)
    answer = yin("verify", "--data", "flipped")
    assert answer.code == 1
    assert "s bytes at" in answer.err


def test_the_data_of_a_running_node_is_left_alone(yin: Yin, place: Path) -> None:
    for command in (["verify"], ["compact"], ["restore", "."]):
        answer = yin(*command, "--on", "alpha")
        assert (answer.code, "node alpha runs" in answer.err) == (6, True), answer
        answer = yin(*command, "--data", "dev/nodes/alpha/data")
        assert answer.code == 6, answer
    assert yin("verify").code == 2
    assert yin("verify", "--data", "nowhere").code == 4


def test_what_is_excised_is_nowhere(yin: Yin, place: Path) -> None:
    (place / "secret.edn").write_text('[{:db/id 5000 :p/secret "3141592"}]')
    assert yin("stream", "import", "alpha:secrets", "secret.edn").code == 0
    assert yin("excise", "alpha:secrets", "5000", "-y").code == 0
    assert "3141592" not in yin("stream", "export", "alpha:secrets").out
    assert yin("excise", "alpha:secrets", "[1", "-y").code == 2

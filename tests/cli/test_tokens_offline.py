"""Tokens as people make and read them, without a node: what would be of no use is refused, and every file is one's own."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Answer, Yin, answers, working_in
from hypothesis import given
from hypothesis import strategies as st

from capabilities.caveats import Rights, Verb
from capabilities.patterns import matches
from capabilities.tokens import Token
from cli.cluster import Cluster, create, open_cluster
from cli.holding import read_token
from cli.rights_in_all import common_pattern, rights_in_all


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Cluster]:
    with working_in(tmp_path):
        yield create(Path("dev"), name="dev", now_s=1_800_000_000)


@pytest.fixture
def yin(dev: Cluster, capsys: pytest.CaptureFixture[str]) -> Yin:
    return answers(capsys)


def ok(answer: Answer) -> str:
    assert answer.code == 0, answer
    return answer.out


def refused(answer: Answer, code: int, *words: str) -> None:
    assert answer.code == code, answer
    assert "internal" not in answer.err
    for word in words:
        assert word in answer.err


def mint(yin: Yin, name: str, *arguments: str) -> None:
    ok(yin("token", "mint", "--allow", "read:**", *arguments, "--out", name))


# -- files --


def test_a_secret_is_its_owners_alone_also_in_the_place_of_a_file_that_was_not(yin: Yin) -> None:
    Path("t").write_text("yin1.before")
    os.chmod("t", 0o644)
    with Path("t").open() as before:
        mint(yin, "t")
        assert before.read() == "yin1.before", "who has the old file open does not see the new one"
    assert Path("t").stat().st_mode & 0o777 == 0o600
    Path("link").symlink_to("t")
    ok(yin("token", "seal", "@t", "--out", "link"))
    assert Path("link").is_symlink()
    assert json.loads(ok(yin("token", "inspect", "@t", "--json")))["kind"] == "sealed"
    assert sorted(path.name for path in Path().iterdir()) == ["dev", "link", "t"]


def test_nothing_but_a_token_is_overwritten(yin: Yin) -> None:
    ok(yin("key", "new", "ann.key"))
    before = Path("ann.key").read_bytes()
    refused(yin("token", "mint", "--allow", "read:**", "--out", "ann.key"), 6, "is no token")
    mint(yin, "t")
    refused(yin("token", "seal", "@t", "--out", "dev/root.key"), 6, "is no token")
    assert Path("ann.key").read_bytes() == before


def test_a_file_that_is_no_text_is_no_token(yin: Yin) -> None:
    Path("noise").write_bytes(bytes(range(256)))
    refused(yin("token", "inspect", "@noise"), 3, "is no text")


def test_what_cannot_be_written_is_said(yin: Yin) -> None:
    refused(yin("token", "mint", "--allow", "read:**", "--out", "no/t"), 1, "No such file")
    refused(yin("key", "new", "no/ann.key"), 1, "No such file")


# -- what is no token --


def test_half_a_token_is_called_so(yin: Yin) -> None:
    mint(yin, "t")
    text = Path("t").read_text().strip()
    for length in (4, 5, 6, 7, 8, len(text) // 2, len(text) - 1):
        Path("half").write_text(text[:length])
        refused(yin("token", "inspect", "@half"), 3, "not a whole token", "copy the whole line")


def changed(name: str, at: int) -> None:
    """Flip a bit of a token."""
    text = Path(name).read_text().strip().removeprefix("yin1.")
    data = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    data[at] ^= 1
    Path(name).write_text("yin1." + base64.urlsafe_b64encode(data).decode().rstrip("=") + "\n")


@pytest.mark.parametrize("command", [("attenuate", "--ttl", "1m"), ("seal",)])
def test_what_is_not_what_was_signed_is_not_narrowed_or_sealed(
    yin: Yin, command: tuple[str, ...]
) -> None:
    mint(yin, "t")
    ok(yin("token", "attenuate", "@t", "--ttl", "5m", "--out", "narrow"))
    verb, *options = command
    ok(yin("token", verb, "@narrow", *options))
    data = read_token("@narrow").to_bytes()
    second = data.index(read_token("@narrow").signed[1].signature)
    changed("narrow", second)
    refused(yin("token", verb, "@narrow", *options), 3, "block 1: the signature is wrong")


@pytest.mark.parametrize("command", [("attenuate", "--ttl", "1m"), ("seal",)])
def test_what_has_ended_is_not_narrowed_or_sealed(
    yin: Yin, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    mint(yin, "t")
    ok(yin("token", "attenuate", "@t", "--ttl", "5m", "--out", "narrow"))
    later = open_cluster(Path("dev")).operator_token.blocks[-1].terms.until_s * 10**9
    monkeypatch.setattr("time.time_ns", lambda: later + 10**9)
    verb, *options = command
    refused(yin("token", verb, "@narrow", *options), 3, "block 1 of the token ended")


# -- what would be of no use --


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (("--ttl", "0s"), "over at once"),
        (("--from", "2h", "--ttl", "1h"), "ends before it begins"),
        (("--attr", "///"), "is not ns/*"),
        (("--allow", "read:a/**/b"), "has ** before its end"),
        (("--note", "x" * 200), "128 bytes"),
        (("--via", "operator"), "--via needs --to"),
        (("--budget", "rows=1", "--budget", "fuel=2,rows=3"), "rows has two budgets"),
    ],
)
def test_a_token_of_no_use_is_not_minted(yin: Yin, wrong: tuple[str, ...], word: str) -> None:
    refused(yin("token", "mint", "--allow", "read:**", *wrong), 2, word)


def test_a_right_on_nothing_is_told(yin: Yin) -> None:
    some = yin("token", "mint", "--allow", "read,spawn:facts", "--allow", "spawn,read:alpha/x")
    assert "read:facts covers nothing: a stream is named NODE/STREAM, as in alpha/facts" in some.err
    assert "spawn:alpha/x covers nothing: a node is named by one part, as in alpha" in some.err
    for good in ("read:alpha/facts", "read,spawn:**", "spawn,migrate:*", "read:*/facts"):
        assert "covers nothing" not in yin("token", "mint", "--allow", good).err


def test_a_token_is_not_narrowed_to_nothing(yin: Yin) -> None:
    mint(yin, "t")
    refused(yin("token", "attenuate", "@t", "--allow", "append:**"), 2, "no right in common")
    some = yin("token", "attenuate", "@t", "--allow", "append:**", "--allow", "read:alpha/*")
    assert "append:** adds nothing" in some.err
    assert len(Token.from_text(ok(some).strip()).blocks) == 2
    mint(yin, "once", "--depth", "0")
    refused(yin("token", "attenuate", "@once", "--ttl", "1m"), 2, "block 0: allows 0 blocks")


def test_a_sealed_token_says_that_it_is_sealed(yin: Yin) -> None:
    mint(yin, "t")
    ok(yin("token", "seal", "@t", "--out", "sealed"))
    for verb in ("attenuate", "seal"):
        refused(yin("token", verb, "@sealed"), 3, "this token is sealed")


SEGMENTS = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=3)
PATTERNS = st.builds(
    lambda parts, more: "/".join([*parts, "**"] if more else parts), SEGMENTS, st.booleans()
)
NAMES = ["/".join(name) for name in [*"ab", "aa", "ab", "ba", "bb", "aab", "bab", "aaaa", "abab"]]


@given(PATTERNS, PATTERNS)
def test_what_two_patterns_have_in_common_is_what_both_cover(one: str, other: str) -> None:
    common = common_pattern(one, other)
    assert common == common_pattern(other, one)
    for name in NAMES:
        both = matches(one, name) and matches(other, name)
        assert both == (common is not None and matches(common, name))


def test_rights_have_a_verb_and_a_pattern_in_common() -> None:
    first = (Rights(Verb.READ | Verb.APPEND, "alpha/**"), Rights(Verb.QUERY, "beta"))
    second = (Rights(Verb.APPEND | Verb.QUERY, "*/x"),)
    assert rights_in_all([first, None, second]) == [Rights(Verb.APPEND, "alpha/x")]
    assert rights_in_all([first, second, (Rights(Verb.READ, "**"),)]) == []


# -- reading --


def test_a_token_says_of_what_kind_it_is_and_until_when_it_holds(yin: Yin) -> None:
    ann = ok(yin("key", "new", "ann.key")).strip()
    mint(yin, "t", "--ttl", "2h")
    ok(yin("token", "attenuate", "@t", "--ttl", "10m", "--to", ann, "--out", "hers"))
    ok(yin("token", "attenuate", "@t", "--ttl", "5h", "--from", "1m", "--out", "longer"))
    assert ok(yin("token", "inspect", "@t")).startswith("a bearer token of 1 block: whoever has")
    shown = yin("token", "inspect", "@hers")
    assert f"a bound token of 2 blocks: used and narrowed with the key of {ann}" in shown.out
    assert "whether a block was revoked was not looked up" in shown.err
    assert "\nholds until " in shown.out
    with pytest.MonkeyPatch.context() as patch:
        later = time.time_ns() + 3600 * 10**9
        patch.setattr("time.time_ns", lambda: later)
        assert "\nheld until " in ok(yin("token", "inspect", "@hers"))
    longer = json.loads(ok(yin("token", "inspect", "@longer", "--json")))
    assert (longer["kind"], longer["trusted"]) == ("bearer", True)
    assert longer["until"] == longer["blocks"][0]["exp"], "it ends with the block that ends first"
    assert longer["from"] == longer["blocks"][1]["nbf"]


def test_a_token_of_a_root_that_does_not_count_is_read_all_the_same(yin: Yin) -> None:
    mint(yin, "t")
    create(Path("other"), name="other", now_s=1_800_000_000)
    other = yin("--cluster", "other", "token", "inspect", "@t")
    assert "block 0" in ok(other)
    assert "is not trusted here" in other.out
    document = json.loads(ok(yin("--cluster", "other", "token", "inspect", "@t", "--json")))
    assert document["trusted"] is False


# -- for programs --


def test_what_is_made_is_told_to_programs(yin: Yin) -> None:
    made = json.loads(ok(yin("token", "mint", "--allow", "read:**", "--json")))
    assert (made["$type"], made["kind"], made["blocks"]) == ("token.made", "bearer", 1)
    Path("t").write_text(made["token"])
    written = json.loads(ok(yin("token", "attenuate", "@t", "--out", "narrow", "--json")))
    assert (written["file"], written["id"]) == ("narrow", read_token("@narrow").ids[-1].hex())
    assert "token" not in written
    assert ok(yin("token", "seal", "@narrow", "-o", "ids")).strip() == written["id"]

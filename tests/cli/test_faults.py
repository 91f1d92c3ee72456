"""What went wrong in an agent, as people read it."""

from __future__ import annotations

from pathlib import Path

from cli.faults import fault_text
from cli.sources import SourceTexts
from datomstore.value import Map

SOURCE = "(defn f [x]\n\t(/ x\n    0))\n" + "(+ 1 " * 60 + "(f 1)" + ")" * 60


def row(*places: Map, data: str = "", causes: tuple[Map, ...] = ()) -> Map:
    fault = Map({"message": "no", "data": data, "places": places, "causes": causes})
    return Map({"fault": "as text", "fault_data": fault})


def place(function: str, span: tuple[int, int, int, int], times: int = 1) -> Map:
    return Map({"function": function, "source": "a.clj", "span": span, "times": times})


def test_a_failure_without_an_error_of_the_program_is_told_as_it_is() -> None:
    assert fault_text(Map({"fault": "memory is full", "fault_data": None}), {}) == "memory is full"


def test_places_alike_are_folded_and_others_left_out() -> None:
    found = row(
        place("f", (2, 2, 3, 7), 100_000), place("", (0, 0, 0, 0), 4_000), place("g", (9, 9, 9, 10))
    )
    assert fault_text(found, {}).splitlines() == [
        "no",
        "  at f (a.clj:2:2)",
        "  ... 99,999 more",
        "  ... 4,000 more",
        "  at g (a.clj:9:9)",
    ]


def test_a_known_source_shows_its_line() -> None:
    assert fault_text(row(place("f", (2, 2, 3, 7))), {"a.clj": SOURCE}).splitlines() == [
        "no",
        "  at f (a.clj:2:2)",
        "      \t(/ x",
        "      \t^^^^",
    ]


def test_of_a_long_line_the_place_is_shown() -> None:
    *_, shown, carets = fault_text(row(place("f", (4, 301, 4, 306))), {"a.clj": SOURCE}).split("\n")
    assert len(shown) < 130
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "(f 1)"


def test_a_place_that_the_text_does_not_have_is_only_named() -> None:
    assert fault_text(row(place("f", (99, 1, 99, 2))), {"a.clj": SOURCE}) == (
        "no\n  at f (a.clj:99:1)"
    )


def test_a_message_of_several_lines_forges_no_place() -> None:
    fault = {"message": "no\x1b[2J\n  at top level (a.clj:1:1)", "data": "", "causes": ()}
    places = (Map({**place("f\n  at g (", (9, 9, 9, 10))}),)
    told = fault_text(Map({"fault_data": Map({**fault, "places": places})}), {})
    assert told.splitlines() == [
        r"no\x1b[2J",
        "      at top level (a.clj:1:1)",
        r"  at f\n  at g ( (a.clj:9:9)",
    ]


def test_data_and_causes_are_told() -> None:
    causes = (Map({"message": "one", "data": ""}), Map({"message": "two", "data": "{:b 2}"}))
    assert fault_text(row(data="{:a 1}", causes=causes), {}).splitlines() == [
        "no",
        "  {:a 1}",
        "caused by: one",
        "caused by: two",
        "  {:b 2}",
    ]


def test_a_required_file_shows_its_line_too(tmp_path: Path) -> None:
    required, elsewhere = tmp_path / "app.clj", tmp_path.parent / "other.clj"
    required.write_text("(ns app)\n(first 5)\n")
    sources = SourceTexts("main.clj", "(ns main)", tmp_path / "main.clj")
    span = (2, 1, 2, 10)
    for source, shown in ((required, ["      (first 5)", "      ^^^^^^^^^"]), (elsewhere, [])):
        at = Map({"function": "f", "source": str(source), "span": span, "times": 1})
        assert fault_text(row(at), sources).splitlines()[2:] == shown

"""Rules: what they score, which options they take, and that none takes long."""

from __future__ import annotations

import json
import math
import pickle
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import paretohqd as pq
from paretohqd.frames.text_metrics import words
from paretohqd.rewards.answer_rules import last_numbers
from paretohqd.rewards.rules import RULES, Exact, Finished, Json, Length, Number, Regex, rule
from paretohqd.rewards.scoring import make_reward


def scores(made: Any, *answers: str) -> list[float]:
    return made.score(["Hi"] * len(answers), list(answers)).tolist()  # type: ignore[no-any-return]


@given(st.text(max_size=60), st.integers(0, 6), st.integers(1, 6), st.integers(1, 9))
def test_length_is_linear_outside_its_window(text: str, least: int, more: int, fall: int) -> None:
    for unit, n in (("words", len(words(text))), ("characters", len(text))):
        most = least + more
        [got] = scores(Length(least=least, most=most, fall=fall, unit=unit), text)
        away = max(least - n, n - most, 0)
        assert got == pytest.approx(max(0.0, 1 - away / fall))


def test_length_without_fall_is_0_at_nothing_and_at_twice() -> None:
    rule = Length(least=2, most=4, unit="characters")
    assert scores(rule, "", "a", "ab", "abcd", "abcde", "a" * 8, "a" * 50) == [
        *(0.0, 0.5, 1.0, 1.0, 0.75, 0.0, 0.0)
    ]
    assert scores(Length(least=2), "one", "one two", "one two three") == [0.5, 1.0, 1.0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes.", 1), ("Yes", 0), ("Really?!", 1), ('He said: "Yes."', 1), ("So (or so).", 1),
        ("**Done.**", 1), ("Well\u2026", 1), ("\u597d\u7684\u3002", 1), ("Yes.\n \n", 1),
        ("1. One\n2. Two", 0),
        ("Yes. And", 0), ("", 0), ("x = f(1)", 0), ("It costs 3.5", 0), ("...", 1),
    ],
)  # fmt: skip
def test_finished(text: str, expected: int) -> None:
    assert scores(Finished(), text) == [expected]


def test_regex() -> None:
    assert scores(Regex(pattern="b+"), "abc", "ac") == [1, 0]
    assert scores(Regex(pattern="b+|abc", full=True), " abc\n", "abcd", "bb", "b") == [1, 0, 1, 1]
    assert scores(Regex(pattern="(?i)SORRY", wanted=False), "Sorry", "Hello") == [0, 1]
    assert scores(Regex(pattern=r"^a.b$"), "a\nb", "axb") == [0, 1]


def test_no_pattern_goes_back() -> None:
    """Python's engine would take longer than the universe is old."""
    text = "a" * 50_000
    assert scores(Regex(pattern=r"(a+)+$"), text + "!") == [0]
    assert scores(Regex(pattern=r"(a|aa)+", full=True), text + "!") == [0]
    assert scores(Json(schema={"pattern": "^(a+)+$"}), json.dumps(text + "!")) == [0]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('{"a": [1, 2.5, null, true]}', 1), (' "x" \n', 1), ("{'a': 1}", 0), ("", 0), ("[1] x", 0),
        ("NaN", 0), ("[Infinity]", 0), ("[1,]", 0), ("[" * 150 + "]" * 150, 1), ("1" * 5000, 1),
        ("[" * 100_000 + "]" * 100_000, 0), ('"' + "[" * 1000 + '"', 1),
        (json.dumps({"a\\\"[": ["[" * 300, "\\"]}), 1), ("[" + "[]," * 300 + "[]]", 1),
    ],
)  # fmt: skip
def test_json(text: str, plain: int) -> None:
    assert scores(Json(), text) == [plain]


SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Z]"},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1},
    },
    "required": ["name"],
    "additionalProperties": False,
}


def test_json_by_a_schema() -> None:
    made = Json(schema=SCHEMA)
    right = ['{"name": "Ann"}', '{"name": "Ann", "tags": ["a", "b"]}']
    wrong = ['{"name": "ann"}', "{}", "3", '{"name": "Ann", "tags": []}', '{"name": "Ann", "x": 1}']
    assert scores(made, *right, *wrong, "no") == [1, 1, *[0] * 6]
    again = pickle.loads(pickle.dumps(made))
    assert scores(again, right[0]) == [1], "it travels to other processes"


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        ({"multipleOf": 0.01}, "1.25", 1), ({"multipleOf": 0.01}, "1.255", 0),
        ({"multipleOf": 0.01}, "1e999", 0), ({"multipleOf": 0.01}, "-1e999", 0),
        ({"multipleOf": 0.01}, "1" * 400, 0), ({"multipleOf": 0.01}, "1" * 5000, 0),
        ({"multipleOf": 5}, "1e999", 0), ({"multipleOf": 5}, "5" * 400, 1),
        ({"multipleOf": 1e-310}, "1e10", 0), ({"multipleOf": 10**400}, "1.5", 0),
        ({"not": {"multipleOf": 0.01}}, "1e999", 1),
        ({"anyOf": [{"multipleOf": 0.01}, {"type": "number"}]}, "1e999", 1),
        ({"minimum": 0.5}, "1" * 400, 1), ({"maximum": 1e300}, "1" * 5000, 0),
        ({"type": "integer"}, "1e999", 0), ({"uniqueItems": True}, "[1e999, 1e999]", 0),
        ({"enum": [1]}, "1" * 5000, 0),
    ],
)  # fmt: skip
def test_numbers_past_any_double_by_a_schema(
    schema: dict[str, Any], text: str, expected: int
) -> None:
    assert scores(Json(schema=schema), text) == [expected]


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"tpye": "string"}, "unknown key schema.tpye|unknown key rule:json: schema.tpye: did you"),
        ({"$ref": "https://example.org/x.json"}, r"unknown key .*\$ref"),
        ({"properties": {"a": {"$ref": "#"}}}, r"unknown key .*properties.a.\$ref"),
        ({"anyOf": [{"$ref": "#"}]}, r"unknown key .*anyOf\[0\].\$ref"),
        ({"patternProperties": {"(a+)+": {}}}, "unknown key .*patternProperties"),
        ({"pattern": "(?=a)"}, "pattern: .*look-around"),
        ({"type": "strng"}, "strng"),
        ({"minLength": "3"}, "3"),
        ({"items": 3}, "expected a schema"),
    ],
)
def test_schemas_that_are_none(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Json(schema=schema)


def frame(*rows: tuple[str, Any]) -> pl.DataFrame:
    responses, right = zip(*rows, strict=True)
    return pl.DataFrame({"prompt": ["Hi"] * len(rows), "response": responses, "right": right})


def test_exact() -> None:
    rows = frame((" Paris\n", "Paris"), ("paris", "Paris "), ("Paris, France", "Paris"))
    assert pq.score(rows, [Exact(column="right")])["exact"].to_list() == [1, 0, 0]
    loose = Exact(column="right", ignore_case=True, name="loose")
    assert pq.score(rows, [loose])["loose"].to_list() == [1, 1, 0]
    assert pq.score(frame(("3", 3), ("3.0", 3)), [Exact(column="right")])["exact"].to_list() == [
        1,
        0,
    ]
    for value in ([5], math.nan, date(2026, 1, 5)):
        with pytest.raises(ValueError, match=r"column 'right' holds .* in row 0, and rule:exact"):
            pq.score(frame(("5", value)), [Exact(column="right")])
    with pytest.raises(
        ValueError, match=r"column 'right' holds None in row 1, and rule:exact needs"
    ):
        pq.score(frame(("a", "a"), ("b", None)), [Exact(column="right")])


@pytest.mark.parametrize(
    ("answer", "right", "ignore_case", "score"),
    [
        ("5", 5.0, False, 1), ("5", 5, False, 1), ("5.0", 5.0, False, 0), ("5.5", 5.5, False, 1),
        ("0", -0.0, False, 1), ("5", "5.0", False, 0), ("1e+300", 1e300, False, 1),
        ("True", True, False, 1), ("5", Decimal("5.0"), False, 1), ("inf", math.inf, False, 1),
        ("Caf\u00e9", "Cafe\u0301", False, 1), ("Cafe\u0301", "Caf\u00e9", False, 1),
        ("CAFE\u0301", "caf\u00e9", True, 1), ("STRASSE", "stra\u00dfe", True, 1),
        ("Cafe", "Caf\u00e9", False, 0),
    ],
)  # fmt: skip
def test_forms_of_one_text_are_that_text(
    answer: str, right: Any, ignore_case: bool, score: int
) -> None:
    made = Exact(column="right", ignore_case=ignore_case)
    assert pq.score(frame((answer, right)), [made])["exact"].to_list() == [score]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("It is 42.", 42), ("12 apples, 3 pears", 3), ("$1,234,567.89!", 1234567.89), ("-4 °C", -4),
        ("\u22124", -4), ("1e3", 1000), ("x2 y", None), ("none", None), ("", None), ("5-3", 3),
        ("= -3", -3), (".5", 0.5), ("#### 18", 18), (r"\boxed{7}", 7), ("1,23", 23), ("2.5.", 2.5),
        ("+7", 7), ("version 1.2.3", 1.2), ("1" * 400, float("inf")),
        ("It is 12 for the 3rd time", 12), ("12 in 3D", 12), ("on the 2nd try: 12 km", 12),
        ("12, the 21ST", 12), ("12: 1,234th.", 12), ("two 5ths of 8, its 4THS", 8), ("3rd", None),
        ("42km", 42), ("12V", 12), ("5GB", 5), ("3Days", 3), ("10s", 10), ("7thing", 7), ("3d", 3),
        ("12 in 3D\u00e9", 3), ("1e3rd", None),
    ],
)  # fmt: skip
def test_last_numbers(text: str, number: float | None) -> None:
    assert last_numbers([text]) == [number]


def test_number() -> None:
    rows = frame(("It is 42.", "#### 42"), ("41", "42"), ("no idea", "42"), ("42.0000000001", "42"))
    assert pq.score(rows, [Number(column="right")])["number"].to_list() == [1, 0, 0, 1]
    near = Number(column="right", tolerance=1)
    assert pq.score(rows, [near])["number"].to_list() == [1, 1, 0, 1]
    assert pq.score(frame(("7", 7), ("8", 7)), [near])["number"].to_list() == [1, 1]
    whole = [Decimal("7.00"), 7.0, 7, "7.0"]
    for right in whole:
        assert pq.score(frame(("7", right)), [Number(column="right")])["number"].to_list() == [1]
    for value in ([1, 7], {"a": 7}, date(2026, 1, 7), True, math.nan, b"7"):
        with pytest.raises(ValueError, match=r"column 'right' holds .* in row 0, and rule:number"):
            pq.score(frame(("7", value)), [Number(column="right")])
    for bad in (None, "none", "1" * 400):
        with pytest.raises(ValueError, match=r"column 'right' holds .* in row 1, and rule:number"):
            pq.score(frame(("7", "7"), ("8", bad)), [Number(column="right")])
    with pytest.raises(ValueError, match=r"reward 'number' reads the column\(s\) right, which the"):
        pq.score(rows.drop("right"), [near])
    with pytest.raises(ValueError, match="reads the column 'right': use score"):
        near.score(["a"], ["b"])


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("lenght", {}, "no rule 'lenght'; did you mean 'length'"),
        ("length", {}, "give least or most"),
        ("length", {"mots": 3}, "unknown key options.mots: did you mean most"),
        ("length", {"name": "x"}, "unknown key options.name"),
        ("length", {"most": "3"}, "most: expected a whole number, got '3'"),
        ("length", {"most": True}, "most: expected a whole number, got 'True'"),
        ("length", {"most": 3.0}, "most: expected a whole number"),
        ("length", {"least": None, "most": 1}, "least: expected a whole number"),
        ("length", {"least": 5, "most": 3}, "most must be at least 5, got 3"),
        ("length", {"most": 0}, "most must be at least 1"),
        ("length", {"most": 3, "unit": "word"}, "unit: 'word'; did you mean 'words'"),
        ("length", {"most": 3, "fall": 0}, "fall at least 1"),
        ("finished", {"most": 3}, "unknown key options.most"),
        ("regex", {}, "pattern is missing"),
        ("regex", {"pattern": "("}, "is none that can be used"),
        ("regex", {"pattern": r"(a)\1"}, "references back are not known"),
        ("regex", {"pattern": "(?<=a)b"}, "look-around"),
        ("regex", {"pattern": "a{1000}{1000}{1000}"}, "is none that can be used"),
        ("json", {"schema": "x"}, "schema: expected a section"),
        ("exact", {}, "column is missing"),
        ("number", {"column": "x", "tolerance": -1.0}, "tolerance must be a finite number"),
        ("number", {"column": "x", "relative": float("nan")}, "relative must be a finite number"),
    ],
)
def test_options_are_checked(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^reward 'x': .*{message}"):
        make_reward(name="x", scorer=f"rule:{kind}", options=options)


def test_rules_and_what_does_not_belong_to_them() -> None:
    assert make_reward(name="x", scorer="rule:finished") == Finished(name="x")
    with pytest.raises(ValueError, match="columns goes with a function"):
        make_reward(name="x", scorer="rule:finished", columns=["a"])
    with pytest.raises(ValueError, match="options goes with a rule or a function"):
        make_reward(name="x", scorer="embedded:relevance", options={"a": 1})
    with pytest.raises(ValueError, match="template go with model"):
        make_reward(name="x", scorer="rule:finished", template="chat")


NEEDED = {
    "length": {"most": 3}, "regex": {"pattern": "a"}, "exact": {"column": "a"},
    "number": {"column": "a"},
}  # fmt: skip


@pytest.mark.parametrize("kind", RULES)
def test_manifests_are_plain_and_hold_all_options(kind: str) -> None:
    made = rule(kind, name="x", options=NEEDED.get(kind, {}))
    manifest = json.loads(json.dumps(made.manifest()))
    assert manifest["kind"] == f"rule:{kind}"
    assert manifest["options"].items() >= NEEDED.get(kind, {}).items()
    assert manifest["version"] == (2 if kind in ("exact", "number") else 1)

"""What a comparison leaves in results.json: written from types and read into them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helpers.compared import make, page_of, run
from helpers.page import Page
from paretohqd.compare.records import ComparisonRecord, FrontRecord, RunRecord


def test_a_record_is_read_as_it_was_written() -> None:
    results, _ = make(fails={("MODPO", 0): "no pairs"})
    chance = {"clouds": 200, "seed": 3, "unreached": [0.5, 0.3, 0.7], "depth": [0.1, 0.0, 0.2]}
    results["front"] = {"points": 13, "unreached": 0.5, "depth": 0.03, "chance": chance}
    record = ComparisonRecord.of(results)
    text = json.dumps(record.to_mapping())
    assert ComparisonRecord.of(json.loads(text)) == record
    assert json.loads(text)["front"] == results["front"]
    assert record.front == FrontRecord.of(results["front"])
    assert [each.error for each in record.runs if each.failed] == ["no pairs", "no pairs"]
    for each, given in zip(json.loads(text)["runs"], results["runs"], strict=True):
        assert each["costs"] == given["costs"]
        assert each["notes"] == given["notes"]


def test_a_run_leaves_out_what_is_not_said() -> None:
    plain = RunRecord.of(run("base", ["a"])).to_mapping()
    assert not plain.keys() & {"about", "source", "exact", "ours", "reconstructed"}
    marked = RunRecord.of(run("rcs", ["a"], about="x", reconstructed=True)).to_mapping()
    assert (marked["about"], marked["reconstructed"]) == ("x", True)
    names = list(marked)
    assert names[:4] == ["method", "kind", "ablation", "against"]
    assert names[-4:] == ["trained_tokens", "generated_tokens", "scored", "allowed"]


def test_a_record_of_another_version_may_have_more_and_says_what_is_wrong() -> None:
    results, _ = make(budgets=["own"], seeds=[0], ablations=())
    assert ComparisonRecord.of({**results, "more": 1}) == ComparisonRecord.of(results)
    wrong: dict[str, Any] = {**results["runs"][1], "seed": "first"}
    with pytest.raises(ValueError, match=r"the run of SFT\.seed: expected a whole number"):
        ComparisonRecord.of({**results, "runs": [wrong]})


def test_a_record_of_before_the_system_prompts_had_their_name_is_read() -> None:
    given = run("ric", ["a"])
    given["policies"] = [{"weights": [1.0, 0.0], "before": "<x> 1.0", "answers": "measured/0"}]
    record = RunRecord.of(given)
    assert record.policies[0].system_prompt == "<x> 1.0"
    assert RunRecord.of(record.to_mapping()) == record
    with pytest.raises(ValueError, match=r"missing key the run of ric\.policies\[0\]\.answers"):
        RunRecord.of({**given, "policies": [{"weights": None}]})


def test_reconstructed_methods_have_a_mark_and_a_legend_on_the_page() -> None:
    pytest.importorskip("altair")
    pytest.importorskip("vl_convert")
    results, answers = make(budgets=["own"], seeds=[0], ablations=())
    legend = "* Reconstructed without its authors' code"
    assert legend not in Page(page_of(results, answers)).text
    for each in results["runs"]:
        each["reconstructed"] = each["kind"] in ("rcs", "ucmoa")
    text = page_of(results, answers)
    assert legend in Page(text).text
    for name, count in (("RCS", 2), ("UC-MOA", 2), ("SFT", 0)):  # verdicts and costs
        assert text.count(f"</svg>{name} *</th>") == count, name

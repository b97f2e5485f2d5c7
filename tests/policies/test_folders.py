"""Run folders that are not what they should be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import paretohqd as pq
from paretohqd.policies.measuring import measure
from paretohqd.policies.scorers import scorers_of
from paretohqd.runs import layout

pytestmark = pytest.mark.slow


def test_an_unfinished_run_says_what_is_missing(copied: Path) -> None:
    (copied / layout.FACTS).unlink()
    with pytest.raises(ValueError, match=r"is not a finished run: facts.json missing"):
        pq.load(copied)
    shutil.rmtree(copied / layout.SUMMARY)
    with pytest.raises(ValueError, match=r"facts.json, evaluate/summary/metrics.json missing"):
        pq.load(copied)
    with pytest.raises(ValueError, match="no such folder"):
        pq.load(copied / "nothing")


def test_an_adapter_that_is_gone(copied: Path) -> None:
    shutil.rmtree(copied / "stage2/fit/01-both/adapter")
    with pytest.raises(
        ValueError, match=r"1 of 3 adapters are missing \(first: stage2/fit/01-both"
    ):
        pq.load(copied)
    assert pq.load(copied, stage=1).finished.stage == 1
    with pytest.raises(ValueError, match="has stages 1 to 2, not 3"):
        pq.load(copied, stage=3)


def test_a_base_that_is_gone_or_another(copied: Path, parts: Path, tmp_path: Path) -> None:
    text = (copied / layout.CONFIG).read_text()
    name = next(line for line in text.splitlines() if line.strip().startswith("name: ")).split()[-1]
    (copied / layout.CONFIG).write_text(text.replace(name, "./gone", 1))
    with pytest.raises(ValueError, match=r"name the base of this run with model= \(--model"):
        pq.load(copied)
    moved = pq.load(copied, model=str(tmp_path / "model"))
    assert moved.policy("both").generate("Hi.", seed=3) == pq.policy(
        copied, "both", model=str(parts / "model")
    ).generate("Hi.", seed=3)
    config = tmp_path / "model" / "generation_config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(ValueError, match=r"not what the adapters were trained on \(its files cha"):
        pq.load(copied, model=str(tmp_path / "model"))


def test_a_template_that_changed_since(copied: Path) -> None:
    text = (copied / layout.CONFIG).read_text()
    other = "{% for m in messages %}{{ m['content'] }}<|im_end|>{% endfor %}"
    plain = text.replace("chat_template: null", f'chat_template: "{other}"')
    assert plain != text
    (copied / layout.CONFIG).write_text(plain)
    with pytest.raises(ValueError, match="its chat template changed since"):
        pq.load(copied)


def test_nothing_in_the_folder_is_written(finished: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*")}
    policy = pq.policy(finished, [0.3, 0.7], device="cpu")
    policy.generate("Hi.")
    assert policy.predicted
    measure(policy, scorers_of(policy.run, device="cpu"))
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("*")} == before

"""What a policy reaches on the held-out prompts, and a chat with it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

import paretohqd as pq
from paretohqd.plots.progress import Screen
from paretohqd.policies.finished import open_run
from paretohqd.policies.measuring import measure, render
from paretohqd.policies.scorers import scorers_of
from paretohqd.policies.talking import HELP, chat
from paretohqd.runs import layout
from paretohqd.safety.printing import printable

pytestmark = pytest.mark.slow


def test_a_trained_preference_measures_as_in_the_run(finished: Path) -> None:
    run = pq.load(finished, device="cpu")
    rewards = scorers_of(run, device="cpu")
    (own,) = [measure(run.policy("both"), rewards)]
    recorded = pl.read_parquet(finished / "evaluate/stage2-01-both/answers.parquet")
    assert own.answers["response"].to_list() == recorded["response"].to_list()
    np.testing.assert_allclose(own.answers["kind"], recorded["kind"], atol=1e-6)
    assert own.beyond["kind"].mean == pytest.approx(0, abs=1e-6)
    between = measure(run.policy([0.75, 0.25]), rewards, screen=Screen(file=io.StringIO()))
    policy = between.policy
    assert between.beyond["brief"].mean == pytest.approx(
        between.rewards["brief"].mean - policy.predicted["brief"].mean, abs=1e-6
    )
    text = render([own, between])
    assert "the sum of 0.5 of kind and 0.5 of both" in text


def test_a_chat_moves_between_trade_offs(finished: Path) -> None:
    out = io.StringIO()
    lines = ["Hi.", "/w .75 .25", "Why?", "/side brief", "/again", "/w nobody", "/nothing", "/help"]
    lines += ["/w 3 1", "/side", "/new", "/again", "Tea? " * 2000, "Tea?", "/quit", "never read"]
    run = pq.load(finished, device="cpu")
    chat(run, weights="kind", seed=5, device="cpu", lines=iter(lines), out=out)
    said = out.getvalue()
    first = run.policy("kind").generate("Hi.", seed=5)
    talk = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": first}]
    second = run.policy([0.75, 0.25]).generate([*talk, {"role": "user", "content": "Why?"}], seed=6)
    for text in (
        printable(first),
        printable(second),
        "the sum of 0.5 of kind and 0.5 of both",
        "   [kind ",
    ):
        assert text in said
    assert "the model trained for brief" in said
    for text in (
        HELP,
        "no word /nothing",
        "no preference of this run",
        "nothing was said yet",
        "context",
    ):
        assert text in said
    assert said.count("   [kind ") == 5
    assert "never read" not in said


def test_the_commands(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from paretohqd.cli.main import main

    out = tmp_path / "answers.parquet"
    command = ["eval", str(finished), "--device", "cpu", "--weights", ".75", ".25"]
    assert main([*command, "--weights", "brief", "-o", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "the sum of 0.5 of kind and 0.5 of both" in printed
    assert len(pl.read_parquet(out)) == 10
    assert main([*command, "--weights", "nobody"]) == 1
    assert "no preference of this run" in capsys.readouterr().err


def test_scorers_that_are_not_at_hand(copied: Path) -> None:
    config = copied / layout.CONFIG
    plain = yaml.safe_load(config.read_text())
    plain["objectives"][0] |= {"column": "kind", "model": None}
    config.write_text(yaml.safe_dump(plain))
    manifest = json.loads((copied / "stage2/fit/00-kind/manifest.json").read_text())
    assert manifest["inputs"]["model"]
    out = io.StringIO()
    chat(pq.load(copied, device="cpu"), device="cpu", lines=iter(["Hi."]), out=out)
    assert "no scores under answers: " in out.getvalue()
    assert open_run(copied).objectives == ("kind", "brief")

"""Users who are known by labelled pairs: what is inferred from these, and what trains it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from helpers.small_fit import CPU, LORA
from helpers.tiny import sentences
from paretohqd.models import base
from paretohqd.models.adapters import load_mixture
from paretohqd.models.likelihood import likelihood
from paretohqd.models.spec import Model
from paretohqd.trainers.mixture import load_network
from paretohqd.trainers.several import encoded
from paretohqd.trainers.users import Inference, Pair, Step, answer_features, fit_users

pytestmark = pytest.mark.slow

TEXTS = sentences()
ROWS = pl.DataFrame(
    [
        {"prompt": TEXTS[7 * at], "response": answer}
        for at in range(12)
        for answer in (TEXTS[5 * at + 1], "Yes.")
    ]
)
"""A long and a short answer to each prompt."""


def load(folder: Path) -> tuple[Any, Any]:
    model, tokenizer = base.load_base(Model(name=str(folder)), device="cpu", dtype=torch.float32)
    return model.eval(), tokenizer


def pairs(short: bool, *, prompts: range) -> list[Pair]:
    """Those of a user who likes short answers, or long ones."""
    return [(2 * at + short, 2 * at + (not short)) for at in prompts]


def step(number: int) -> Step:
    short = bool(number % 2)
    return Step(pairs(short, prompts=range(8)), pairs(short, prompts=range(8, 12)))


def fit(causal: Path, out: Path, steps: int, **more: Any) -> dict[str, Any]:
    asked = [pairs(short, prompts=range(8)) for short in (False, True)]
    train = {"max_steps": steps, "learning_rate": 2e-2, "lr_scheduler_type": "constant"}
    given: dict[str, Any] = {"machine": CPU, "train": train, "lora": LORA, "count": 2, **more}
    plans = given.pop("plans", [step(number) for number in range(steps)])
    return dict(fit_users(*load(causal), ROWS, plans, asked, out, **given))


def test_features_are_the_mean_states_of_the_answers_tokens(causal: Path) -> None:
    model, tokenizer = load(causal)
    ids = encoded(model, tokenizer, ROWS, None)
    features = answer_features(model, tokenizer, ids, CPU)
    raw = []
    for prompt, answer in ids:
        tokens = torch.tensor([prompt + answer])
        with torch.no_grad():
            hidden = model.base_model(input_ids=tokens).last_hidden_state[0]
        raw.append(hidden[len(prompt) :].double().mean(dim=0))
    expected = torch.stack(raw)
    expected = (expected - expected.mean(dim=0)) / expected.std(dim=0)
    torch.testing.assert_close(features, expected, atol=1e-3, rtol=1e-3)


def test_the_order_of_labelled_pairs_does_not_matter() -> None:
    torch.manual_seed(0)
    network, shown = Inference(3, 8), torch.randn(10, 8, dtype=torch.float64)
    found = network(shown)
    assert float(found.sum()) == pytest.approx(1)
    torch.testing.assert_close(network(shown[torch.randperm(10)]), found)
    assert not torch.allclose(network(-shown), found), "the other label is another user"


def test_a_step_is_dpo_under_what_was_inferred(causal: Path, tmp_path: Path) -> None:
    fit(causal, tmp_path / "two", 2, beta=0.7)
    fit(causal, tmp_path / "one", 1, beta=0.7)
    first, second = json.loads((tmp_path / "two" / "log.json").read_text())
    assert first["loss"] == pytest.approx(np.log(2), abs=1e-6)
    model, tokenizer = load(causal)
    seen = encoded(model, tokenizer, ROWS, None)[:16]  # what is only in the loss is not read
    features = answer_features(model, tokenizer, seen, CPU)
    network = load_network(tmp_path / "one", lambda _: Inference(2, features.shape[1]))
    shown, learned = step(1).shown, step(1).learned
    with torch.no_grad():
        found = network(torch.stack([features[a] - features[b] for a, b in shown])).tolist()
    assert second["coefficients"] == pytest.approx(found, abs=1e-6)
    folders = [tmp_path / "one" / f"adapter-{k}" for k in range(2)]
    mixed = load_mixture(load(causal)[0], list(zip(folders, found, strict=True)))
    gaps = []
    for a, b in learned:
        own = ROWS[[a, b]]
        texts = own["prompt"].to_list(), own["response"].to_list()
        after, before = likelihood(mixed, tokenizer, *texts), likelihood(model, tokenizer, *texts)
        ratio = (after["logp"] - before["logp"]).to_list()
        gaps.append(ratio[0] - ratio[1])
    expected = np.log1p(np.exp(-0.7 * np.array(gaps))).mean()
    assert second["loss"] == pytest.approx(expected, abs=1e-4)


def test_users_are_told_apart(causal: Path, tmp_path: Path) -> None:
    facts = fit(causal, tmp_path, 30)
    long, short = np.array(facts["coefficients"])
    assert np.abs(long - short).max() > 0.1
    log = json.loads((tmp_path / "log.json").read_text())
    assert np.mean([entry["loss"] for entry in log[-6:]]) < 0.8 * np.log(2)


def test_what_is_refused(causal: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs labelled pairs"):
        fit(causal, tmp_path / "none", 1, plans=[Step([], [(0, 1)])])
    with pytest.raises(ValueError, match=r"raise pairs\.max_length"):
        fit(causal, tmp_path / "none", 1, train={"max_length": 4})
    assert not (tmp_path / "none" / "adapter-0").exists()

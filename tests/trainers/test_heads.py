"""Several heads on one body: their mixture, their losses, and the method that trains them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from peft import load_peft_weights

from helpers.small_fit import CPU, LORA
from helpers.tiny import sentences
from paretohqd.compare.methods import mahdpo
from paretohqd.compare.workbench import Tokens, Workbench
from paretohqd.models import base
from paretohqd.models.adapter_settings import adapter_config
from paretohqd.models.adapters import Weighted, load_mixture
from paretohqd.models.likelihood import likelihood
from paretohqd.models.merging import merged
from paretohqd.models.spec import Model
from paretohqd.selection.pairs import extreme_pairs
from paretohqd.trainers.heads import fit_heads
from paretohqd.trainers.several import put_on

pytestmark = pytest.mark.slow

NAMES = ["kind", "brief"]
TRAIN = {"max_steps": 4, "learning_rate": 3e-2}
Open = Callable[..., Workbench]


def load(folder: Path) -> tuple[Any, Any]:
    model, tokenizer = base.load_base(Model(name=str(folder)), device="cpu", dtype=torch.float32)
    return model.eval(), tokenizer


def pairs(steps: int = 4, each: int = 2) -> pl.DataFrame:
    """Rows of both objectives in turn, which ask for unlike answers."""
    texts = sentences()
    rows = [
        {
            "prompt": texts[7 * number],
            "chosen": texts[3 * number + 1] if name == "kind" else "Yes.",
            "rejected": "No." if name == "kind" else texts[5 * number + 2],
            "objective": name,
        }
        for number in range(steps * each)
        for name in NAMES
    ]
    return pl.DataFrame(rows)


def fit(causal: Path, out: Path, rows: pl.DataFrame | None = None, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"machine": CPU, "train": TRAIN, "lora": LORA, **more}
    given["train"] = {**TRAIN, **given["train"]}
    facts = fit_heads(*load(causal), pairs() if rows is None else rows, NAMES, out, **given)
    return dict(facts)


@pytest.fixture(scope="module")
def trained(causal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("heads")
    fit(causal, out)
    return out


def logits(causal: Path, adapters: list[Weighted]) -> torch.Tensor:
    model, tokenizer = load(causal)
    tokens = tokenizer(sentences()[5], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        read: torch.Tensor = load_mixture(model, adapters)(input_ids=tokens).logits
    return read


def test_the_mixture_of_heads_has_the_mixed_logits(causal: Path, trained: Path) -> None:
    body, one, other = (trained / name for name in ("body", "head-0", "head-1"))
    apart = [logits(causal, [(body, 1.0), (head, 1.0)]) for head in (one, other)]
    assert (apart[0] - apart[1]).abs().max() > 1e-3
    for w in (0.5, 0.3, 0.9):
        mixed = logits(causal, [(body, 1.0), (one, w), (other, 1 - w)])
        expected = w * apart[0] + (1 - w) * apart[1]
        torch.testing.assert_close(mixed, expected, atol=2e-5, rtol=1e-5)
    alone = logits(causal, [(body, 1.0)])
    assert (apart[0] - alone).abs().max() > 1e-3, "a head adds to the body's"


def test_the_base_and_its_tied_embedding_stay_as_they_are(causal: Path, trained: Path) -> None:
    model, _ = load(causal)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    mixed = load_mixture(model, [(trained / "body", 1.0), (trained / "head-0", 0.5)])
    embedding = mixed.get_base_model().get_input_embeddings().weight
    with merged(mixed):  # as sampling does where a sum is as good
        assert torch.equal(embedding, before["model.embed_tokens.weight"])
    for folder in ("body", "head-0", "head-1"):
        weights = load_peft_weights(str(trained / folder))
        assert all("lora_" in name for name in weights)
        config = json.loads((trained / folder / "adapter_config.json").read_text())
        ours = config["target_modules"] == ["lm_head"]
        assert ours == folder.startswith("head")
        assert all(("lm_head" in name) == ours for name in weights)


def test_a_body_by_a_pattern(causal: Path, tmp_path: Path) -> None:
    out = tmp_path / "pattern"
    fit(causal, out, lora={**LORA, "target_modules": r".*\.[qv]_proj"})
    both = logits(causal, [(out / "body", 1.0), (out / "head-0", 0.5), (out / "head-1", 0.5)])
    assert (both - logits(causal, [(out / "body", 1.0)])).abs().max() > 1e-3


def test_seeds_share_no_start(causal: Path) -> None:
    starts = {}
    for seed in (0, 1):
        model, _ = load(causal)
        wrapped = put_on(model, {name: adapter_config(LORA) for name in ("a", "b")}, seed=seed)
        for name, weight in wrapped.named_parameters():
            if "layers.0.self_attn.q_proj.lora_A" in name:
                starts[seed, name.split(".")[-2]] = weight.detach()
    assert len(starts) == 4
    for one, other in combinations(starts.values(), 2):
        assert not torch.equal(one, other)


def test_a_step_is_the_mean_of_each_objectives_dpo(causal: Path, tmp_path: Path) -> None:
    """The second step's loss, from the adapters that one step left."""
    rows = pairs(steps=2, each=2)
    facts = fit(causal, tmp_path / "two", rows, train={"max_steps": 2}, beta=0.7)
    fit(causal, tmp_path / "one", rows[:4], train={"max_steps": 1}, beta=0.7)
    first, second = json.loads((tmp_path / "two" / "log.json").read_text())
    assert first["losses"] == pytest.approx([math.log(2)] * 2, abs=1e-6)
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-6)
    expected = []
    for place, name in enumerate(NAMES):
        own = rows[4:].filter(objective=name)
        body, head = (tmp_path / "one" / folder for folder in ("body", f"head-{place}"))
        logps = []
        for adapters in ([(body, 1.0), (head, 1.0)], []):
            model, tokenizer = load(causal)
            if adapters:
                model = load_mixture(model, adapters)
            sides = (own[side].to_list() for side in ("chosen", "rejected"))
            prompts = own["prompt"].to_list()
            logps.append([likelihood(model, tokenizer, prompts, side)["logp"] for side in sides])
        (chosen, rejected), (base_chosen, base_rejected) = logps
        gap = 0.7 * ((chosen - base_chosen) - (rejected - base_rejected))
        expected.append((1 + (-gap).exp()).log().mean())
    assert second["losses"] == pytest.approx(expected, abs=1e-4)
    assert second["loss"] == pytest.approx(sum(expected) / 2, abs=1e-4)  # type: ignore[arg-type]
    assert facts["steps"] == 2
    assert facts["heads"] == ["head-0", "head-1"]


def test_losses_fall_and_heads_learn_their_own(causal: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    rows = pl.concat([pairs(steps=1, each=2)] * 8)
    fit(
        causal,
        tmp_path,
        rows,
        train={"max_steps": 8},
        on_step=lambda done, whole: seen.append((done, whole)),
    )
    log = json.loads((tmp_path / "log.json").read_text())
    assert log[-1]["loss"] < 0.8 * log[0]["loss"]
    assert log[-1]["accuracies"] == [1, 1]
    assert seen == [(step, 8) for step in range(1, 9)]


@pytest.mark.parametrize(
    ("rows", "train", "message"),
    [
        (pairs()[:7], {}, "7 pairs do not divide among 4 steps"),
        (
            pl.concat([pairs()[:8].filter(objective="kind"), pairs()[8:]]),
            {"max_steps": 3},
            r"step 1 has \[4, 0\] pairs of kind, brief: each objective must have as many",
        ),
        (
            pairs(),
            {"max_length": 4},
            r"no token to train on .first: row 0.: raise pairs\.max_length",
        ),
        (pairs(), {"loss_type": "hinge"}, r"train\.loss_type|pairs\.loss_type"),
    ],
)
def test_what_is_refused(
    causal: Path, tmp_path: Path, rows: pl.DataFrame, train: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit(causal, tmp_path / "none", rows, train=train)
    assert not (tmp_path / "none" / "body").exists()


def test_the_method_sums_heads_by_the_preference(bench: Open) -> None:
    b = bench(preferences=[[0.75, 0.25], [0.0, 1.0]])
    mixed, corner = mahdpo.policies(b, mahdpo.Options(beta=0.3))
    (body, one), (first, _), (second, _) = mixed.adapters
    assert (body.name, first.name, second.name) == ("body", "head-0", "head-1")
    assert (one, [w for _, w in mixed.adapters[1:]]) == (1.0, [0.75, 0.25])
    assert corner.adapters == ((body, 1.0), (second, 1.0))
    notes = json.loads((body.parent / "manifest.json").read_text())["notes"]
    assert (notes["beta"], notes["steps"]) == (0.3, 3)
    frame = b.scored()
    assert b.notes["pairs of each objective"] == {
        name: len(extreme_pairs(frame, frame[name].to_numpy())) for name in b.names
    }
    costs = [(c.per, c.trained, c.passed) for c in b.costs if c.phase == "train"]
    assert costs == [("once", notes["trained_tokens"], notes["trained_tokens"])]
    again = mahdpo.policies(bench(preferences=[[0.75, 0.25], [0.0, 1.0]]), mahdpo.Options(beta=0.3))
    assert again[0] == mixed


def test_the_budget_is_met(bench: Open) -> None:
    b = bench(Tokens(trained=4_000, generated=0), train__max_steps=1)
    mahdpo.policies(b, mahdpo.Options())
    assert b.trained == pytest.approx(4_000, rel=0.05)

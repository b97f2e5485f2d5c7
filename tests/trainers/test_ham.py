"""Joint training for the hypervolume: its value and gradient, the adapters, the method."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import load_peft_weights

import paretohqd as pq
from helpers.tiny import sentences
from paretohqd.compare.methods import ham
from paretohqd.compare.workbench import Tokens, Workbench
from paretohqd.models.adapters import Weighted, load_adapter, load_mixture
from paretohqd.models.likelihood import likelihood
from paretohqd.models.machine import Machine
from paretohqd.models.spec import Model
from paretohqd.trainers.ham import fit_jointly
from paretohqd.trainers.ham_values import (
    MAX_ADAPTERS,
    Answers,
    hypervolume,
    offset_directions,
    policy_values,
)

MACHINE = Machine(device="cpu", bfloat16=False, threads=1)
NAMES = ["e", "brief"]
LORA = {"r": 8, "lora_alpha": 16}


# ── hypervolume and values ───────────────────────────────────────────────────────────────────


@st.composite
def point_sets(draw: st.DrawFn) -> np.ndarray:
    m, k = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    rows = draw(st.lists(st.tuples(*[st.integers(-3, 6)] * m), min_size=k, max_size=k))
    return np.array(rows, dtype=float)


@settings(deadline=None)
@given(point_sets())
def test_the_volume_is_the_exact_one(points: np.ndarray) -> None:
    volume = float(hypervolume(torch.from_numpy(points), -1.0))
    assert volume == pytest.approx(pq.hypervolume(points, ref=[-1.0] * points.shape[1]), abs=1e-9)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 7), st.integers(2, 4))
def test_its_gradient_is_a_central_difference(seed: int, k: int, m: int) -> None:
    points = np.random.default_rng(seed).random((k, m)) * 2
    values = torch.from_numpy(points).requires_grad_()
    (gradient,) = torch.autograd.grad(hypervolume(values, -0.5), values)
    step = 1e-6
    for i in range(k):
        for j in range(m):
            moved = [points.copy(), points.copy()]
            moved[0][i, j] += step
            moved[1][i, j] -= step
            up, down = (pq.hypervolume(one, ref=[-0.5] * m) for one in moved)
            assert float(gradient[i, j]) == pytest.approx((up - down) / (2 * step), abs=1e-6)


def test_equal_points_share_the_gradient_and_dominated_ones_have_none() -> None:
    values = torch.tensor([[1.0, 1.0], [1.0, 1.0], [0.5, 0.5]], requires_grad=True)
    (slope,) = torch.autograd.grad(hypervolume(values, 0.0), values)
    np.testing.assert_allclose(slope, [[0.5, 0.5], [0.5, 0.5], [0.0, 0.0]], atol=1e-7)


def test_the_largest_set_is_still_exact() -> None:
    points = np.random.default_rng(0).random((MAX_ADAPTERS, 3))
    volume = float(hypervolume(torch.from_numpy(points), -2.0))
    assert volume == pytest.approx(pq.hypervolume(points, ref=[-2.0] * 3), rel=1e-10)


def test_offset_directions_are_even_and_go_from_objective_to_objective() -> None:
    assert offset_directions(2, 2).tolist() == [[0.5, -0.5], [-0.5, 0.5]]
    assert offset_directions(1, 3).tolist() == [[0.0, 0.0, 0.0]]
    for count in range(2, MAX_ADAPTERS + 1):
        for m in (2, 3, 4):
            result = offset_directions(count, m)
            assert result.shape == (count, m)
            assert len(np.unique(result, axis=0)) == count, "no two alike"
            np.testing.assert_allclose(result.sum(axis=1), 0, atol=1e-12)
            assert result[0].argmax() == 0
            assert result[-1].argmax() == m - 1


def test_a_value_is_the_weighted_mean_of_each_prompts_scores_and_the_bases_is_0() -> None:
    scores = [np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([[2.0, 0], [-1, 0], [-1, 0]])]
    lengths = [[2, 4], [1, 1, 3]]
    batch = [
        Answers(tuple(([7], [8] * n) for n in sizes), torch.from_numpy(part))
        for sizes, part in zip(lengths, scores, strict=True)
    ]
    rng = np.random.default_rng(0)
    logps, base = rng.normal(size=(3, 5)), rng.normal(size=5)
    result = policy_values(torch.from_numpy(logps), torch.from_numpy(base), batch)
    flat = np.concatenate(lengths)
    for k in range(3):
        ratio = np.exp((logps[k] - base) / flat)
        parts = [ratio[:2] @ scores[0] / ratio[:2].sum(), ratio[2:] @ scores[1] / ratio[2:].sum()]
        np.testing.assert_allclose(result[k], np.mean(parts, axis=0))
    even = policy_values(torch.from_numpy(base[None]), torch.from_numpy(base), batch)
    np.testing.assert_allclose(even, [[0.0, 0.0]], atol=1e-12)


# ── training ─────────────────────────────────────────────────────────────────────────────────


def toy(prompts: int = 8, passes: int = 1) -> pl.DataFrame:
    """Answers scored by their share of the letter e and by how short they are: a trade-off."""
    texts, rng = sentences(), np.random.default_rng(0)
    rows = [
        (texts[int(p)], texts[int(a)])
        for p in rng.choice(588, prompts, replace=False)
        for a in rng.choice(588, 4, replace=False)
    ]
    share = np.array([text.count("e") / len(text) for _, text in rows])
    brief = -np.array([len(text) for _, text in rows]) * 0.02 - 4 * share
    scores = {name: (x - x.mean()) / x.std() for name, x in (("e", share), ("brief", brief))}
    frame = pl.DataFrame(rows, schema=["prompt", "response"], orient="row").with_columns(**scores)
    every = pl.concat([frame] * passes)
    return every.with_columns(group=pl.int_range(pl.len()) // 4)


def train(base: Any, out: Path, rows: pl.DataFrame, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "count": 3,
        "machine": MACHINE,
        "lora": LORA,
        "train": {"max_steps": 2, "learning_rate": 1e-2},
        **more,
    }
    return fit_jointly(*base, rows, NAMES, out, **given)


def values_of(base: Any, folder: Path, rows: pl.DataFrame, count: int) -> np.ndarray:
    """The policies' values by definition, from the saved adapters, on distinct rows."""
    model, tokenizer = base
    texts = rows["prompt"].to_list(), rows["response"].to_list()
    before = likelihood(model, tokenizer, *texts)
    results = []
    for k in range(count):
        model = load_adapter(model, folder / f"adapter-{k}")
        after = likelihood(model, tokenizer, *texts)
        ratio = np.exp((after["logp"] - before["logp"]) / before["answer_tokens"]).to_numpy()
        scores = rows.select(NAMES).to_numpy().reshape(-1, 4, 2)
        weights = ratio.reshape(-1, 4, 1) / ratio.reshape(-1, 4, 1).sum(axis=1, keepdims=True)
        centred = scores - scores.mean(axis=1, keepdims=True)
        results.append((weights * centred).sum(axis=1).mean(axis=0))
    return np.array(results)


@pytest.fixture
def again(causal: Path) -> Callable[[], Any]:
    """Another fresh model, as training needs one of its own."""
    from paretohqd.models import base as models

    return lambda: models.load_base(Model(name=str(causal)), device="cpu", dtype=torch.float32)


def test_all_adapters_move_each_its_own_way(
    base: Any, again: Callable[[], Any], tmp_path: Path
) -> None:
    rows = toy(passes=6)
    notes = train(base, tmp_path, rows, train={"max_steps": 24, "learning_rate": 1e-2})
    values = values_of(again(), tmp_path, rows[:32], 3)
    volume = pq.hypervolume(values, ref=[-2.0, -2.0])
    assert notes["hypervolume"][0] == pytest.approx(4.0), "all start as the base, whose value is 0"
    assert volume > 4.2
    # From the first objective to the second, in order; a set and not a pile.
    assert (np.diff(values[:, 0]) < -0.01).all()
    assert (np.diff(values[:, 1]) > 0.01).all()
    assert values[0, 0] > 0.05
    assert values[2, 1] > 0.05
    log = json.loads((tmp_path / "log.json").read_text())
    assert [entry["step"] for entry in log] == list(range(1, 25))
    rates = [entry["learning_rate"] for entry in log]
    np.testing.assert_allclose(rates, 1e-2 * (1 - np.arange(24) / 24), atol=1e-12)
    assert all(min(entry["grad_norm"]) > 0 for entry in log[:5]), "nobody is left behind"


def test_what_is_logged_is_the_definition(
    base: Any, again: Callable[[], Any], tmp_path: Path
) -> None:
    """A last step that changes nothing shows the values of the adapters that are saved."""
    rows = toy(passes=2)
    slow = {"max_steps": 2, "learning_rate": 1e-2, "lr_scheduler_type": "linear"}
    train(base, tmp_path / "one", rows, train=slow)
    log = json.loads((tmp_path / "one" / "log.json").read_text())
    assert np.abs(log[0]["values"]).max() < 1e-6
    train(again(), tmp_path / "half", rows[:32], train={**slow, "max_steps": 1})
    expected = values_of(again(), tmp_path / "half", rows[:32], 3)
    np.testing.assert_allclose(log[1]["values"], expected, atol=1e-5)
    assert log[1]["hypervolume"] == pytest.approx(
        pq.hypervolume(expected, ref=[-2.0] * 2), abs=1e-4
    )


def likelihoods_of(
    load: Callable[[], Any], policies: list[list[Weighted]], rows: pl.DataFrame
) -> np.ndarray:
    """exp of the score-weighted mean log-probability per token, scores from 0 to 1."""
    scores = rows.select(NAMES).to_numpy()
    scores = (scores - scores.min(axis=0)) / np.ptp(scores, axis=0)
    values = []
    for adapters in policies:
        model, tokenizer = load()
        model = load_mixture(model, adapters) if adapters else model.eval()
        found = likelihood(model, tokenizer, rows["prompt"].to_list(), rows["response"].to_list())
        each = (found["logp"] / found["answer_tokens"]).to_numpy()
        values.append(np.exp(each @ scores / scores.sum(axis=0)))
    return np.array(values)


@pytest.mark.parametrize("body", [False, True])
def test_values_may_be_likelihoods_and_policies_heads(
    base: Any, again: Callable[[], Any], tmp_path: Path, body: bool
) -> None:
    rows = toy(passes=2)
    more: dict[str, Any] = {"value": "likelihood", "body": body, "count": 2}
    slow = {"max_steps": 2, "learning_rate": 1e-2, "lr_scheduler_type": "linear"}
    notes = train(base, tmp_path / "one", rows, train=slow, **more)
    assert notes["reference"] == 0
    log = json.loads((tmp_path / "one" / "log.json").read_text())
    before = likelihoods_of(again, [[], []], rows[:32])
    np.testing.assert_allclose(log[0]["values"], before, rtol=1e-4)
    half = tmp_path / "half"
    train(again(), half, rows[:32], train={**slow, "max_steps": 1}, **more)
    shared = [(half / "body", 1.0)] if body else []
    policies = [[*shared, (half / f"adapter-{k}", 1.0)] for k in range(2)]
    expected = likelihoods_of(again, policies, rows[:32])
    np.testing.assert_allclose(log[1]["values"], expected, rtol=1e-4)
    assert (expected > before).all(), "what scores well becomes likelier"
    assert log[1]["hypervolume"] == pytest.approx(pq.hypervolume(expected, ref=[0, 0]), rel=1e-4)
    assert len(log[0]["grad_norm"]) == (3 if body else 2)
    if body:
        weights = [load_peft_weights(str(half / name)) for name in ("body", "adapter-0")]
        assert not any("lm_head" in name for name in weights[0])
        assert all("lm_head" in name for name in weights[1])


def test_a_step_goes_down_the_gradient_of_all_at_once(base: Any, tmp_path: Path) -> None:
    """Read twice, prompt by prompt, the slope is that of one backward pass through everything."""
    from paretohqd.trainers import ham as ham_training
    from paretohqd.trainers.ham_policies import Policies
    from paretohqd.trainers.ham_values import REFERENCE

    model, tokenizer = base
    model.double()
    prompts = ham_training._answers(model, tokenizer, toy(4), NAMES, None)
    lora = {**ham_training.LORA_DEFAULTS, **LORA, "lora_dropout": 0.0}
    policies = Policies(model, tokenizer, 2, lora, machine=MACHINE, seed=0)
    policies.model.double()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in policies.parameters():
            parameter.normal_(0, 0.05)
    reference = policies.base_logps(prompts)
    logps = policies.logps(prompts).requires_grad_()
    loss = -hypervolume(policy_values(logps, reference, prompts), REFERENCE)
    (slope,) = torch.autograd.grad(loss, logps)
    policies.backward(prompts, slope, None)
    result = {k: [p.grad.clone() for p in own] for k, own in policies.own.items()}

    def whole() -> float:
        return float(
            -hypervolume(policy_values(policies.logps(prompts), reference, prompts), REFERENCE)
        )

    for name, own in policies.own.items():
        for place in range(0, len(own), 9):
            weight, slope = own[place], result[name][place]
            at = int(slope.abs().argmax())
            step, seen = 1e-5, []
            for sign in (1, -1):
                with torch.no_grad():
                    weight.view(-1)[at] += sign * step
                    seen.append(whole())
                    weight.view(-1)[at] -= sign * step
            # The log-probabilities are summed in float32, so differences are only so fine.
            expected = (seen[0] - seen[1]) / (2 * step)
            assert float(slope.view(-1)[at]) == pytest.approx(expected, rel=0.05, abs=0.02)


def test_the_same_seed_gives_the_same_bytes_and_adapters_start_apart(
    base: Any, again: Callable[[], Any], tmp_path: Path
) -> None:
    rows = toy(4)
    for name, model in (("one", base), ("two", again())):
        train(model, tmp_path / name, rows, count=2)
    files = [
        (tmp_path / n / "adapter-1" / "adapter_model.safetensors").read_bytes()
        for n in ("one", "two")
    ]
    assert files[0] == files[1]
    first, second = (load_peft_weights(str(tmp_path / "one" / f"adapter-{k}")) for k in range(2))
    assert all(not first[name].equal(second[name]) for name in first)


def test_what_a_training_tells(base: Any, tmp_path: Path) -> None:
    rows, steps = toy(6, passes=2), list[tuple[int, ...]]()
    notes = train(
        base, tmp_path, rows, train={"max_steps": 3}, on_step=lambda *at: steps.append(at)
    )
    assert steps == [(1, 3), (2, 3), (3, 3)]
    tokenizer = base[1]
    chats = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": p}, {"role": "assistant", "content": r}], tokenize=False
        ).removesuffix("\n")
        for p, r in rows.select("prompt", "response").rows()
    ]
    tokens = sum(map(len, tokenizer(chats)["input_ids"]))
    assert notes["trained_tokens"] == 3 * tokens
    assert (notes["steps"], notes["prompts_per_step"], notes["adapters"]) == (3, 4, 3)
    assert (notes["generated_tokens"], notes["scored"]) == (0, 0)
    assert notes["lora"]["lora_dropout"] == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        *(f"adapter-{k}" for k in range(3)),
        "log.json",
    ]


def test_what_can_not_be_trained_on_is_refused(base: Any, tmp_path: Path) -> None:
    rows = toy(4)
    cases: list[tuple[pl.DataFrame, dict[str, Any], str]] = [
        (rows, {"count": 13}, "13 adapters: joint training takes 1 to 12"),
        (rows, {"train": {"max_steps": 3}}, "4 prompts do not divide among 3 steps"),
        (rows[:13], {}, "group 3 has one answer"),
        (rows.with_columns(e=pl.lit(float("nan"))), {}, "a score is null, NaN or infinite"),
        (rows, {"train": {"max_steps": 2, "max_length": 5}}, "16 of 16 answers have no token"),
        (rows[:0], {}, "0 prompts do not divide"),
    ]
    for frame, more, message in cases:
        with pytest.raises(ValueError, match=message):
            train(base, tmp_path, frame, **more)


# ── on the bench ─────────────────────────────────────────────────────────────────────────────


def test_the_method_gives_points_without_preferences(bench: Callable[..., Workbench]) -> None:
    b = bench()
    policies = ham.policies(b, ham.Options())
    assert [policy.weights for policy in policies] == [None, None]
    folders = [policy.adapters[0][0] for policy in policies]
    assert [folder.name for folder in folders] == ["adapter-0", "adapter-1"]
    base, _ = b.context.sampler()
    for folder in folders:
        load_adapter(base, folder)
    assert b.notes["joint training"]["steps"] == 3
    assert set(b.notes["constants"]) == {"kind", "brief"}
    notes = json.loads((folders[0].parent / "manifest.json").read_text())["notes"]
    (cost,) = (cost for cost in b.costs if cost.phase == "train")
    assert (cost.per, cost.trained) == ("once", notes["trained_tokens"])


def test_the_models_may_be_heads_on_one_body(bench: Callable[..., Workbench]) -> None:
    b = bench()
    policies = ham.policies(b, ham.Options(heads=True, value="likelihood"))
    names = [[folder.name for folder, _ in policy.adapters] for policy in policies]
    assert names == [["body", "adapter-0"], ["body", "adapter-1"]]
    (cost,) = (cost for cost in b.costs if cost.phase == "train")
    assert cost.passed == cost.trained, "no reference is read"
    plain = ham.policies(b, ham.Options())
    assert plain[0].adapters[0][0].parent != policies[0].adapters[0][0].parent


def test_the_method_keeps_to_a_budget(bench: Callable[..., Workbench]) -> None:
    b = bench(allowed=Tokens(trained=6000, generated=0))
    assert len(ham.policies(b, ham.Options(count=3))) == 3
    assert b.trained == pytest.approx(6000, rel=0.05)
    assert b.generated == 0, "the data have several answers to a prompt"


def test_the_method_refuses_too_many(bench: Callable[..., Workbench]) -> None:
    with pytest.raises(ValueError, match="count: expected a whole number from 1 to 12, got 13"):
        ham.Options(count=13)


def test_a_training_that_diverges_keeps_nothing(base: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"of step 2 is (nan|inf): the training diverged"):
        train(base, tmp_path, toy(passes=2), train={"max_steps": 4, "learning_rate": 1e30})
    assert not (tmp_path / "adapter-0").exists()


@pytest.mark.parametrize(
    "given",
    [
        {"num_train_epochs": 2},
        {"optim": "sgd"},
        {"neftune_noise_alpha": 5.0},
        {"gradient_checkpointing": True},
        {"save_strategy": "steps"},
    ],
    ids=str,
)
def test_what_joint_training_does_not_take(
    base: Any, tmp_path: Path, given: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=rf"^train\.{next(iter(given))} is not followed"):
        train(base, tmp_path, toy(passes=2), train=given)


def test_the_schedules_own_settings_are_followed(base: Any, tmp_path: Path) -> None:
    given = {
        "max_steps": 4,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "cosine_with_min_lr",
        "lr_scheduler_kwargs": {"min_lr": 9e-3},
    }
    train(base, tmp_path, toy(passes=2), train=given)
    log = json.loads((tmp_path / "log.json").read_text())
    assert min(entry["learning_rate"] for entry in log) > 9e-3

"""MOPO, CAID, PAMA, MOA and corners trained on pairs, through two preferences with a tiny model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from paretohqd.compare.methods import (
    caid,
    mahdpo,
    moa,
    moc,
    modpo,
    mopo,
    morlhf,
    npdpo,
    pama,
    psl,
    soups,
)
from paretohqd.compare.methods._dual import weighed
from paretohqd.compare.methods._groups import answer_groups
from paretohqd.compare.methods._ranking import best_rows
from paretohqd.compare.workbench import Tokens, Workbench
from paretohqd.models.adapters import load_adapter, load_mixture
from paretohqd.models.chat import encode_prompts, find_form, messages
from paretohqd.runs.manifest import Manifest
from paretohqd.selection.pairs import extreme_pairs, win_rates
from paretohqd.trainers.conditioned import coefficients

pytestmark = pytest.mark.slow

Open = Callable[..., Workbench]
WEIGHTS = [[0.75, 0.25], [0.0, 1.0]]
REINFORCED = {
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 1,
    "num_generations": 2,
    "learning_rate": 1e-2,
}


def notes_of(adapter: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((adapter.parent / "manifest.json").read_text())["notes"]
    return content


def log_of(adapter: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((adapter.parent / "log.json").read_text())
    return entries


def charged(b: Workbench, phase: str) -> list[tuple[str, int, int]]:
    return [(c.per, c.trained, c.generated) for c in b.costs if c.phase == phase]


def test_mopo_imitates_answers_by_their_weights(bench: Open) -> None:
    b = bench(preferences=WEIGHTS, selection__k=7)
    policies = mopo.policies(b, mopo.Options(tau=0.2))
    assert [policy.weights for policy in policies] == [(0.75, 0.25), (0.0, 1.0)]
    mixed, corner = b.notes["constraints"]
    assert (mixed["main"], corner["main"]) == ("kind", "brief")
    assert list(mixed["floors"]) == ["brief"]
    assert (corner["floors"], corner["multipliers"], corner["slack"]) == ({}, [], [])
    assert min(mixed["slack"]) >= -1e-6
    frame = b.scored()
    rates = win_rates(frame, b.names)
    best = [
        np.mean([rates[frame["prompt"] == p, m].max() for p in frame["prompt"].unique()])
        for m in range(2)
    ]
    assert mixed["floors"]["brief"] == pytest.approx(0.5 + 0.25 * (best[1] - 0.5))
    weights = np.exp((rates[:, 0] + mixed["multipliers"][0] * rates[:, 1]) / 0.2)
    weights /= weights.sum()
    assert weights @ rates[:, 1] >= mixed["floors"]["brief"] - 1e-6
    assert mixed["effective answers"] == pytest.approx(1 / np.square(weights).sum(), rel=1e-4)
    for policy in policies:
        assert notes_of(policy.adapters[0][0])["steps"] == 3
    assert [per for per, *_ in charged(b, "train")] == ["preference"] * 2
    made = sorted((b.context.folder.folder / "select").iterdir())
    drawn = [pl.read_parquet(folder / "rows.parquet") for folder in made]
    assert [len(rows) for rows in drawn] == [7, 7]


def test_mopo_draws_rows_as_often_as_they_weigh(bench: Open) -> None:
    frame = pl.DataFrame({"prompt": list("aabb"), "response": list("wxyz")})
    found = mopo.Weighed(np.empty(0), np.array([0.5, 0.0, 0.2, 0.3]), np.empty(0))
    drawn = mopo._drawn(frame, found, 10, seed=4)
    assert dict(drawn["response"].value_counts().iter_rows()) == {"w": 5, "y": 2, "z": 3}
    counts = [
        mopo._drawn(frame, found, 3, seed=seed)["response"].to_list().count("w")
        for seed in range(200)
    ]
    assert set(counts) == {1, 2}
    assert np.mean(counts) == pytest.approx(1.5, abs=0.15)


def test_caid_renews_its_multipliers_on_its_own_answers(bench: Open) -> None:
    b = bench(preferences=WEIGHTS, sample_pairs=3)
    policies = caid.policies(b, caid.Options(rounds=2, beta=0.5, pace=0.5))
    assert [policy.weights for policy in policies] == [(0.75, 0.25), (0.0, 1.0)]
    mixed, corner = b.notes["constraints"]
    assert (mixed["main"], corner["gains asked"]) == ("kind", {})
    asked = mixed["gains asked"]["brief"]
    frame = b.scored()
    z = (frame["brief"] - frame["brief"].mean()) / frame["brief"].std(ddof=0)
    gain = z.to_frame().with_columns(frame["prompt"]).group_by("prompt").max()["brief"].mean()
    assert asked == pytest.approx(0.25 * float(gain))  # type: ignore[arg-type]
    first, *later = mixed["rounds"]
    assert first["gains"] is None
    assert len(later) == 2
    for before, after in zip(mixed["rounds"], later, strict=False):
        (was,), (now,), (got,) = before["multipliers"], after["multipliers"], after["gains"]
        assert now == pytest.approx(max(0, was - 0.5 * (got - asked)))
    ((name, least),) = policies[0].least
    assert name == "brief"
    mean, deviation = frame["brief"].mean(), frame["brief"].std(ddof=0)
    assert least == pytest.approx(mean + asked * deviation)  # type: ignore[operator]
    assert policies[1].least == ()
    assert len(charged(b, "train")) == 6
    assert sum(tokens > 0 for _, _, tokens in charged(b, "generate")) == 4


def test_caid_trains_first_on_pairs_by_the_combined_score(bench: Open) -> None:
    b = bench(preferences=WEIGHTS)
    caid.policies(b, caid.Options(rounds=0))
    frame = b.scored().sort("prompt", maintain_order=True)
    z = [(frame[n] - frame[n].mean()) / frame[n].std(ddof=0) for n in b.names]
    multiplier = b.notes["constraints"][0]["rounds"][0]["multipliers"][0]
    expected = extreme_pairs(frame, (z[0] + multiplier * z[1]).to_numpy())
    folders = sorted((b.context.folder.folder / "pairs").iterdir())
    made = [pl.read_parquet(folder / "rows.parquet") for folder in folders]
    assert any(pairs.drop("gap").equals(expected.drop("gap")) for pairs in made)


@pytest.mark.parametrize("method", [mopo, caid], ids=["mopo", "caid"])
def test_the_budget_is_met(bench: Open, method: Any) -> None:
    more = {"rounds": 0} if method is caid else {}
    b = bench(Tokens(trained=4_000, generated=0), train__max_steps=1, preferences=WEIGHTS)
    method.policies(b, method.Options(**more))
    assert b.trained == pytest.approx(4_000, rel=0.05)


def test_caids_rounds_share_what_may_be_sampled(bench: Open) -> None:
    b = bench(Tokens(trained=6_000, generated=1_200), train__max_steps=1, preferences=WEIGHTS)
    caid.policies(b, caid.Options(rounds=1))
    assert b.trained == pytest.approx(6_000, rel=0.1)
    sampled = [tokens for _, _, tokens in charged(b, "generate") if tokens]
    assert len(sampled) >= 2
    assert 0.5 * 1_200 < b.generated < 1.3 * 1_200


def test_corners_of_pairs_are_summed(bench: Open) -> None:
    b = bench(preferences=WEIGHTS)
    policies = soups.policies(b, soups.Options(corners="dpo", beta=0.3, steps=2))
    first, second = (folder for folder, _ in policies[0].adapters)
    assert [weight for _, weight in policies[0].adapters] == [0.75, 0.25]
    assert policies[1].adapters == ((second, 1.0),)
    for adapter, name in ((first, "kind"), (second, "brief")):
        notes = notes_of(adapter)
        assert (notes["beta"], notes["weight"], notes["steps"]) == (0.3, 1.0, 2)
        frame = b.scored()
        assert any(
            training["pairs"] == len(extreme_pairs(frame, frame[name].to_numpy()))
            for training in b.notes["trainings"]
        )


def test_factors_may_be_averaged_in_place_of_updates(bench: Open) -> None:
    b = bench(preferences=WEIGHTS)
    apart = soups.policies(b, soups.Options(steps=2))
    mixed, corner = soups.policies(b, soups.Options(steps=2, average="factors"))
    assert corner == apart[1]
    ((folder, one),) = mixed.adapters
    assert one == 1
    parts = [(load_file(path / "adapter_model.safetensors"), w) for path, w in apart[0].adapters]
    made = load_file(folder / "adapter_model.safetensors")
    assert made.keys() == parts[0][0].keys()
    for name, tensor in made.items():
        expected = sum(w * part[name] for part, w in parts)
        torch.testing.assert_close(tensor, expected)
    base, _ = b.context.sampler()
    load_adapter(base, folder)
    assert soups.policies(b, soups.Options(steps=2, average="factors"))[0] == mixed
    assert mixed.folders == {folder for folder, _ in apart[0].adapters}, "what is stored"


def test_the_margin_of_modpo_is_scaled(bench: Open) -> None:
    b = bench(preferences=[[0.75, 0.25]])
    ((usual, _),) = modpo.policies(b, modpo.Options())[0].adapters
    ((less, _),) = modpo.policies(b, modpo.Options(margin=0.1))[0].adapters
    ((none, _),) = modpo.policies(b, modpo.Options(margin=0.0))[0].adapters
    assert len({usual, less, none}) == 3
    assert notes_of(usual)["train"]["learning_rate"] == 5e-4
    own = bench(preferences=[[0.75, 0.25]], pairs={"learning_rate": 0.25})
    ((folder, _),) = modpo.policies(own, modpo.Options())[0].adapters
    assert notes_of(folder)["train"]["learning_rate"] == 0.25


@pytest.mark.parametrize(
    ("method", "options", "facts"),
    [
        (pama, {}, {"weights", "credited"}),
        (pama, {"credit": "answer", "kl": 0.0}, {"weights", "credited"}),
        (moa, {"window": 2, "sharpness": 3.0}, {"weights", "pivot", "dropped"}),
    ],
    ids=["pama", "pama, answer", "moa"],
)
def test_one_model_without_a_preference(
    bench: Open, method: Any, options: dict[str, Any], facts: set[str]
) -> None:
    b = bench(preferences=WEIGHTS, reinforcement=REINFORCED)
    (policy,) = method.policies(b, method.Options(steps=3, **options))
    assert policy.weights is None
    adapter = policy.adapters[0][0]
    steps = log_of(adapter)
    assert [set(step["credit"]) for step in steps] == [facts] * 3
    assert all(sum(step["credit"]["weights"]) == pytest.approx(1) for step in steps)
    beta = notes_of(adapter)["settings"].get("beta", 0.0)
    assert beta == (options.get("kl", 0.2) if method is pama else 0.0)
    assert [per for per, *_ in charged(b, "train")] == ["once"]


def test_other_ways_to_credit_are_other_trainings(bench: Open) -> None:
    b = bench(preferences=WEIGHTS, reinforcement=REINFORCED)
    folders = {
        policy.adapters[0][0]
        for options in (pama.Options(steps=2), pama.Options(steps=2, credit="answer"))
        for policy in pama.policies(b, options)
    }
    folders |= {policy.adapters[0][0] for policy in moa.policies(b, moa.Options(steps=2))}
    folders |= {policy.adapters[0][0] for policy in morlhf.policies(b, morlhf.Options(steps=2))}
    each = morlhf.policies(b, morlhf.Options(steps=2, normalise="each", kl=0.1))
    folders |= {policy.adapters[0][0] for policy in each}
    assert len(folders) == 3 + 2 + 2
    settings = notes_of(each[0].adapters[0][0])["settings"]
    assert settings["multi_objective_aggregation"] == "normalize_then_sum"
    assert settings["beta"] == 0.1
    # Weights are in the order of the objectives, which is part of the key.
    kept = Manifest.read(each[0].adapters[0][0].parent).settings
    assert (kept["weights"], kept["names"]) == ([0.75, 0.25], ["kind", "brief"])
    assert "settings without effect" not in b.notes
    b = bench(preferences=WEIGHTS, reinforcement={**REINFORCED, "scale_rewards": "none"})
    pama.policies(b, pama.Options(steps=2))
    assert b.notes["settings without effect"] == ["reinforcement.scale_rewards"]


def test_one_policy_reads_the_preference(bench: Open) -> None:
    b = bench(preferences=WEIGHTS, reinforcement=REINFORCED)
    policies = moc.policies(b, moc.Options(steps=3, divisions=4))
    assert [policy.weights for policy in policies] == [(0.75, 0.25), (0.0, 1.0)]
    assert policies[0].system_prompt == "Weights: <kind> 0.75 <brief> 0.25"
    assert policies[0].adapters == policies[1].adapters
    assert [per for per, *_ in charged(b, "train")] == ["once"]
    steps = log_of(policies[0].adapters[0][0])
    assert all(sum(step["credit"]["weights"]) == pytest.approx(1) for step in steps)
    form = find_form(b.tokenizer())
    drawn = moc.Drawn(b.names, 4, seed=0, form=form)
    prompts = b.prompts()["prompt"].to_list()
    originals = drawn(prompts)
    assert set(originals.values()) == set(prompts)
    assert len(originals) > 2 * len(prompts), "the same prompt with several preferences"
    texts = [(weights_of(read), drawn.weights[read]) for read in originals]
    assert all(said == pytest.approx(w) for said, w in texts)
    # What is trained on is what the policy reads when it is asked.
    read, prompt = next(iter(originals.items()))
    text = moc.weights_text(b.names, drawn.weights[read])
    assert encode_prompts(b.tokenizer(), [read]) == encode_prompts(b.tokenizer(), [prompt], [text])
    # A template without system messages has it before what the user says.
    drawn = moc.Drawn(b.names, 4, seed=0, form=replace(form, system=False))
    read, prompt = next(iter(drawn([prompt]).items()))
    text = moc.weights_text(b.names, drawn.weights[read])
    assert messages(read) == [{"role": "user", "content": f"{text}\n\n{prompt}"}]


def weights_of(read: str) -> list[float]:
    numbers = re.search(r"<kind> ([0-9.]+) <brief> ([0-9.]+)", read)
    assert numbers is not None
    return [float(number) for number in numbers.groups()]


def test_a_network_mixes_adapters_for_each_preference(bench: Open) -> None:
    b = bench(preferences=WEIGHTS, selection__k=4)
    policies = psl.policies(b, psl.Options(steps=6, divisions=2, learning_rate=3e-2))
    folder = policies[0].adapters[0][0].parent
    for policy in policies:
        assert policy.weights is not None
        expected = coefficients(folder, policy.weights)
        assert [w for _, w in policy.adapters] == pytest.approx(expected)
        assert [path.name for path, _ in policy.adapters] == ["adapter-0", "adapter-1"]
    moved = coefficients(folder, (0.75, 0.25)) - [0.75, 0.25]
    assert np.abs(moved).max() > 1e-4, "it has learned"
    log = log_of(folder / "adapter-0")
    assert {tuple(step["weights"]) for step in log} <= {(1, 0), (0.5, 0.5), (0, 1)}
    assert len({tuple(step["weights"]) for step in log}) > 1
    base, _ = b.context.sampler()
    load_mixture(base, policies[0].adapters)
    three = psl.policies(b, psl.Options(steps=2, divisions=2, adapters=3))
    assert [len(policy.adapters) for policy in three] == [3, 3]


def test_a_network_keeps_to_a_budget(bench: Open) -> None:
    b = bench(Tokens(trained=4_000, generated=0), preferences=WEIGHTS, selection__k=4)
    psl.policies(b, psl.Options())
    assert b.trained == pytest.approx(4_000, rel=0.05)


def test_a_user_is_known_by_labelled_pairs_alone(bench: Open) -> None:
    b = bench(preferences=WEIGHTS)
    policies = npdpo.policies(b, npdpo.Options(steps=4, shown=2, learning_rate=3e-2))
    assert [policy.weights for policy in policies] == [(0.75, 0.25), (0.0, 1.0)]
    assert not any(policy.system_prompt for policy in policies)
    notes = notes_of(policies[0].adapters[0][0])
    for policy, found in zip(policies, notes["coefficients"], strict=True):
        assert [w for _, w in policy.adapters] == found
        assert sum(found) == pytest.approx(1)
    assert [per for per, *_ in charged(b, "train")] == ["once"]
    (cost,) = (cost for cost in b.costs if cost.phase == "train")
    assert cost.passed > cost.trained, "beside the reference, the base reads what is shown"
    again = npdpo.policies(b, npdpo.Options(steps=4, shown=2, learning_rate=3e-2))
    assert again == policies
    with pytest.raises(ValueError, match=r"the answers of \d+ prompts apart; a step needs 1"):
        npdpo.policies(b, npdpo.Options(shown=99))


def test_gains_are_over_the_mean_of_prompts(bench: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts with many answers count no more than others, in the dual and in what is promised."""
    b = bench(preferences=WEIGHTS)
    frame = b.scored()
    more = pl.concat([frame, frame.filter(pl.col("prompt") == frame["prompt"][0])] * 2)
    monkeypatch.setattr(caid, "answer_groups", lambda *_, **__: more)
    policies = caid.policies(b, caid.Options(rounds=0, reach=0.0))
    means = more.group_by("prompt").agg(pl.col("brief").mean())["brief"]
    ((_, least),) = policies[0].least
    assert least == pytest.approx(means.mean())
    assert least != pytest.approx(more["brief"].mean())


def test_an_objective_without_pairs_is_named(bench: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    for method, options in ((soups, {"corners": "dpo"}), (mahdpo, {})):
        b = bench(preferences=WEIGHTS)
        frame = b.scored().with_columns(brief=pl.col("brief").mean().over("prompt"))
        monkeypatch.setattr(method, "answer_groups", lambda *_, frame=frame, **__: frame)
        with pytest.raises(ValueError, match="objective 'brief': no prompt has two different"):
            method.policies(b, method.Options(**options))


def test_pairs_shown_and_learned_share_no_prompt() -> None:
    frame = pl.DataFrame(
        {"prompt": list("aabbccddee"), "response": [f"answer {i}" for i in range(10)]}
    )
    rng = np.random.default_rng(0)
    drawn = npdpo._pairs(frame, rng)
    scores = np.arange(20, dtype=np.float64).reshape(10, 2) % 7
    w = np.array([0.25, 0.75])
    step = npdpo._step(drawn, scores, w, 2, 3, rng)
    assert (len(step.shown), len(step.learned)) == (2, 3)
    shown, learned = (
        {frame["prompt"][row] for pair in part for row in pair}
        for part in (step.shown, step.learned)
    )
    assert not shown & learned
    assert all(scores[a] @ w >= scores[b] @ w for a, b in (*step.shown, *step.learned))
    # Answers that the user cannot tell apart are no pair, whichever comes first.
    equal = np.where(np.arange(10)[:, None] < 4, 1.0, scores)
    pairs = npdpo._labelled(drawn, equal, w, 3)
    assert all(equal[a] @ w > equal[b] @ w for a, b in pairs)
    with pytest.raises(ValueError, match=r"\(0.25, 0.75\) tells the answers of 3 prompts"):
        npdpo._labelled(drawn, equal, w, 4)
    one = pl.DataFrame({"prompt": ["a", "a"], "response": ["same", "same"]})
    assert len(npdpo._pairs(one, rng)) == 0


def test_a_reward_may_be_a_rule_of_0_or_1(bench: Open, parts: Path) -> None:
    kind = {"name": "kind", "model": str(parts / "kind")}
    rule = {"name": "kept", "scorer": "rule:regex", "options": {"pattern": "tea|dog|film"}}
    b = bench(objectives=[kind, rule], preferences=WEIGHTS)
    frame = b.scored()
    assert set(frame["kept"].unique()) == {0.0, 1.0}
    for method, options in (
        (mopo, {"tau": 0.3}),
        (caid, {"rounds": 0, "beta": 0.5}),
        (modpo, {}),
        (soups, {"corners": "dpo", "steps": 2}),
    ):
        assert len(method.policies(b, method.Options(**options))) == 2
    differing = frame.group_by("prompt").agg(pl.col("kept").n_unique() > 1)["kept"].sum()
    pairs = extreme_pairs(frame, frame["kept"].to_numpy())
    assert len(pairs) == differing, "pairs are only where two answers differ"


def test_what_is_out_of_reach_is_said_before_any_training(
    bench: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_reach(*given: Any, about: str, **more: Any) -> Any:
        if about == "preference (0.5, 0.5)":
            raise ValueError(f"{about}: no weighing of the answers is enough")
        return weighed(*given, about=about, **more)

    for method in (caid, mopo):
        b = bench(preferences=[[1.0, 0.0], [0.5, 0.5]])
        monkeypatch.setattr(method, "weighed", out_of_reach)
        with pytest.raises(ValueError, match="no weighing of the answers is enough"):
            method.policies(b, method.Options())
        assert charged(b, "train") == []


def test_sampled_answers_that_are_all_alike_are_no_groups(bench: Open) -> None:
    b = bench(preferences=WEIGHTS, generation__temperature=0)
    alike = b.scored().unique("prompt", maintain_order=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(b, "scored", lambda: alike)
        with pytest.raises(ValueError, match=r"are all alike, .*: raise generation\.temp"):
            answer_groups(b)


def test_rows_that_are_all_equally_good_are_no_choice(
    bench: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench(preferences=WEIGHTS, selection__k=4)
    constant = b.scored().with_columns(brief=pl.lit(0.0))
    monkeypatch.setattr(b, "scored", lambda: constant)
    with pytest.raises(ValueError, match="rows are equally good by brief: nothing tells which 4"):
        soups.policies(b, soups.Options())
    everything = best_rows(
        b, constant, constant["brief"], k=len(constant), per="once", by="brief", rank="all"
    )
    assert len(everything) == len(constant), "all are taken, in any order"

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from trl import GRPOTrainer

from helpers.counted_rewards import Counts, brief, vowels
from helpers.small_fit import CPU, LORA, Killed, weights
from helpers.small_sampling import sample
from helpers.tiny import sentences
from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.models import base
from paretohqd.models.adapters import load_adapter
from paretohqd.models.chat import encode_prompts, messages
from paretohqd.models.machine import Machine
from paretohqd.models.spec import Model
from paretohqd.trainers import grpo
from paretohqd.trainers.budget import Budget
from paretohqd.trainers.credit import Credited

pytestmark = pytest.mark.slow

SETTINGS = {
    "max_completion_length": 6,
    "learning_rate": 1e-2,
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1,
    "num_generations": 4,
}
PROMPTS = sentences()[:200:40]
CONSTANTS = {"vowels": (0.2, 0.1), "brief": (-12.0, 4.0)}


def load(causal: Path) -> tuple[Any, Any]:
    """The tiny model with larger embeddings: an adapter can then move its probabilities far."""
    model, tokenizer = base.load_base(Model(name=str(causal)), device="cpu", dtype=torch.float32)
    model.get_input_embeddings().weight.data.mul_(10)
    return model, tokenizer


def reinforce(causal: Path, out: Path, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "prompts": PROMPTS,
        "rewards": [vowels(), brief()],
        "weights": [1.0, 0.0],
        "settings": {},
        "lora": LORA,
        "machine": CPU,
        "constants": CONSTANTS,
    } | more
    if "steps" not in given and not {"trained_tokens", "generated_tokens"} & set(given):
        given["steps"] = 3
    given["settings"] = {**SETTINGS, **given["settings"]}
    rest = [given.pop(name) for name in ("prompts", "rewards", "weights")]
    return grpo.reinforce(*load(causal), *rest, out, **given)


def log(out: Path) -> list[dict[str, Any]]:
    recorded: list[dict[str, Any]] = json.loads((out / "log.json").read_text())
    return recorded


@pytest.fixture
def trainers(monkeypatch: pytest.MonkeyPatch) -> list[GRPOTrainer]:
    """Trainers that `reinforce` makes."""
    seen: list[GRPOTrainer] = []

    class Spy(grpo.ChatTrainer):  # type: ignore[misc]
        def train(self, *args: Any, **more: Any) -> Any:
            seen.append(self)
            return super().train(*args, **more)

    monkeypatch.setattr(grpo, "ChatTrainer", Spy)
    return seen


def test_the_reward_goes_up_and_the_log_says_how(causal: Path, tmp_path: Path) -> None:
    notes = reinforce(causal, tmp_path, steps=40)
    entries = log(tmp_path)
    assert [entry["step"] for entry in entries] == list(range(1, 41))
    result = [entry["rewards"]["vowels"]["mean"] for entry in entries]
    assert sum(result[-10:]) > 1.3 * sum(result[:10])
    # An adapter starts as the base itself; then it leaves it.
    assert abs(entries[0]["kl"]) < 1e-6
    assert all(entry["kl"] > 1e-4 for entry in entries[10:])
    for entry in entries:
        mean = entry["rewards"]["vowels"]["mean"]
        assert entry["reward"] == pytest.approx((mean - 0.2) / 0.1, abs=1e-4)
        assert entry["rewards"]["brief"]["mean"] < 0
        assert entry["rewards"]["brief"]["deviation"] > 0
        assert 0 < entry["length"] <= 6
        assert entry["entropy"] > 0
        assert entry["gated"] == 0
        assert min(entry["clipped"], entry["echo"], entry["no_signal"]) >= 0
        assert max(entry["clipped"], entry["echo"], entry["no_signal"]) <= 1
    last = entries[-1]
    counts = ("trained_tokens", "generated_tokens", "scored")
    assert {name: last[name] for name in counts} == {name: notes[name] for name in counts}
    assert (notes["steps"], notes["scored"]) == (40, 320)
    assert notes["constants"] == {name: list(pair) for name, pair in CONSTANTS.items()}
    assert (notes["weights"], notes["echo_gate"]) == ([1.0, 0.0], None)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter", "log.json"]


def test_the_adapter_alone_is_trained_and_can_be_loaded(causal: Path, tmp_path: Path) -> None:
    notes = reinforce(causal, tmp_path, lora={**LORA, "lora_dropout": 0.5})
    assert notes["lora"]["lora_dropout"] == 0, "answers are sampled in train mode"
    names = sorted(p.name for p in (tmp_path / "adapter").iterdir())
    assert names == ["adapter_config.json", "adapter_model.safetensors"]
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert all("lora_" in name and "ref" not in name for name in saved)
    assert all(bool(saved[name].abs().max() > 0) for name in saved if "lora_B" in name)
    assert notes["trainable_parameters"] == sum(tensor.numel() for tensor in saved.values())
    model, tokenizer = load(causal)
    drawn = {"max_new_tokens": 8, "temperature": 1.0, "top_p": 1.0}
    before = sample(model, tokenizer, PROMPTS, **drawn)
    after = sample(load_adapter(model, tmp_path / "adapter"), tokenizer, PROMPTS, **drawn)
    assert before["response"].to_list() != after["response"].to_list()


def test_the_same_seed_gives_the_same_bytes(causal: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.manual_seed(hash(name))
        reinforce(causal, tmp_path / name, seed=seed)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert log(tmp_path / "a") == log(tmp_path / "b")
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


def test_one_that_was_killed_starts_anew(causal: Path, tmp_path: Path) -> None:
    reinforce(causal, tmp_path / "whole")

    def die(done: int, total: int) -> None:
        if done == 2:
            raise Killed

    with pytest.raises(Killed):
        reinforce(causal, tmp_path / "killed", on_step=die)
    assert not (tmp_path / "killed" / "adapter").exists()
    reinforce(causal, tmp_path / "killed")
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    assert log(tmp_path / "killed") == log(tmp_path / "whole")


def test_watching_the_kl_does_not_change_a_bit(
    causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reinforce(causal, tmp_path / "watched", steps=5)
    monkeypatch.setattr(grpo, "WATCH", 0.0)
    reinforce(causal, tmp_path / "plain", steps=5)
    assert [entry["kl"] for entry in log(tmp_path / "plain")] == [None] * 5
    assert all(entry["kl"] is not None for entry in log(tmp_path / "watched"))
    assert weights(tmp_path / "plain") == weights(tmp_path / "watched")
    reinforce(causal, tmp_path / "held", steps=5, settings={"beta": 0.5})
    assert weights(tmp_path / "held") != weights(tmp_path / "watched"), "a given beta trains"


def test_a_reward_of_weight_0_has_no_influence(causal: Path, tmp_path: Path) -> None:
    reinforce(causal, tmp_path / "a")
    other = Counts("brief", lambda text: 1e3 * text.count("e"))
    reinforce(causal, tmp_path / "b", rewards=[vowels(), other])
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert log(tmp_path / "a")[0]["rewards"] != log(tmp_path / "b")[0]["rewards"]
    reinforce(causal, tmp_path / "c", weights=[0.5, 0.5])
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


def test_units_do_not_matter(causal: Path, tmp_path: Path) -> None:
    """A power of two, so that standardised values are the same to the last bit."""
    reinforce(causal, tmp_path / "a", weights=[0.5, 0.5])
    constants = CONSTANTS | {"brief": (-12.0 * 1024, 4.0 * 1024)}
    rewards = [vowels(), brief(1024.0)]
    reinforce(causal, tmp_path / "b", weights=[0.5, 0.5], rewards=rewards, constants=constants)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_prompts_are_taken_in_their_order(
    causal: Path, tmp_path: Path, trainers: list[GRPOTrainer]
) -> None:
    """Five prompts, two a step: the third step takes the last and the first."""
    reward = vowels()
    steps: list[tuple[int, int]] = []
    notes = reinforce(
        causal,
        tmp_path,
        rewards=[reward],
        weights=[1.0],
        steps=8,
        on_step=lambda *at: steps.append(at),
    )
    assert reward.prompts == [PROMPTS[i // 4 % 5] for i in range(64)]
    assert steps == [(step, 8) for step in range(1, 9)]
    # TRL's own count of the tokens that were trained on.
    assert notes["trained_tokens"] == trainers[0].state.num_input_tokens_seen
    lengths = [len(ids) for ids in encode_prompts(trainers[0].processing_class, reward.prompts)]
    assert notes["trained_tokens"] - notes["generated_tokens"] == sum(lengths)


def test_accumulation_makes_no_difference_to_what_is_counted(
    causal: Path, tmp_path: Path, trainers: list[GRPOTrainer]
) -> None:
    reward = vowels()
    parts = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    notes = reinforce(causal, tmp_path, rewards=[reward], weights=[1.0], settings=parts)
    assert (notes["steps"], notes["scored"], len(log(tmp_path))) == (3, 24, 3)
    assert reward.prompts == [PROMPTS[i // 4 % 5] for i in range(24)]
    assert notes["trained_tokens"] == trainers[0].state.num_input_tokens_seen
    assert abs(log(tmp_path)[0]["kl"]) < 1e-6


@pytest.mark.parametrize("name", ["trained_tokens", "generated_tokens"])
def test_a_budget_of_tokens_is_met_within_half_a_step(
    causal: Path, tmp_path: Path, name: str
) -> None:
    reinforce(causal, tmp_path / "long", steps=7)
    reached = [entry[name] for entry in log(tmp_path / "long")]
    half = math.ceil((reached[2] - reached[1]) / 2)
    limits = [reached[2], reached[2] + 1, reached[2] + half - 1, reached[2] + half]
    for number, limit in enumerate(limits):
        out = tmp_path / str(number)
        totals: list[int] = []

        def step(done: int, total: int, totals: list[int] = totals) -> None:
            totals.append(total)

        notes = reinforce(causal, out, **{name: limit}, on_step=step)
        sizes = np.diff([0, *reached])[: notes["steps"]]
        # Steps differ a little in size: half of the last one is a guess at half of the next.
        assert abs(notes[name] - limit) <= max(sizes) - min(sizes) / 2
        assert log(out) == log(tmp_path / "long")[: notes["steps"]], "the budget only stops"
        assert (len(totals), totals[-1]) == (notes["steps"], notes["steps"])
        assert notes["steps"] == (4 if number == 3 else 3)
    both = {"trained_tokens": 10**6, "generated_tokens": 10**6, name: reached[1]}
    assert reinforce(causal, tmp_path / "both", **both)["steps"] == 2, "the first one met holds"
    assert reinforce(causal, tmp_path / "few", steps=1, **both)["steps"] == 1


def test_a_budget_too_small_for_a_step(causal: Path, tmp_path: Path) -> None:
    whole = 8 * 6
    with pytest.raises(ValueError, match=rf"^generated_tokens=23 is less than half .* {whole} "):
        reinforce(causal, tmp_path, generated_tokens=23)
    with pytest.raises(ValueError, match=r"^trained_tokens=0 is less than half of one step"):
        reinforce(causal, tmp_path, trained_tokens=0, generated_tokens=10**6)
    with pytest.raises(ValueError, match=r"^steps=0: at least one step"):
        reinforce(causal, tmp_path, steps=0)
    assert not list(tmp_path.iterdir())
    assert reinforce(causal, tmp_path, generated_tokens=24)["steps"] == 1


def test_the_budget_stops_at_the_nearest_step() -> None:
    budget = Budget(tokens={"trained_tokens": 100})
    reached = [{"trained_tokens": total} for total in (40, 80, 120)]
    assert [budget.left(reached[:n]) for n in (1, 2, 3)] == [2, 1, 0]
    assert Budget(tokens={"trained_tokens": 99}).left(reached[:2]) == 0
    assert Budget(steps=3, tokens={"trained_tokens": 10**9}).left(reached[:2]) == 1
    assert Budget(steps=3, tokens={"trained_tokens": 100}).most(8) == 3
    assert Budget(tokens={"trained_tokens": 100, "generated_tokens": 40}).most(8) == 6


def test_without_steps_or_a_budget_there_are_as_many_as_usual(
    causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "STEPS", 2)
    assert reinforce(causal, tmp_path, steps=None)["steps"] == 2


def test_what_the_gate_stops_alike_trains_nothing(
    causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "paretohqd.trainers.rollouts.word_overlap", lambda prompts, responses: np.ones(len(prompts))
    )
    reinforce(causal, tmp_path, echo_gate=0.5)
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert not any(bool(saved[name].any()) for name in saved if "lora_B" in name)
    assert [(e["gated"], e["reward"], e["no_signal"]) for e in log(tmp_path)] == [(1, -3, 1)] * 3


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_not_finite(causal: Path, tmp_path: Path, value: float) -> None:
    bad = Counts("brief", lambda text: value)
    with pytest.raises(ValueError, match=r"^reward 'brief' gave 8 score\(s\) that are not finite"):
        reinforce(causal, tmp_path, rewards=[vowels(), bad])
    assert not (tmp_path / "adapter").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prompts": []}, r"^no prompts to train on"),
        ({"rewards": [], "weights": []}, r"^no rewards to train on"),
        ({"rewards": [brief(), brief()]}, r"^two rewards are called brief: give each its own"),
        ({"weights": [1.0]}, r"^weights: one finite number for each of vowels, brief,.* \[1.0\]"),
        ({"weights": [0.0, 0.0]}, r"^weights: .*not all 0"),
        ({"weights": [1.0, float("nan")]}, r"^weights: one finite number"),
        ({"constants": {"vowels": (0, 1)}}, r"^constants: none for reward 'brief'"),
        ({"constants": CONSTANTS | {"brief": (0.0, 0.0)}}, r"^constants: reward 'brief' .*above 0"),
        ({"constants": CONSTANTS | {"brief": (float("nan"), 1.0)}}, r"^constants: .*be finite"),
        ({"prompts": ["Hi", "tea " * 1200]}, r"^1 of 2 prompts leave no room for 6 new tokens"),
        (
            {"trained_tokens": 10**4, "settings": {"lr_scheduler_type": "linear"}},
            r"^grpo\.lr_scheduler_type: linear needs to know the number of steps",
        ),
    ],
)
def test_bad_input(causal: Path, tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reinforce(causal, tmp_path, **given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", grpo.KIND.keys.own)
def test_settings_that_the_run_decides(key: str) -> None:
    with pytest.raises(ValueError, match=f"^grpo.{key} is set by the run itself: leave it out"):
        grpo.check_settings({"learning_rate": 1e-4, key: 1}, {})


@pytest.mark.parametrize(
    ("given", "lora", "message"),
    [
        ({"learning_rat": 1}, {}, "unknown key rl.learning_rat: did you mean learning_rate?"),
        ({"num_generation": 1}, {}, "unknown key rl.num_generation: did you mean num_generations?"),
        ({"beta": "high"}, {}, "rl.beta: expected a number"),
        ({}, {"lora_alfa": 1}, "unknown key lora.lora_alfa: did you mean lora_alpha?"),
    ],
)
def test_misspelt_settings(given: dict[str, Any], lora: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        grpo.check_settings(given, lora, "rl")


def test_settings_arrive_as_they_are(
    causal: Path, tmp_path: Path, trainers: list[GRPOTrainer]
) -> None:
    given = {
        "learning_rate": 0.25,
        "scale_rewards": "batch",
        "multi_objective_aggregation": "normalize_then_sum",
        "beta": 0.125,
        "temperature": 0.5,
        "num_generations": 2,
    }
    grpo.check_settings(given, LORA)
    notes = reinforce(causal, tmp_path, settings=given, steps=1, seed=5)
    arguments = trainers[0].args
    assert {key: getattr(arguments, key) for key in given} == given
    assert (arguments.seed, arguments.use_cpu, arguments.bf16) == (5, True, False)
    assert arguments.report_to == []
    assert trainers[0].reward_weights.tolist() == [1, 0]
    assert notes["settings"]["learning_rate"] == 0.25
    assert (notes["lora"]["r"], notes["lora"]["lora_alpha"]) == (4, 8)


def test_without_settings_the_small_scale_values_are_in_force(
    causal: Path, tmp_path: Path, trainers: list[GRPOTrainer]
) -> None:
    notes = grpo.reinforce(
        *load(causal),
        PROMPTS,
        [vowels()],
        [1.0],
        tmp_path,
        machine=CPU,
        settings={},
        lora={},
        constants=CONSTANTS,
        steps=1,
    )
    arguments = trainers[0].args
    assert notes["scored"] == 16
    assert (arguments.num_generations, arguments.max_completion_length) == (4, 32)
    assert (arguments.learning_rate, str(arguments.lr_scheduler_type.value)) == (3e-4, "constant")
    assert (arguments.loss_type, arguments.scale_rewards) == ("dapo", "group")
    assert arguments.multi_objective_aggregation == "sum_then_normalize"
    assert (arguments.temperature, arguments.top_p, arguments.num_iterations) == (1, 1, 1)
    assert not arguments.activation_checkpointing
    assert not arguments.mask_truncated_completions
    adapter = trainers[0].model.peft_config["default"]
    assert (adapter.r, adapter.lora_alpha, adapter.lora_dropout) == (64, 128, 0)
    assert list(trainers[0].model.peft_config) == ["default"], "no copy as a reference"


def test_bfloat16_trains(causal: Path, tmp_path: Path, trainers: list[GRPOTrainer]) -> None:
    machine = Machine(device="cpu", bfloat16=True, threads=1)
    reinforce(causal, tmp_path, machine=machine)
    assert trainers[0].args.bf16 is True
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32}
    assert any(bool(saved[name].any()) for name in saved if "lora_B" in name)


def test_a_training_that_diverges_keeps_nothing(causal: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the training diverged, and nothing of it is kept"):
        reinforce(causal, tmp_path, settings={"learning_rate": 1e30}, steps=4)
    assert not (tmp_path / "adapter").exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"top_k": 3},
        {"min_p": 0.3},
        {"repetition_penalty": 2.0},
        {"top_entropy_quantile": 0.5},
        {"entropy_coef": 0.5},
        {"scale_rewards": "none"},
        {"optim": "sgd"},
        {"max_grad_norm": 1e-3},
    ],
    ids=str,
)
def test_a_setting_changes_what_is_trained(
    causal: Path, tmp_path: Path, changed: dict[str, Any]
) -> None:
    for name, settings in (("plain", {}), ("changed", changed)):
        reinforce(causal, tmp_path / name, settings=settings, weights=[0.5, 0.5], steps=2)
    assert weights(tmp_path / "plain") != weights(tmp_path / "changed")


def test_other_advantages_are_those_that_train(causal: Path, tmp_path: Path) -> None:
    """Standardised rewards come in groups; what is given back is what the loss multiplies by."""
    given: list[np.ndarray] = []
    used: list[torch.Tensor] = []

    def credit(rewards: np.ndarray, group: int, prompts: Sequence[str]) -> Credited:
        assert group == 4
        assert [prompts[i] == prompts[i + 1] for i in range(7)] == [True] * 3 + [False] + [True] * 3
        given.append(rewards)
        return Credited(np.arange(len(rewards)) / 10, {"answers": len(rewards)})

    class Spy(grpo.ChatTrainer):  # type: ignore[misc]
        def _compute_loss(self, model: Any, inputs: Any) -> Any:
            used.append(inputs["advantages"].clone())
            return super()._compute_loss(model, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grpo, "ChatTrainer", Spy)
        reinforce(causal, tmp_path / "own", credit=credit)
    reinforce(causal, tmp_path / "usual")
    steps = log(tmp_path / "own")
    assert [step["credit"] for step in steps] == [{"answers": 8}] * 3
    assert all("credit" not in step for step in log(tmp_path / "usual"))
    for step, rewards in zip(steps, given, strict=True):
        for at, (name, (mean, deviation)) in enumerate(CONSTANTS.items()):
            raw = rewards[:, at] * deviation + mean
            assert raw.mean() == pytest.approx(step["rewards"][name]["mean"])
    expected = torch.arange(8) / 10
    for advantages in used:
        assert advantages.sort().values.allclose(expected), "TRL shuffles the answers afterwards"
    assert weights(tmp_path / "own") != weights(tmp_path / "usual")


def test_each_reward_is_standardised_in_its_group_and_their_sum_over_the_batch(
    causal: Path, tmp_path: Path
) -> None:
    """GDPO's advantages against their formula."""
    rewards: list[np.ndarray] = []
    used: list[torch.Tensor] = []

    class Spy(grpo.ChatTrainer):  # type: ignore[misc]
        def _generate_and_score_completions(self, inputs: Any) -> Any:
            output = super()._generate_and_score_completions(inputs)
            rewards.append(self.rollouts.standard.copy())
            used.append(output["advantages"].clone())
            return output

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grpo, "ChatTrainer", Spy)
        reinforce(
            causal,
            tmp_path / "run",
            weights=[0.3, 0.7],
            settings={"multi_objective_aggregation": "normalize_then_sum"},
        )
    for standard, advantages in zip(rewards, used, strict=True):
        by_prompt = standard.reshape(-1, 4, 2)
        apart = by_prompt - by_prompt.mean(axis=1, keepdims=True)
        each = apart / (by_prompt.std(axis=1, ddof=1, keepdims=True) + 1e-4)
        summed = (each @ [0.3, 0.7]).ravel()
        expected = (summed - summed.mean()) / (summed.std(ddof=1) + 1e-4)
        np.testing.assert_allclose(advantages.numpy(), expected, atol=1e-5)


def test_rewards_do_not_see_what_only_the_model_is_to_read(causal: Path, tmp_path: Path) -> None:
    read = [
        write_prompt(messages(prompt, system_prompt=f"Be {number}."))
        for number, prompt in enumerate(PROMPTS)
    ]
    asked: list[str] = []
    seen: list[str] = []

    def credit(rewards: np.ndarray, group: int, prompts: Sequence[str]) -> Credited:
        asked.extend(prompts)
        return Credited(np.zeros(len(rewards)), {})

    class Seen(type(vowels())):  # type: ignore[misc]
        def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Any:
            seen.extend(prompts)
            return super().score(prompts, responses)

    reward = vowels()
    reward.__class__ = Seen
    reinforce(
        causal,
        tmp_path,
        prompts=read,
        rewards=[reward],
        weights=[1.0],
        credit=credit,
        originals=dict(zip(read, PROMPTS, strict=True)),
    )
    assert set(asked) <= set(read)
    assert set(seen) <= set(PROMPTS)
    assert len(set(asked)) == len(set(seen)) >= 2

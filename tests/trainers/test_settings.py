"""Each setting of the trainers and of the adapter is followed, or refused by its name."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load

from helpers.small_fit import Load, fit, weights
from paretohqd.models.adapter_keys import LORA
from paretohqd.models.adapter_settings import check_lora, check_modules
from paretohqd.models.adapters import load_adapter
from paretohqd.models.setting_rules import Keys
from paretohqd.models.spec import Model
from paretohqd.trainers import dpo, grpo, ham, sft
from paretohqd.trainers.settings import CPU, Kind, merged

KINDS = {
    "sft": sft.KIND,
    "dpo": dpo.KIND,
    "grpo": grpo.KIND,
    "joint": ham.KIND,
}

EXAMPLES: dict[str, Any] = {
    "learning_rate": 0.5,
    "lr_scheduler_type": "cosine",
    "lr_scheduler_kwargs": {"num_cycles": 1},
    "warmup_steps": 3,
    "weight_decay": 0.25,
    "adam_beta1": 0.5,
    "adam_beta2": 0.75,
    "adam_epsilon": 1e-3,
    "max_grad_norm": 0.5,
    "per_device_train_batch_size": 16,
    "gradient_accumulation_steps": 2,
    "activation_checkpointing": True,
    "gradient_checkpointing": True,
    "torch_empty_cache_steps": 2,
    "optim": "sgd",
    "pad_to_multiple_of": 8,
    "average_tokens_across_devices": False,
    "ddp_find_unused_parameters": True,
    "report_to": "none",
    "run_name": "a name",
    "max_steps": 7,
    "num_train_epochs": 2.5,
    "logging_strategy": "epoch",
    "logging_steps": 5,
    "logging_first_step": True,
    "save_strategy": "steps",
    "save_steps": 5,
    "save_total_limit": 2,
    "dataloader_num_workers": 1,
    "dataloader_pin_memory": False,
    "dataloader_persistent_workers": True,
    "dataloader_prefetch_factor": 3,
    "dataloader_in_order": False,
    "dataloader_drop_last": True,
    "max_length": 77,
    "loss_type": "dft",
    "label_smoothing_factor": 0.25,
    "neftune_noise_alpha": 5.0,
    "packing": True,
    "packing_strategy": "wrapped",
    "train_sampling_strategy": "sequential",
    "disable_dropout": False,
    "precompute_ref_batch_size": 3,
    "num_generations": 2,
    "max_completion_length": 9,
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 5,
    "min_p": 0.25,
    "repetition_penalty": 1.5,
    "beta": 0.25,
    "importance_sampling_level": "sequence",
    "scale_rewards": "batch",
    "multi_objective_aggregation": "normalize_then_sum",
    "top_entropy_quantile": 0.5,
    "entropy_coef": 0.25,
}
"""A value of each followed key that is not its default."""

TOGETHER: dict[str, dict[str, Any]] = {
    "lr_scheduler_kwargs": {"lr_scheduler_type": "cosine_with_restarts"},
    "dataloader_persistent_workers": {"dataloader_num_workers": 1},
    "dataloader_prefetch_factor": {"dataloader_num_workers": 1},
    "packing": {"packing_strategy": "wrapped"},
    "packing_strategy": {"packing": True},
    "warmup_steps": {"lr_scheduler_type": "linear"},
}
"""What a key needs beside it to have its effect."""


def pairs_of(group: str) -> list[Any]:
    """(kind, key) for each key of a group, as parameters of a test."""
    return [
        pytest.param(kind, key, id=f"{name}-{key}")
        for name, kind in KINDS.items()
        for key in getattr(kind.keys, group)
    ]


@pytest.mark.parametrize(
    ("config", "keys"),
    [*((kind.config, kind.keys) for kind in KINDS.values()), (LoraConfig, LORA)],
    ids=[*KINDS, "lora"],
)
def test_every_key_of_the_installed_versions_is_judged_once(config: type, keys: Keys) -> None:
    judged = [*keys.followed, *keys.own, *keys.refused, *keys.unsafe]
    assert sorted(judged) == sorted(f.name for f in fields(config) if f.init)


@pytest.mark.parametrize(("kind", "key"), pairs_of("followed"))
def test_what_is_followed_arrives(kind: Kind, key: str) -> None:
    value = "bnpo" if key == "loss_type" and kind is KINDS["grpo"] else EXAMPLES[key]
    given = {key: value, **TOGETHER.get(key, {})}
    kind.check(given, "train")
    kind.try_out(given, "train")
    arguments = kind.build(kind.merged(given), CPU, "train", output_dir="there")
    assert getattr(arguments, key) in (value, [] if value == "none" else value)
    if key not in ("report_to", "dataloader_pin_memory"):  # pinned for GPUs alone
        assert getattr(kind.build(kind.defaults, CPU, "train", output_dir="there"), key) != value


@pytest.mark.parametrize(("kind", "key"), pairs_of("refused"))
def test_what_is_refused_is_named(kind: Kind, key: str) -> None:
    with pytest.raises(ValueError, match=rf"^train\.{key} is not followed \(.+\): leave it out$"):
        kind.check({key: "another"}, "train")


@pytest.mark.parametrize(("kind", "key"), pairs_of("refused") + pairs_of("unsafe"))
def test_the_default_of_what_is_refused_may_be_stated(kind: Kind, key: str) -> None:
    (field,) = [f for f in fields(kind.config) if f.name == key]
    default = field.default_factory() if field.default is MISSING else field.default
    if key not in TOGETHER:
        kind.check({key: kind.defaults.get(key, default)}, "train")


@pytest.mark.parametrize("key", LORA.refused)
def test_what_an_adapter_cannot_have_is_named(key: str) -> None:
    with pytest.raises(ValueError, match=rf"^lora\.{key} is not followed \(.+\): leave it out$"):
        check_lora({key: "another"})


@pytest.mark.parametrize("key", LORA.own)
def test_what_the_run_says_of_an_adapter(key: str) -> None:
    with pytest.raises(ValueError, match=rf"^lora\.{key} is set by the run itself"):
        check_lora({key: "another"})


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"per_device_train_batch_size": 0}, "a whole number from 1 on, got 0"),
        ({"per_device_train_batch_size": 1.0}, "a whole number, got 1.0"),
        ({"per_device_train_batch_size": True}, "a whole number, got True"),
        ({"max_steps": 0}, "a whole number from 1 on, or -1, got 0"),
        ({"num_train_epochs": 0}, "a number above 0, got 0"),
        ({"num_train_epochs": float("inf")}, "a number above 0, got inf"),
        ({"learning_rate": -1e-4}, "a number from 0 on, got -0.0001"),
        ({"learning_rate": float("nan")}, "a number from 0 on, got nan"),
        ({"learning_rate": "1e-4"}, "a number, got '1e-4'"),
        ({"learning_rate": None}, "a number, got None"),
        ({"max_grad_norm": -1}, "a number from 0 on, got -1"),
        ({"adam_beta2": 1.0}, "a number from 0 and below 1, got 1.0"),
        ({"warmup_steps": 2.5}, "got 2.5"),
        ({"logging_steps": 0}, "got 0"),
        ({"max_length": 0}, "a whole number or null from 1 on, got 0"),
        ({"optim": "adamw_tourch"}, "one of adamw_torch, .*, got 'adamw_tourch'"),
        ({"optim": "adamw_bnb_8bit"}, r"got 'adamw_bnb_8bit' \(others need packages"),
        ({"lr_scheduler_type": "cosin"}, "one of linear, .*, got 'cosin'"),
        ({"lr_scheduler_type": "reduce_lr_on_plateau"}, r"\(others need rows to evaluate on\)"),
        ({"lr_scheduler_kwargs": "{}"}, "a section or null, got '{}'"),
        ({"save_strategy": "best"}, "one of steps, epoch, no, got 'best'"),
        ({"packing_strategy": "bfd", "packing": True}, "wrapped, got 'bfd'"),
        ({"loss_type": "chunked_nll"}, "one of nll, dft, got"),
        ({"report_to": "nobody"}, r"none or tensorboard, .*, got 'nobody' \(others send"),
        ({"pad_to_multiple_of": 0}, "a whole number, auto or null from 1 on, got 0"),
    ],
    ids=str,
)
def test_values_that_a_key_cannot_have(train: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^train\.{next(iter(train))}: expected .*{message}"):
        sft.check_settings(train, {})


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"max_steps": 5, "num_train_epochs": 1}, "num_train_epochs: max_steps is given too"),
        ({"lr_scheduler_type": "constant", "warmup_steps": 2}, "warmup_steps: constant has no"),
        (
            {"lr_scheduler_type": "constant", "lr_scheduler_kwargs": {"x": 1}},
            "lr_scheduler_kwargs: constant takes none",
        ),
        (
            {"lr_scheduler_type": "cosine", "lr_scheduler_kwargs": {"min_lrr": 1}},
            "lr_scheduler_kwargs: .*min_lrr",
        ),
        ({"lr_scheduler_type": "cosine_with_min_lr"}, "lr_scheduler_kwargs: .*min_lr"),
        (
            {
                "lr_scheduler_type": "polynomial",
                "lr_scheduler_kwargs": {"power": "linear"},
                "warmup_steps": 5,
            },
            "lr_scheduler_kwargs: ",
        ),
        (
            {"gradient_checkpointing": True, "activation_checkpointing": False},
            "gradient_checkpointing: activation_checkpointing says otherwise",
        ),
        ({"dataloader_prefetch_factor": 2}, "dataloader_prefetch_factor: needs"),
        ({"dataloader_persistent_workers": True}, "dataloader_persistent_workers: needs"),
        ({"packing": True}, "packing: set packing_strategy: wrapped"),
        ({"packing_strategy": "wrapped"}, "packing_strategy: has no effect without"),
        ({"loss_type": "dft", "label_smoothing_factor": 0.1}, "label_smoothing_factor: has no"),
        ({"report_to": ["none", "tensorboard"]}, "report_to: none is not installed"),
    ],
    ids=str,
)
def test_settings_that_contradict_each_other(train: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^train\.{message}"):
        sft.check_settings(train, {})


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        ({"r": 0}, "r: expected a whole number from 1 on, got 0"),
        ({"r": "8"}, "r: expected a whole number, got '8'"),
        ({"lora_alpha": 0}, "lora_alpha: expected a number above 0"),
        ({"lora_dropout": 1}, "lora_dropout: expected a number from 0 and below 1, got 1"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights: .*'pissa' .*change the base"),
        ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights: .*change the base"),
        ({"init_lora_weights": "orthogonal"}, "init_lora_weights: .*do not start as the base"),
        ({"init_lora_weights": False}, "init_lora_weights: .*do not start as the base"),
        ({"task_type": "SEQ_CLS"}, "task_type: expected CAUSAL_LM, got"),
        ({"target_modules": []}, "target_modules: expected a module's name"),
        ({"target_modules": "q_proj("}, "target_modules: .* valid pattern"),
        ({"rank_pattern": {"q_proj": 0}}, "rank_pattern: expected a section"),
        ({"alpha_pattern": {"q_proj": "8"}}, "alpha_pattern: expected a section"),
        ({"layers_to_transform": [0]}, "layers_to_transform.*target_modules"),
    ],
    ids=str,
)
def test_values_that_an_adapter_cannot_have(lora: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^lora.*{message}"):
        check_lora(lora)


def test_epochs_take_the_place_of_the_default_steps(
    load: Load, rows: pl.DataFrame, tmp_path: Path
) -> None:
    model, tokenizer = load()
    train = {"num_train_epochs": 1, "per_device_train_batch_size": 5, "learning_rate": 1e-2}
    facts = sft.fit(model, tokenizer, rows, tmp_path, machine=CPU, train=train, lora={"r": 2})
    assert facts["steps"] == 3, "12 rows of 5"
    assert "max_steps" not in facts["train"]


def test_the_length_of_a_second_stage_is_its_own() -> None:
    assert merged({"max_steps": 20}, {"num_train_epochs": 2}) == {"num_train_epochs": 2}
    assert merged({"num_train_epochs": 2}, {"max_steps": 20}) == {"max_steps": 20}
    assert merged({"max_steps": 20}, {"learning_rate": 1}) == {"max_steps": 20, "learning_rate": 1}


# ── effects ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, causal: Path, rows: pl.DataFrame) -> bytes:
    """The adapter of the settings that each other is held against."""
    return weights(fitted(causal, rows, tmp_path_factory.mktemp("plain"), {}))


def fitted(causal: Path, rows: pl.DataFrame, out: Path, train: dict[str, Any]) -> Path:
    from paretohqd.models import base as models

    def one() -> Any:
        spec = Model(name=str(causal))
        return models.load_base(spec, device="cpu", dtype=torch.float32)

    # Dropout is off, or the order of random numbers would decide.
    fit(one, rows, out, train=train, lora={"r": 4, "lora_dropout": 0.0})
    return out


@pytest.mark.parametrize(
    "train",
    [
        {"optim": "sgd"},
        {"optim": "adafactor"},
        {"lr_scheduler_type": "cosine"},
        {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 5e-3}},
        {"warmup_steps": 2},
        {"weight_decay": 0.5},
        {"adam_beta1": 0.5},
        {"adam_epsilon": 1.0},
        {"max_grad_norm": 1e-3},
        {"gradient_accumulation_steps": 2},
        {"per_device_train_batch_size": 3},
        {"neftune_noise_alpha": 5.0},
        {"loss_type": "dft"},
        {"label_smoothing_factor": 0.25},
        {"train_sampling_strategy": "sequential"},
        {"train_sampling_strategy": "group_by_length"},
        {"packing": True, "packing_strategy": "wrapped", "max_length": 64},
        {"max_steps": -1, "num_train_epochs": 0.25},
    ],
    ids=str,
)
def test_a_setting_changes_what_is_trained(
    causal: Path, rows: pl.DataFrame, plain: bytes, tmp_path: Path, train: dict[str, Any]
) -> None:
    assert weights(fitted(causal, rows, tmp_path, train)) != plain


@pytest.mark.parametrize(
    "train",
    [
        {"dataloader_num_workers": 1},
        {"dataloader_pin_memory": False},
        {"logging_steps": 2},
        {"logging_strategy": "no"},
        {"torch_empty_cache_steps": 1},
        {"save_strategy": "steps", "save_steps": 1},
    ],
    ids=str,
)
def test_a_setting_changes_nothing_that_is_trained(
    causal: Path, rows: pl.DataFrame, plain: bytes, tmp_path: Path, train: dict[str, Any]
) -> None:
    assert weights(fitted(causal, rows, tmp_path, train)) == plain


@pytest.mark.parametrize("name", ["activation_checkpointing", "gradient_checkpointing"])
def test_activations_that_are_computed_again_round_otherwise(
    causal: Path, rows: pl.DataFrame, plain: bytes, tmp_path: Path, name: str
) -> None:
    """Rows are padded then, and no more differs than products of other shapes do."""
    before, now = load(plain), load(weights(fitted(causal, rows, tmp_path, {name: True})))
    assert before.keys() == now.keys()
    for key, weight in before.items():
        torch.testing.assert_close(now[key], weight, rtol=1e-4, atol=1e-6)


def test_a_last_batch_that_is_left_out_must_not_be_all(
    load: Load, rows: pl.DataFrame, tmp_path: Path
) -> None:
    train = {"per_device_train_batch_size": 50, "dataloader_drop_last": True}
    with pytest.raises(ValueError, match="only 0 of 3 steps were trained"):
        fit(load, rows, tmp_path, train=train)
    assert not (tmp_path / "adapter").exists()


# ── adapters ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "lora",
    [
        {"init_lora_weights": "gaussian"},
        {"use_rslora": True},
        {"use_dora": True},
        {"target_modules": ["q_proj", "v_proj"], "layers_to_transform": [1]},
        {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"layers.0.self_attn.v_proj": 3}},
        {"exclude_modules": ["up_proj"]},
    ],
    ids=str,
)
def test_an_adapter_starts_as_the_base_and_leaves_it_alone(
    load: Load, rows: pl.DataFrame, tmp_path: Path, lora: dict[str, Any]
) -> None:
    base, _ = load()
    before = {name: weight.clone() for name, weight in base.named_parameters()}
    ids = torch.tensor([[5, 9, 20, 33, 7]])
    with torch.no_grad():
        logits = base(input_ids=ids).logits
    fit(load, rows, tmp_path / "still", train={"learning_rate": 0.0}, lora={"r": 4, **lora})
    tuned = load_adapter(base, tmp_path / "still" / "adapter")
    with torch.no_grad():
        assert torch.allclose(tuned(input_ids=ids).logits, logits, atol=1e-5)
    model, tokenizer = load()
    sft.fit(
        model,
        tokenizer,
        rows,
        tmp_path / "moved",
        machine=CPU,
        train={"max_steps": 2, "learning_rate": 1e-2},
        lora={"r": 4, **lora},
    )
    after = {n.replace(".base_layer", ""): w for n, w in model.named_parameters()}
    for name, weight in before.items():
        assert torch.equal(after[name], weight), name


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        ({"target_modules": ["q_proj", "qkv"]}, r"target_modules: 'qkv' matches no module: .*q_pr"),
        ({"target_modules": "qkv"}, "target_modules: 'qkv' matches no module"),
        ({"target_modules": ["all-linear"]}, "target_modules: 'all-linear' matches no module"),
        ({"target_modules": ["lm_head"]}, "target_modules: 'lm_head' matches lm_head, which is no"),
        ({"target_modules": ["embed_tokens"]}, "'embed_tokens' matches model.embed_tokens, which"),
        ({"target_modules": ["self_attn"]}, "'self_attn' matches .*self_attn, which is no linear"),
        ({"exclude_modules": ["qkv"]}, "exclude_modules: 'qkv' excludes no module"),
        (
            {"target_modules": ["q_proj"], "exclude_modules": ["q_proj"]},
            "no module is left to train",
        ),
        (
            {"target_modules": ["q_proj"], "layers_to_transform": [0, 9]},
            "layers_to_transform: the model has no layer 9",
        ),
        ({"rank_pattern": {"qkv": 2}}, "rank_pattern: 'qkv' matches no module"),
        (
            {"target_modules": ["q_proj"], "alpha_pattern": {"v_proj": 2}},
            "alpha_pattern: 'v_proj' matches no module",
        ),
    ],
    ids=str,
)
def test_an_adapter_that_would_not_be_where_it_is_asked_for(
    load: Load, lora: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=rf"^lora.*{message}"):
        check_modules(load()[0], lora)


@pytest.mark.parametrize(
    "lora",
    [
        {},
        {"target_modules": "ALL-LINEAR"},
        {"target_modules": r".*\.(q|v)_proj"},
        {"target_modules": ["q_proj"], "layers_to_transform": 1},
        {"target_modules": ["model.layers.0.self_attn.q_proj"]},
        {"exclude_modules": ["q_proj", "v_proj"]},
        {"rank_pattern": {r"layers\.0\..*": 2}},
    ],
    ids=str,
)
def test_an_adapter_that_is_where_it_is_asked_for(load: Load, lora: dict[str, Any]) -> None:
    check_modules(load()[0], lora)

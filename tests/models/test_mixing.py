from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from paretohqd.models import base as models
from paretohqd.models.adapters import load_mixture
from paretohqd.models.spec import Model

IDS = torch.arange(40).reshape(2, 20)


def load(causal: Path) -> Any:
    return models.load_base(Model(name=str(causal)), device="cpu", dtype=torch.float32)[0]


def adapter(causal: Path, folder: Path, seed: int, **more: Any) -> Path:
    torch.manual_seed(seed)
    settings = {"r": 4, "lora_alpha": 12, "lora_dropout": 0.3, "target_modules": "all-linear"}
    wrapped = get_peft_model(
        load(causal), LoraConfig(**{**settings, "task_type": "CAUSAL_LM", **more})
    )
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    wrapped.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapters(causal: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("mixing")
    return [adapter(causal, folder / f"{seed}", seed) for seed in range(3)]


def deltas(causal: Path, folder: Path) -> dict[str, torch.Tensor]:
    """What an adapter adds to each weight."""
    from peft import PeftModel

    base = {n: p.detach().clone() for n, p in load(causal).named_parameters()}
    merged = PeftModel.from_pretrained(load(causal), str(folder)).merge_and_unload()
    return {n: p.detach() - base[n] for n, p in merged.named_parameters()}


@pytest.mark.parametrize("weights", [(0.25, 0.75, 0.0), (0.2, 0.3, 0.5), (0.5, 0.0, 0.0)])
def test_a_mixture_is_the_weighted_sum_of_what_the_adapters_add(
    causal: Path, adapters: list[Path], weights: tuple[float, ...]
) -> None:
    mixed = load_mixture(load(causal), list(zip(adapters, weights, strict=True)))
    assert not any(module.training for module in mixed.modules())
    assert len(mixed.peft_config) == 1, "the parts are let go"
    plain = load(causal)
    parts = [deltas(causal, folder) for folder in adapters]
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            parameter += sum(w * part[name] for w, part in zip(weights, parts, strict=True))
        expected, result = plain(IDS).logits, mixed(IDS).logits
        without = load(causal)(IDS).logits
    assert (result - expected).abs().max() < 1e-5
    assert (result - without).abs().max() > 1e-2, "the adapters change something"


def test_mixtures_follow_each_other_on_one_base(causal: Path, adapters: list[Path]) -> None:
    model = load(causal)
    results = []
    for weights in ((0.3, 0.7), (1.0, 0.0), (0.3, 0.7)):
        model = load_mixture(model, list(zip(adapters, weights, strict=False)))
        with torch.no_grad():
            results.append(model(IDS).logits)
    assert torch.equal(results[0], results[2])
    assert not torch.equal(results[0], results[1])


@pytest.mark.parametrize(
    "more",
    [
        {"rank_pattern": {"q_proj": 2}},
        {"alpha_pattern": {"layers.0.self_attn.v_proj": 30}},
        {"rank_pattern": {"q_proj": 9}, "alpha_pattern": {"q_proj": 3}},
        {"target_modules": ["q_proj"], "layers_to_transform": [1]},
    ],
    ids=str,
)
def test_sums_of_uneven_adapters_are_exact(
    causal: Path, tmp_path: Path, more: dict[str, Any]
) -> None:
    folders = [adapter(causal, tmp_path / f"{seed}", seed, **more) for seed in range(2)]
    mixed = load_mixture(load(causal), [(folders[0], 0.3), (folders[1], 0.7)])
    plain = load(causal)
    parts = [deltas(causal, folder) for folder in folders]
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            parameter += 0.3 * parts[0][name] + 0.7 * parts[1][name]
        assert (mixed(IDS).logits - plain(IDS).logits).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"init_lora_weights": "pissa"}, "init_lora_weights: 'pissa', .*change the base"),
        ({"init_lora_weights": "olora"}, "init_lora_weights: 'olora', .*change the base"),
        ({"bias": "all"}, "bias: 'all'"),
        ({"modules_to_save": ["lm_head"]}, r"modules_to_save: \['lm_head'\]"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"layer_replication": [[0, 2], [0, 2]]}, "layer_replication"),
    ],
    ids=str,
)
def test_adapters_of_others_that_would_change_the_base_are_refused(
    causal: Path, adapters: list[Path], tmp_path: Path, more: dict[str, Any], message: str
) -> None:
    foreign = adapter(causal, tmp_path / "foreign", 7, **more)
    for parts in ([(foreign, 1.0)], [(adapters[0], 0.5), (foreign, 0.5)]):
        base = load(causal)
        before = {name: p.clone() for name, p in base.named_parameters()}
        with pytest.raises(ValueError, match=f"foreign: trained with lora.{message}"):
            load_mixture(base, parts)
        for name, parameter in base.named_parameters():
            plain = name.removeprefix("base_model.model.").replace(".base_layer", "")
            assert "lora" in name or torch.equal(parameter, before[plain]), name


def test_a_folder_without_an_adapter(causal: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no adapter"):
        load_mixture(load(causal), [(tmp_path, 1.0)])


def test_sums_that_would_be_wrong_are_refused(
    causal: Path, adapters: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="at least one adapter"):
        load_mixture(load(causal), [(adapters[0], 0.0)])
    scaled = adapter(causal, tmp_path / "rslora", 5, use_rslora=True)
    with pytest.raises(ValueError, match="use_rslora"):
        load_mixture(load(causal), [(scaled, 0.5), (adapters[0], 0.5)])

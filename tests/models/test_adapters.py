from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from paretohqd.models import base as models
from paretohqd.models.adapters import load_adapter, load_mixture, put_adapter
from paretohqd.models.spec import Model

IDS = torch.arange(3, 83).reshape(1, 80)
DTYPES = [torch.float32, torch.bfloat16]


def load(causal: Path, dtype: torch.dtype = torch.float32) -> Any:
    return models.load_base(Model(name=str(causal)), device="cpu", dtype=dtype)[0]


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


def save(causal: Path, folder: Path, *, std: float, seed: int = 0) -> Path:
    """An adapter whose B matrices have this deviation: 0 changes nothing."""
    torch.manual_seed(seed)
    settings = {"r": 4, "lora_alpha": 12, "target_modules": ["q_proj", "down_proj"]}
    wrapped = get_peft_model(load(causal), LoraConfig(**settings, task_type="CAUSAL_LM"))
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=std)
    wrapped.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def zero(causal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(causal, tmp_path_factory.mktemp("adapters") / "zero", std=0.0)


@pytest.fixture(scope="module")
def other(causal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(causal, tmp_path_factory.mktemp("adapters") / "other", std=0.1, seed=1)


def held(model: Any) -> dict[str, torch.dtype]:
    """Number formats of all that is the base's own, by name."""
    own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    names = {
        name: name.replace(".base_layer", "").removeprefix("base_model.model.") for name in own
    }
    return {names[name]: value.dtype for name, value in own.items() if "lora_" not in name}


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_adapter_of_zeros_changes_no_bit(
    causal: Path, zero: Path, other: Path, dtype: torch.dtype
) -> None:
    base = load(causal, dtype)
    # Some architectures keep weights in float32, such as those of routers.
    base.model.router = torch.nn.Linear(2, 2)
    plain, formats = logits(base), held(base)
    assert formats["model.rotary_emb.inv_freq"] == formats["model.router.weight"] == torch.float32
    model = load_adapter(base, zero)
    assert torch.equal(logits(model), plain)
    assert held(model) == formats
    model = load_mixture(model, [(zero, 0.5), (zero, 0.25)])
    assert torch.equal(logits(model), plain)
    assert held(model) == formats
    changed = logits(load_mixture(model, [(zero, 0.5), (other, 0.5)]))
    assert not torch.equal(changed, plain), "another adapter does change something"


def test_sampling_computes_what_training_does(causal: Path, other: Path) -> None:
    """float32 weights under autocast, as they are trained, and bfloat16 ones, as they sample."""
    trained = put_adapter(
        load(causal, torch.bfloat16), other, "default", trainable=True, exact=True
    ).eval()
    weights = [p for p in trained.parameters() if p.requires_grad]
    assert {p.dtype for p in weights} == {torch.float32}
    with torch.autocast("cpu", torch.bfloat16):
        expected = logits(trained)
    assert torch.equal(logits(load_adapter(load(causal, torch.bfloat16), other)), expected)


def test_a_sum_is_rounded_once(causal: Path, other: Path) -> None:
    exact = load_mixture(load(causal), [(other, 0.3), (other, 0.6)])
    rounded = load_mixture(load(causal, torch.bfloat16), [(other, 0.3), (other, 0.6)])
    result = dict(rounded.named_parameters())
    names = [name for name in result if "lora_" in name]
    assert names
    for name, value in exact.named_parameters():
        if name in names:
            assert torch.equal(result[name], value.bfloat16())


def test_adapters_are_read_onto_the_device_of_their_base(
    causal: Path, zero: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where there is a GPU, which PEFT would choose by itself."""
    seen = []
    read = peft.peft_model.load_peft_weights

    def watched(folder: str, device: str, **more: Any) -> Any:
        seen.append(device)
        return read(folder, device=device, **more)

    monkeypatch.setattr(peft.peft_model, "load_peft_weights", watched)
    monkeypatch.setattr(peft.peft_model, "infer_device", lambda: "cuda")
    model = load_adapter(load(causal), zero)
    model = load_adapter(model, other)
    load_mixture(model, [(zero, 0.5), (other, 0.5)])
    put_adapter(load(causal), zero, "default", trainable=True, exact=True)
    assert len(seen) == 6
    assert set(seen) == {"cpu"}


def test_an_adapter_of_another_base_is_refused(causal: Path, zero: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(zero, tmp_path / "adapter"))
    file = folder / "adapter_model.safetensors"
    weights = load_file(file)
    dropped = sorted(weights)[:2]
    save_file({k: v for k, v in weights.items() if k not in dropped}, file)
    for base in (load(causal), load_adapter(load(causal), zero)):
        with pytest.raises(ValueError, match="2 weights are missing and 0 have no place"):
            load_adapter(base, folder)
    save_file(weights | {"base_model.model.model.layers.9.x.lora_A.weight": torch.ones(1)}, file)
    with pytest.raises(ValueError, match="0 weights are missing and 1 have no place"):
        load_adapter(load(causal), folder)
    save_file({k: v[:, :-1].contiguous() for k, v in weights.items()}, file)
    with pytest.raises(ValueError, match=r"adapter .*cannot be put on this base: .*size mismatch"):
        load_adapter(load(causal), folder)
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"adapter .*cannot be put on this base"):
        load_adapter(load(causal), folder)
    save_file(weights | {"base_model.model.model.embed_tokens.weight": torch.ones(2, 2)}, file)
    with pytest.raises(ValueError, match="its file holds weights of the base too"):
        load_adapter(load(causal), folder)
    with pytest.raises(ValueError, match=r"none: holds no adapter"):
        put_adapter(load(causal), tmp_path / "none", "default")


def test_a_refused_adapter_is_taken_off_again(causal: Path, zero: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(zero, tmp_path / "adapter"))
    file = folder / "adapter_model.safetensors"
    bad = load_file(file)
    first = min(bad)
    bad[first] = torch.full_like(bad[first], torch.nan)
    save_file(bad, file)
    bare, carrying = load(causal), load_adapter(load(causal), zero)
    names, expected = sorted(dict(bare.named_modules())), logits(bare)
    for _ in range(2):  # the second time it would have been found there
        for base in (bare, carrying):
            with pytest.raises(ValueError, match="is not finite"):
                load_adapter(base, folder)
    assert sorted(dict(bare.named_modules())) == names
    assert torch.equal(logits(bare), expected)
    assert torch.equal(logits(carrying), expected)
    assert len(carrying.peft_config) == 1

"""How a base is loaded: `model.kwargs`, judged; quantized bases are trained and sampled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from helpers.small_run import mapping
from paretohqd.models import loading
from paretohqd.models.base import identity, load_base
from paretohqd.models.spec import Kwargs, Model
from paretohqd.runs import config
from paretohqd.runs.config_reader import from_mapping


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"trust_remote_code": True}, "unknown key model.kwargs.trust_remote_code"),
        ({"torch_dtype": "bfloat16"}, "unknown key model.kwargs.torch_dtype: did you mean dtype"),
        ({"dtype": "float8"}, "model.kwargs.dtype: expected one of float32, bfloat16, float16"),
        ({"quantization": "gptq"}, "model.kwargs.quantization: expected one of nf4, fp4, int8"),
        ({"device_map": {"": 0}}, "model.kwargs.device_map: expected one of auto"),
        ({"attn_implementation": "someone/kernel"}, "attn_implementation: expected one of eager"),
        ("bfloat16", "model.kwargs: expected a section"),
    ],
)
def test_what_is_not_judged_is_refused(given: Any, words: str, parts: Path) -> None:
    chosen = mapping(parts, "run", model__kwargs=given)
    with pytest.raises(ValueError, match=words.replace(".", r"\.")):
        from_mapping(config.Config, chosen)


def test_what_cannot_be_followed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    loading.check(None, processes=8)
    loading.check(Kwargs(dtype="bfloat16", attn_implementation="sdpa"), processes=8)
    with pytest.raises(ValueError, match="device_map: 8 processes hold a whole base each"):
        loading.check(Kwargs(device_map="auto"), processes=8)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="flash_attention_2 needs a GPU: take sdpa"):
        loading.check(Kwargs(attn_implementation="flash_attention_2"))
    monkeypatch.setattr(loading.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'paretohqd\[quantized\]'"):
        loading.check(Kwargs(quantization="nf4"))


def test_what_the_library_is_told() -> None:
    told = loading.options(Kwargs(quantization="nf4"), device="cuda", dtype=torch.bfloat16)
    assert told["device_map"] == {"": "cuda"}
    quantized = told["quantization_config"].to_dict()
    assert quantized["load_in_4bit"]
    assert quantized["bnb_4bit_quant_type"] == "nf4"
    assert quantized["bnb_4bit_compute_dtype"] == "bfloat16"
    told = loading.options(
        Kwargs(dtype="float16", device_map="auto", attn_implementation="eager"),
        device="cuda",
        dtype=torch.bfloat16,
    )
    assert told == {
        "dtype": torch.float16,
        "attn_implementation": "eager",
        "device_map": "auto",
    }
    assert loading.options(None, device="cpu", dtype=torch.float32) == {"dtype": torch.float32}


def test_a_base_is_another_where_its_numbers_are(causal: Path) -> None:
    plain = identity(Model(name=str(causal)))
    spread = identity(Model(name=str(causal), kwargs=Kwargs(device_map="auto")))
    halves = identity(Model(name=str(causal), kwargs=Kwargs(quantization="nf4")))
    assert plain == spread == identity(Model(name=str(causal), kwargs=Kwargs()))
    assert halves["kwargs"] == {"quantization": "nf4"}
    model, _ = load_base(
        Model(name=str(causal), kwargs=Kwargs(dtype="bfloat16", attn_implementation="eager")),
        device="cpu",
        dtype=torch.float32,
    )
    assert model.dtype == torch.bfloat16
    assert model.config._attn_implementation == "eager"


@pytest.fixture(scope="module")
def wide(causal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model whose rows hold blocks of 64 weights, as bitsandbytes rounds them together."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("wide")
    given = LlamaConfig.from_pretrained(causal).to_dict()
    config = LlamaConfig(**{**given, "hidden_size": 128, "intermediate_size": 256, "head_dim": 32})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(causal).save_pretrained(folder)
    return folder


QUANTIZED = Path(sys.prefix) / "quantized"
"""Where the tests' environment has bitsandbytes, apart from the other packages."""


def trained(folder: Path, parts: Path, **more: Any) -> Path:
    """A run of one stage in a process of its own."""
    folder.mkdir()
    chosen = mapping(parts, "run", preferences=2, stages=1, train__max_steps=12, **more)
    (folder / "run.yaml").write_text(json.dumps(chosen))
    path = os.pathsep.join([str(QUANTIZED), os.environ.get("PYTHONPATH", "")])
    made = subprocess.run(
        [sys.executable, "-m", "paretohqd", "run", "run.yaml", "--run-folder", "out"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return folder / "out"


def losses(run: Path) -> list[float]:
    return [step["loss"] for step in json.loads((run / "stage1/fit/00/log.json").read_text())]


@pytest.mark.slow
def test_a_quantized_base_is_trained_and_sampled(wide: Path, parts: Path, tmp_path: Path) -> None:
    """QLoRA from one setting; the adapters are held in float32, whatever the base is held in."""
    if not QUANTIZED.is_dir():
        pytest.skip(f"{QUANTIZED.name}/ is made by `make .venv/dev`")
    plain = losses(trained(tmp_path / "plain", parts, model={"name": str(wide)}))
    for how in ("nf4", "int8"):
        model = {"name": str(wide), "kwargs": {"quantization": how}}
        run = trained(tmp_path / how, parts, model=model)
        files = sorted(run.glob("stage1/fit/*/adapter/*.safetensors"))
        weights = [load_file(file) for file in files]
        assert {w.dtype for each in weights for w in each.values()} == {torch.float32}
        assert all(float(w.abs().sum()) > 0 for each in weights for w in each.values())
        rounded = losses(run)
        assert rounded[-1] < rounded[0]
        assert 0 < abs(rounded[0] - plain[0]) < 0.05 * plain[0], "rounded, and still this model"
        texts = {tuple(pl.read_parquet(path)["response"]) for path in run.glob("answers/*/*.pa*")}
        assert len(texts) == 3, "base and two models answer each in their own way"

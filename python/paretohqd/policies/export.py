"""A run's model as a folder that others can load: an adapter, or a whole model, with its card."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from paretohqd.frames.new_files import copy_new, write_new
from paretohqd.frames.writing import write_text
from paretohqd.models import base
from paretohqd.models.adapters import CONFIG, WEIGHTS, load_mixture
from paretohqd.models.base_names import without_places
from paretohqd.models.chat import stop_tokens
from paretohqd.models.library_calls import tied_on_purpose, without_bars
from paretohqd.policies.card import base_facts, model_card
from paretohqd.policies.loaded import Policy

CARD = "README.md"
CONVERTER = "convert_hf_to_gguf.py"
"""llama.cpp's program that makes a GGUF file of a model's folder."""
SHARD = "2GB"
"""How large a file of weights may be."""


def export_adapter(policy: Policy, folder: str | Path) -> Path:
    """Write a policy as one adapter with a card.

    Of a trained preference these are the run's own files; of a sum of neighbours an adapter whose
    update is that sum, with the ranks of all of them together.

    Args:
        policy: A policy of a finished run.
        folder: A new folder, or an empty one.

    Returns:
        The folder: adapter_model.safetensors, adapter_config.json and README.md.

    Raises:
        ValueError: Something lies in the folder.
    """
    out = empty_folder(folder)
    finished = policy.run.finished
    if policy.parts.exact:
        source = finished.adapters[policy.parts.places[0]]
        for name in (WEIGHTS, CONFIG):
            copy_new(source / name, out / name)
    else:
        with policy.run.lock, without_bars(), tempfile.TemporaryDirectory() as place:
            model, _ = policy.run.model(policy.parts)
            name = str(model.active_adapter)
            with tied_on_purpose():
                model.save_pretrained(place, selected_adapters=[name], save_embedding_layers=False)
            made = Path(place) / name
            without_places(made, model)
            for file in (WEIGHTS, CONFIG):
                copy_new(made / file, out / file)
    facts = base_facts(policy.run.spec)
    named = {"base_model_name_or_path": facts["name"], "revision": facts["revision"]}
    saved = json.loads((out / CONFIG).read_text(encoding="utf-8")) | named
    write_text(out / CONFIG, json.dumps(saved, indent=2, sort_keys=True))
    write_new(out / CARD, model_card(policy, merged=False))
    return out


def export_merged(policy: Policy, folder: str | Path) -> Path:
    """Write a policy as a whole model: weights, tokenizer with its template, and a card.

    The update is added in float32, and the weights are written in the number format of the base's
    own files. What is sampled by default is what the run samples.

    Args:
        policy: A policy of a finished run.
        folder: A new folder, or an empty one.

    Returns:
        The folder, which transformers loads.

    Raises:
        ValueError: Something lies in the folder.
    """
    out = empty_folder(folder)
    finished = policy.run.finished
    model, tokenizer = base.load_base(policy.run.spec, device="cpu", dtype=torch.float32)
    ends = stop_tokens(model, tokenizer)
    kept = getattr(base.load_config(policy.run.spec), "dtype", None)
    adapters = [
        (finished.adapters[place], share)
        for place, share in zip(policy.parts.places, policy.parts.shares, strict=True)
    ]
    with without_bars():
        whole: Any = load_mixture(model, adapters).merge_and_unload()
        if isinstance(kept, torch.dtype):
            _cast(whole, kept)
        spec = finished.generation
        whole.generation_config = GenerationConfig(
            do_sample=spec.temperature > 0,
            **({"temperature": spec.temperature, "top_p": spec.top_p} if spec.temperature else {}),
            max_new_tokens=spec.max_new_tokens,
            eos_token_id=ends,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
        )
        whole.config._name_or_path = ""
        whole.save_pretrained(out, max_shard_size=SHARD)
        tokenizer.save_pretrained(out)
    write_new(out / CARD, model_card(policy, merged=True))
    return out


def _cast(model: Any, dtype: torch.dtype) -> None:
    """Round a model's weights, but for those that its architecture keeps in float32."""
    names = ("_keep_in_fp32_modules", "_keep_in_fp32_modules_strict")
    whole = [part for name in names for part in getattr(model, name, None) or ()]
    for name, weight in model.named_parameters():
        if not any(part in name for part in whole):
            weight.data = weight.data.to(dtype)
    model.config.dtype = dtype


def export_gguf(model: str | Path, file: str | Path) -> Path:
    """Make a GGUF file of a merged model, by llama.cpp's own converter.

    Args:
        model: What `export_merged` wrote.
        file: The file to write; it must not be there.

    Raises:
        ValueError: The converter is not installed, the file is there, or the converter fails.
    """
    converter, file = shutil.which(CONVERTER), Path(file)
    if converter is None:
        raise ValueError(
            f"gguf: {CONVERTER} of llama.cpp is not on the PATH: put it there, or convert the "
            "folder of --merged with it later"
        )
    if file.exists():
        raise ValueError(f"{file} is there already: name another file or remove it")
    done = subprocess.run(
        [converter, str(model), "--outfile", str(file)], capture_output=True, text=True, check=False
    )
    if done.returncode or not file.is_file():
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise ValueError(f"gguf: {CONVERTER} failed: {' '.join(last) or 'it wrote no file'}")
    return file


def empty_folder(folder: str | Path) -> Path:
    """A folder to write into."""
    out = Path(folder)
    if out.is_dir() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty: name another folder")
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is no folder: name another one")
    out.mkdir(parents=True, exist_ok=True)
    return out

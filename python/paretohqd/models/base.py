"""Loading base models: their configuration, tokenizer and weights, and what tells them apart.

A base is a hub name, a folder, a GGUF file (unpacked once into a cache) or the embedded model.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    GgufConfig,
)

from paretohqd.frames.hashes import hash_path
from paretohqd.models import cache, chat, checkpoints, consent, embedded, hub, loading
from paretohqd.models.decoding import check_reading
from paretohqd.models.names import EMBEDDED, absolute, is_local
from paretohqd.models.spec import Model
from paretohqd.models.template_files import template_text


def load_base(spec: Model, *, device: str, dtype: torch.dtype) -> tuple[Any, Any]:
    """Load a base model and its tokenizer.

    Returns:
        The model in eval mode on `device`, and a left-padding tokenizer with a pad token and a
        chat template.

    Raises:
        ValueError: No such model, a tokenizer without a chat template when none is given, or a
            template that leaves texts out, fails, or writes something else every time.
    """
    tokenizer, origin = load_tokenizer(spec), find_base(spec)
    load_config(spec)
    how = loading.options(spec.kwargs, device=device, dtype=dtype)
    with hub.loading(spec.name):
        model, report = AutoModelForCausalLM.from_pretrained(
            origin.place, output_loading_info=True, **how, **origin.weights
        )
    checkpoints.check_weights(spec.name, model, report)
    example = chat.encode_example(tokenizer)
    checkpoints.check_vocabulary(spec.name, tokenizer, model, example)
    ends = model.generation_config.eos_token_id
    if "device_map" not in how:
        model = model.to(device)
    model.eval()
    check_reading(spec.name, model, example, tokenizer.pad_token_id)
    # Penalties and the like that a checkpoint ships would act on what is sampled here, unsaid.
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=ends,
        pad_token_id=tokenizer.pad_token_id,
    )
    return model, tokenizer


def load_config(spec: Model) -> Any:
    """Load the configuration alone, and refuse what is no causal language model of text."""
    origin = find_base(spec)
    with hub.loading(spec.name):
        config = AutoConfig.from_pretrained(origin.place, **origin.code)
    checkpoints.check_decoder(spec.name, config)
    return config


def load_tokenizer(spec: Model) -> Any:
    """Load the tokenizer alone; see `load_base`.

    Where its template writes the day, that is `spec.date`, or today for good.
    """
    origin = find_base(spec)
    with hub.loading(spec.name):
        tokenizer = AutoTokenizer.from_pretrained(origin.place, **origin.code)
    if spec.chat_template is not None:
        tokenizer.chat_template = _template(spec)
    if tokenizer.chat_template is None:
        raise ValueError(
            f"model {spec.name}: its tokenizer has no chat template: set model.chat_template"
        )
    try:
        template = chat.named_template(tokenizer.chat_template)
        tokenizer.chat_template = chat.with_date(template, _day(spec))
        chat.check_template(tokenizer)
    except ValueError as error:
        raise ValueError(f"model {spec.name}: {error}") from error
    if tokenizer.eos_token is None:
        raise ValueError(f"model {spec.name}: its tokenizer has no end-of-text token")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer


def _day(spec: Model) -> datetime.date:
    if spec.date is None:
        return datetime.date.today()
    try:
        return datetime.date.fromisoformat(spec.date)
    except ValueError:
        raise ValueError(f"date: expected a day as YYYY-MM-DD, got {spec.date!r}") from None


def check_trainable(spec: Model) -> chat.Form:
    """Refuse a base that no answers could be trained with, before its weights are loaded.

    Returns:
        What its template writes around an answer.

    Raises:
        ValueError: As `load_tokenizer` and `chat.check_trainable`.
    """
    tokenizer, origin = load_tokenizer(spec), find_base(spec)
    with hub.loading(spec.name):
        config = AutoConfig.from_pretrained(origin.place, **origin.code)
        try:
            generation = GenerationConfig.from_pretrained(origin.place, **origin.files)
        except OSError:  # none is stored: transformers makes one of the model's configuration
            generation = GenerationConfig.from_model_config(config)
    try:
        chat.check_trainable(tokenizer, chat.stop_ids(tokenizer, generation.eos_token_id))
    except ValueError as error:
        raise ValueError(f"model {spec.name}: {error}") from error
    return chat.find_form(tokenizer)


def dated(spec: Model) -> Model:
    """With today for the day that its chat template writes, if it writes one and none is given."""
    if spec.date is not None:
        return spec
    template = _template(spec)
    if template is None:
        origin = find_base(spec)
        with hub.loading(spec.name):
            template = AutoTokenizer.from_pretrained(origin.place, **origin.code).chat_template
    if template is None or not chat.needs_date(chat.named_template(template)):
        return spec
    return replace(spec, date=datetime.date.today().isoformat())


def skeleton(spec: Model) -> Any:
    """The base model without weights: its modules and their names."""
    config, origin = load_config(spec), find_base(spec)
    with hub.loading(spec.name), torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, trust_remote_code=origin.trusted)


def context_length(spec: Model) -> int:
    """Tokens that the model can attend to, see `chat.context_tokens`; no weights are loaded."""
    return chat.context_tokens(load_config(spec))


def find_base(spec: Model) -> hub.Origin:
    """Where the files come from: see `hub.find`; of a GGUF file the folder it was unpacked to."""
    if spec.name == EMBEDDED:
        return hub.Origin(spec.name, str(unpack_gguf(embedded.model_file(), embedded.MODEL_SHA256)))
    if is_local(spec.name) and spec.name.endswith(".gguf"):
        return hub.Origin(spec.name, str(unpack_gguf(Path(absolute(spec.name)))))
    return hub.find(spec.name, spec.revision)


def pinned(spec: Model) -> Model:
    """With the commit for the revision where it is a name on the hub."""
    if spec.name == EMBEDDED or is_local(spec.name):
        return spec
    return replace(spec, revision=hub.find_commit(spec.name, spec.revision))


def unpack_gguf(file: Path, sha256: str | None = None) -> Path:
    """Convert a GGUF file to a folder of plain weights, once: later calls find it in `cache`.

    Args:
        file: The GGUF file.
        sha256: The hash that its content must have, where that is known.

    Raises:
        ValueError: No such file, another content, or as `cache.unpacked`.
    """
    if not file.is_file():
        raise ValueError(f"model {file}: no such file")
    content = hash_path(file)
    if sha256 not in (None, content):
        raise ValueError(
            f"model {file}: its content is not what was published (SHA-256 {content}, expected "
            f"{sha256}): install the package anew"
        )
    return cache.unpacked(file, content, lambda folder: _convert(file, folder))


def _convert(file: Path, folder: Path) -> None:
    """Write the model and the tokenizer of a GGUF file into a folder."""
    source = {"gguf_file": file.name, "trust_remote_code": False}
    # The conversion draws a bar that no setting of transformers turns off.
    with hub.loading(file), contextlib.redirect_stderr(io.StringIO()):
        model, report = AutoModelForCausalLM.from_pretrained(
            str(file.parent),
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.float32,
            output_loading_info=True,
            **source,
        )
        checkpoints.check_weights(file, model, report)
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(str(file.parent), **source).save_pretrained(folder)


def identity(spec: Model, content: Callable[[Path], str] = hash_path) -> dict[str, Any]:
    """What tells one base model from another: content where it is local, else its name.

    Args:
        spec: The base.
        content: As for `fingerprint`.
    """
    template = _template(spec)
    if template is not None:
        # Its text may be anything, and what stages write down is for others to read.
        template = f"sha256:{hashlib.sha256(template.encode()).hexdigest()}"
    facts: dict[str, Any] = {
        "name": spec.name,
        "revision": spec.revision,
        "chat_template": template,
    }
    if spec.date is not None:
        facts["date"] = spec.date
    if spec.name == EMBEDDED or spec.name.endswith(".gguf"):
        # The name has the file's hash; unpacking it anew changes nothing.
        facts["name"] = Path(find_base(spec).place).name
    elif is_local(spec.name):
        facts["name"] = "local"
        facts["content"] = fingerprint(Path(absolute(spec.name)), content)
    if consent.current().names(spec.name):
        facts["own_code"] = True
    if spec.kwargs is not None:  # where layers lie changes no number
        changed = {k: v for k, v in spec.kwargs.given().items() if k != "device_map"}
        facts |= {"kwargs": changed} if changed else {}
    return facts


def _template(spec: Model) -> str | None:
    """The text of the chat template that the configuration gives, itself or in a file."""
    if spec.chat_template is None:
        return None
    return template_text(spec.chat_template)


def fingerprint(folder: Path, content: Callable[[Path], str] = hash_path) -> str:
    """Hash of all that is in a folder: a copy of it elsewhere has the same.

    Args:
        folder: A model's.
        content: Hash of a file, perhaps remembered from an earlier call.
    """
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    marks = (f"{path.relative_to(folder)}:{content(path)}" for path in files)
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()

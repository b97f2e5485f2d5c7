"""Loading base models: their configuration, tokenizer and weights, and what tells them apart.

A base is a hub name, a folder, a GGUF file (unpacked once into a cache) or the embedded model.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import io
import os
import shutil
import tempfile
import time
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
from paretohqd.models import chat, checkpoints, embedded
from paretohqd.models.decoding import check_reading
from paretohqd.models.library_calls import one_line_errors, without_bars
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
    tokenizer, folder = load_tokenizer(spec), base_folder(spec)
    load_config(spec)
    with one_line_errors(spec.name), without_bars():
        model, report = AutoModelForCausalLM.from_pretrained(
            folder, revision=spec.revision or "main", dtype=dtype, output_loading_info=True
        )
    checkpoints.check_weights(spec.name, model, report)
    example = chat.encode_example(tokenizer)
    checkpoints.check_vocabulary(spec.name, tokenizer, model, example)
    ends = model.generation_config.eos_token_id
    model = model.to(device).eval()
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
    with one_line_errors(spec.name), without_bars():
        config = AutoConfig.from_pretrained(base_folder(spec), revision=spec.revision or "main")
    checkpoints.check_decoder(spec.name, config)
    return config


def load_tokenizer(spec: Model) -> Any:
    """Load the tokenizer alone; see `load_base`.

    Where its template writes the day, that is `spec.date`, or today for good.
    """
    folder = base_folder(spec)
    with one_line_errors(spec.name), without_bars():
        tokenizer = AutoTokenizer.from_pretrained(folder, revision=spec.revision or "main")
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
    tokenizer, folder, revision = load_tokenizer(spec), base_folder(spec), spec.revision or "main"
    with one_line_errors(spec.name), without_bars():
        config = AutoConfig.from_pretrained(folder, revision=revision)
        try:
            generation = GenerationConfig.from_pretrained(folder, revision=revision)
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
        with one_line_errors(spec.name), without_bars():
            template = AutoTokenizer.from_pretrained(
                base_folder(spec), revision=spec.revision or "main"
            ).chat_template
    if template is None or not chat.needs_date(chat.named_template(template)):
        return spec
    return replace(spec, date=datetime.date.today().isoformat())


def skeleton(spec: Model) -> Any:
    """The base model without weights: its modules and their names."""
    config = load_config(spec)
    with one_line_errors(spec.name), without_bars(), torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def context_length(spec: Model) -> int:
    """Tokens that the model can attend to, see `chat.context_tokens`; no weights are loaded."""
    return chat.context_tokens(load_config(spec))


def base_folder(spec: Model) -> str:
    """What transformers can load: the name itself, or the folder that a GGUF was unpacked to."""
    if spec.name == "embedded":
        return str(unpack_gguf(embedded.model_file()))
    if spec.name.endswith(".gguf"):
        return str(unpack_gguf(Path(spec.name)))
    return spec.name


def unpack_gguf(file: Path) -> Path:
    """Convert a GGUF file to a folder of plain weights, once.

    Later calls find the folder in the cache ($PARETOHQD_CACHE, else ~/.cache/paretohqd).
    """
    if not file.is_file():
        raise ValueError(f"model {file}: no such file")
    root = Path(os.environ.get("PARETOHQD_CACHE") or Path.home() / ".cache" / "paretohqd")
    folder = root / f"{file.stem}-{hash_path(file)[:12]}"
    if folder.is_dir():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    for torn in root.glob(f"{folder.name}.*"):  # an attempt that was killed, and not just now
        if time.time() - torn.stat().st_mtime > 3600:
            shutil.rmtree(torn, ignore_errors=True)
    beside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=root))
    try:
        source = {"gguf_file": file.name}
        # The conversion draws a bar that no setting of transformers turns off.
        with one_line_errors(file), without_bars(), contextlib.redirect_stderr(io.StringIO()):
            model, report = AutoModelForCausalLM.from_pretrained(
                str(file.parent),
                quantization_config=GgufConfig(dequantize=True),
                dtype=torch.float32,
                output_loading_info=True,
                **source,
            )
            checkpoints.check_weights(file, model, report)
            model.save_pretrained(beside)
            AutoTokenizer.from_pretrained(str(file.parent), **source).save_pretrained(beside)
        with contextlib.suppress(OSError):  # another process was first: its folder is as good
            beside.replace(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def identity(spec: Model) -> dict[str, Any]:
    """What tells one base model from another: content where it is local, else its name."""
    template = _template(spec)
    if template is not None:
        # Its text may be anything, and what stages write down is for others to read.
        template = f"sha256:{hashlib.sha256(template.encode()).hexdigest()}"
    facts = {"name": spec.name, "revision": spec.revision, "chat_template": template}
    if spec.date is not None:
        facts["date"] = spec.date
    folder = Path(base_folder(spec))
    if spec.name == "embedded" or spec.name.endswith(".gguf"):
        facts["name"] = folder.name  # has the file's hash; unpacking it anew changes nothing
    elif folder.is_dir():
        facts["name"] = "local"
        facts["content"] = fingerprint(folder)
    return facts


def _template(spec: Model) -> str | None:
    """The text of the chat template that the configuration gives, itself or in a file."""
    if spec.chat_template is None:
        return None
    return template_text(spec.chat_template)


def fingerprint(folder: Path) -> str:
    """Hash of a folder: the content of small files, size and time of large ones."""
    marks = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        facts = path.stat()
        large = facts.st_size > 50_000_000
        mark = f"{facts.st_size}:{facts.st_mtime_ns}" if large else hash_path(path)
        marks.append(f"{path.relative_to(folder)}:{mark}")
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()

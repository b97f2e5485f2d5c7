"""Loading base models and finding out what this machine computes well in.

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
from dataclasses import dataclass, replace
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
from paretohqd.models import chat, checkpoints, embedded, templates
from paretohqd.models.decoding import check_reading
from paretohqd.models.loading import one_line_errors, without_bars
from paretohqd.models.spec import Model


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where the models run and in which number format."""

    device: str
    """"cpu" or "cuda"."""
    bfloat16: bool
    """Train under bfloat16 autocast and sample in bfloat16; float32 otherwise."""
    threads: int

    @property
    def dtype(self) -> torch.dtype:
        """The number format for sampling."""
        return torch.bfloat16 if self.bfloat16 else torch.float32

    def describe(self) -> str:
        """One line for people."""
        where = f"{self.threads} CPU thread{'s' * (self.threads > 1)}"
        if self.device == "cuda":
            where = torch.cuda.get_device_name()
        return f"{where}, {'bfloat16' if self.bfloat16 else 'float32'}"


def find_machine(
    device: str = "auto", precision: str = "auto", threads: int | None = None
) -> Machine:
    """Decide where to run, and probe rather than assume bfloat16.

    Args:
        device: "auto", "cpu" or "cuda".
        precision: "auto", "float32" or "bfloat16".
        threads: torch's threads on a CPU; its own default where it is None.

    Raises:
        ValueError: a GPU is asked for and there is none.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda is asked for, but torch finds no GPU: use auto or cpu")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if precision == "auto":
        bfloat16 = (
            torch.cuda.is_bf16_supported(including_emulation=False)
            if device == "cuda"
            else _cpu_likes_bfloat16()
        )
    else:
        bfloat16 = precision == "bfloat16"
    return Machine(device=device, bfloat16=bfloat16, threads=torch.get_num_threads())


def _cpu_likes_bfloat16() -> bool:
    """Time one product both ways: without hardware for it bfloat16 is two or three times slower."""
    best = {}
    for dtype in (torch.float32, torch.bfloat16):
        left, right = torch.ones(256, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
        times = []
        for _ in range(6):
            start = time.perf_counter()
            left @ right
            times.append(time.perf_counter() - start)
        best[dtype] = min(times)
    return best[torch.bfloat16] < 0.7 * best[torch.float32]


def load_base(spec: Model, *, device: str, dtype: torch.dtype) -> tuple[Any, Any]:
    """Load a base model and its tokenizer.

    Returns:
        The model in eval mode on `device`, and a left-padding tokenizer with a pad token and a
        chat template.

    Raises:
        ValueError: no such model, a tokenizer without a chat template when none is given, or a
            template that leaves texts out, fails, or writes something else every time.
    """
    tokenizer, folder = load_tokenizer(spec), base_folder(spec)
    load_config(spec)
    with one_line_errors(spec.name), without_bars():
        model, report = AutoModelForCausalLM.from_pretrained(
            folder, revision=spec.revision or "main", dtype=dtype, output_loading_info=True
        )
    checkpoints.check_weights(spec.name, model, report)
    example = _example(tokenizer)
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


def _example(tokenizer: Any) -> list[int]:
    """Token ids of a short chat."""
    chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    text = tokenizer.apply_chat_template(chat, tokenize=False)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def load_config(spec: Model) -> Any:
    """Load the configuration alone, and refuse what is no causal language model of text."""
    with one_line_errors(spec.name), without_bars():
        found = AutoConfig.from_pretrained(base_folder(spec), revision=spec.revision or "main")
    checkpoints.check_decoder(spec.name, found)
    return found


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
        template = templates.named_template(tokenizer.chat_template)
        tokenizer.chat_template = templates.with_date(template, _day(spec))
        templates.check_template(tokenizer)
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


def check_trainable(spec: Model) -> templates.Form:
    """Refuse a base that no answers could be trained with, before its weights are loaded.

    Returns:
        What its template writes around an answer.

    Raises:
        ValueError: as `load_tokenizer` and `templates.check_trainable`.
    """
    tokenizer, folder, revision = load_tokenizer(spec), base_folder(spec), spec.revision or "main"
    with one_line_errors(spec.name), without_bars():
        found = AutoConfig.from_pretrained(folder, revision=revision)
        try:
            generation = GenerationConfig.from_pretrained(folder, revision=revision)
        except OSError:  # none is stored: transformers makes one of the model's configuration
            generation = GenerationConfig.from_model_config(found)
    try:
        templates.check_trainable(tokenizer, chat.stop_ids(tokenizer, generation.eos_token_id))
    except ValueError as error:
        raise ValueError(f"model {spec.name}: {error}") from error
    return templates.find_form(tokenizer)


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
    if template is None or not templates.needs_date(templates.named_template(template)):
        return spec
    return replace(spec, date=datetime.date.today().isoformat())


def skeleton(spec: Model) -> Any:
    """The base model without weights: its modules and their names."""
    found = load_config(spec)
    with one_line_errors(spec.name), without_bars(), torch.device("meta"):
        return AutoModelForCausalLM.from_config(found)


def context_length(spec: Model) -> int:
    """Tokens that the model can attend to, see `positions`; no weights are loaded."""
    return positions(load_config(spec))


def positions(configuration: Any) -> int:
    """Tokens that a model can attend to; very many where its configuration sets no limit."""
    return int(getattr(configuration, "max_position_embeddings", None) or 2**31)


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
    found = {"name": spec.name, "revision": spec.revision, "chat_template": _template(spec)}
    if spec.date is not None:
        found["date"] = spec.date
    folder = Path(base_folder(spec))
    if spec.name == "embedded" or spec.name.endswith(".gguf"):
        found["name"] = folder.name  # has the file's hash; unpacking it anew changes nothing
    elif folder.is_dir():
        found["name"] = "local"
        found["content"] = fingerprint(folder)
    return found


def _template(spec: Model) -> str | None:
    """The chat template that the configuration gives, as text or as the name of a file."""
    if spec.chat_template is None:
        return None
    file = Path(spec.chat_template)
    if file.is_absolute() and file.is_file():
        return file.read_text(encoding="utf-8")
    return spec.chat_template


def fingerprint(folder: Path) -> str:
    """Hash of a folder: the content of small files, size and time of large ones."""
    marks = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        facts = path.stat()
        large = facts.st_size > 50_000_000
        mark = f"{facts.st_size}:{facts.st_mtime_ns}" if large else hash_path(path)
        marks.append(f"{path.relative_to(folder)}:{mark}")
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()

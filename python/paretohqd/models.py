"""Loading base models and finding out what this machine computes well in.

A base is a hub name, a folder, a GGUF file (unpacked once into a cache) or the embedded model.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
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

from paretohqd import config, embedded
from paretohqd.hashes import hash_path
from paretohqd.loading import quiet, told


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


def load_base(spec: config.Model, *, device: str, dtype: torch.dtype) -> tuple[Any, Any]:
    """Load a base model and its tokenizer.

    Returns:
        The model in eval mode on `device`, and a left-padding tokenizer with a pad token and a
        chat template.

    Raises:
        ValueError: no such model, or a tokenizer without a chat template when none is given.
    """
    tokenizer, folder = load_tokenizer(spec), base_folder(spec)
    with told(spec.name), quiet():
        model = AutoModelForCausalLM.from_pretrained(
            folder, revision=spec.revision or "main", dtype=dtype
        )
    # Penalties and the like that a checkpoint ships would act on what is sampled here, unsaid.
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=model.generation_config.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return model.to(device).eval(), tokenizer


def load_tokenizer(spec: config.Model) -> Any:
    """Load the tokenizer alone; see `load_base`."""
    folder = base_folder(spec)
    with told(spec.name), quiet():
        tokenizer = AutoTokenizer.from_pretrained(folder, revision=spec.revision or "main")
    if spec.chat_template is not None:
        tokenizer.chat_template = _template(spec)
    if tokenizer.chat_template is None:
        raise ValueError(
            f"model {spec.name}: its tokenizer has no chat template: set model.chat_template"
        )
    if tokenizer.eos_token is None:
        raise ValueError(f"model {spec.name}: its tokenizer has no end-of-text token")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    try:
        tokenizer.apply_chat_template(chat, tokenize=False)
    except Exception as error:  # jinja's own, or whatever the template raises
        raise ValueError(f"model {spec.name}: its chat template fails: {error}") from error
    return tokenizer


def context_length(spec: config.Model) -> int:
    """Tokens that the model can attend to, see `positions`; no weights are loaded."""
    with told(spec.name), quiet():
        found = AutoConfig.from_pretrained(base_folder(spec), revision=spec.revision or "main")
    return positions(found)


def positions(configuration: Any) -> int:
    """Tokens that a model can attend to; very many where its configuration sets no limit."""
    return int(getattr(configuration, "max_position_embeddings", None) or 2**31)


def base_folder(spec: config.Model) -> str:
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
        with told(file), quiet(), contextlib.redirect_stderr(io.StringIO()):
            model = AutoModelForCausalLM.from_pretrained(
                str(file.parent),
                quantization_config=GgufConfig(dequantize=True),
                dtype=torch.float32,
                **source,
            )
            model.save_pretrained(beside)
            AutoTokenizer.from_pretrained(str(file.parent), **source).save_pretrained(beside)
        with contextlib.suppress(OSError):  # another process was first: its folder is as good
            beside.replace(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def identity(spec: config.Model) -> dict[str, Any]:
    """What tells one base model from another: content where it is local, else its name."""
    found = {"name": spec.name, "revision": spec.revision, "chat_template": _template(spec)}
    folder = Path(base_folder(spec))
    if spec.name == "embedded" or spec.name.endswith(".gguf"):
        found["name"] = folder.name  # has the file's hash; unpacking it anew changes nothing
    elif folder.is_dir():
        found["name"] = "local"
        found["content"] = fingerprint(folder)
    return found


def _template(spec: config.Model) -> str | None:
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

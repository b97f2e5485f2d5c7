"""Which base model a run trains, and how answers are sampled from it. Nothing heavy is imported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Model:
    """The base model that every adapter is trained on: the section `model` of a configuration."""

    name: str = "embedded"
    """`embedded` (SmolLM2-135M-Instruct), a hub name, or a folder or GGUF file, whose path begins
    with ./, ../, ~/ or /."""
    revision: str | None = None
    """Branch, tag or commit of a hub name; a run keeps to the commit that it began with."""
    chat_template: str | None = None
    """Jinja text or a file with it; needed where the tokenizer has none."""
    date: str | None = None
    """The day that a template writes which asks for today's, as "YYYY-MM-DD": the first day of
    the run where it is not given, so that a run reads the same text on every day."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How answers are sampled."""

    max_new_tokens: int = 128
    """An answer stops here at the latest."""
    temperature: float = 0.7
    """0 takes the likeliest token; larger is more random."""
    top_p: float = 0.9
    """The share of probability that may be drawn from."""
    batch_size: int = 64
    """Answers decoded side by side."""

"""Which base model a run trains: the section `model` of a configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Model:
    """The base model that every adapter is trained on."""

    name: str = "embedded"
    """`embedded` (SmolLM2-135M-Instruct), a hub name, a folder or a GGUF file."""
    revision: str | None = None
    chat_template: str | None = None
    """Jinja text or a file with it; needed where the tokenizer has none."""
    date: str | None = None
    """The day that a template writes which asks for today's, as "YYYY-MM-DD": the first day of
    the run where it is not given, so that a run reads the same text on every day."""

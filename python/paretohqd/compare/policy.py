"""What a method makes: for each preference the adapters to load and the system prompt."""

from __future__ import annotations

from dataclasses import dataclass

from paretohqd.models.adapters import Weighted


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How to answer for one preference, or for all where a method knows none."""

    weights: tuple[float, ...] | None = None
    """The preference; None where the method takes none."""
    adapters: tuple[Weighted, ...] = ()
    """Folders of adapters and the weights of their sum; none is the base itself."""
    system_prompt: str = ""
    """System prompt of every prompt; empty for none."""
    least: tuple[tuple[str, float], ...] = ()
    """What the method promises of its mean scores: objectives and the least that each shall be."""

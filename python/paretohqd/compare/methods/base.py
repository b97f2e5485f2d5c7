"""The base model as it is: what every method is measured against."""

from __future__ import annotations

from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench


def base(bench: Workbench) -> list[Policy]:
    """Answer with the base model: no training, no preference, one point."""
    return [Policy()]

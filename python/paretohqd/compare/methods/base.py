"""The base model as it is: what every method is measured against."""

from __future__ import annotations

from paretohqd.compare.method import Method, MethodOptions
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench


def policies(bench: Workbench, options: MethodOptions) -> list[Policy]:
    """One policy without adapters."""
    return [Policy()]


METHOD = Method(
    run=policies,
    options=MethodOptions,
    about="Answer with the base model: no training, no preference, one point.",
)

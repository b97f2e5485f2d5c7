"""The methods that `paretohqd compare` knows: one function each, bench in, policies out."""

from __future__ import annotations

from collections.abc import Callable

from paretohqd.compare.methods.base import base
from paretohqd.compare.methods.ham import ham
from paretohqd.compare.methods.linear import linear
from paretohqd.compare.methods.modpo import modpo
from paretohqd.compare.methods.morlhf import morlhf
from paretohqd.compare.methods.paretohqd import paretohqd, stage1
from paretohqd.compare.methods.rcs import rcs
from paretohqd.compare.methods.ric import ric
from paretohqd.compare.methods.sft import full, sft
from paretohqd.compare.methods.soups import soups
from paretohqd.compare.methods.ucmoa import ucmoa
from paretohqd.compare.policy import Policy

METHODS: dict[str, Callable[..., list[Policy]]] = {
    "base": base,
    "sft": sft,
    "linear": linear,
    "full": full,
    "stage1": stage1,
    "paretohqd": paretohqd,
    "soups": soups,
    "ric": ric,
    "ham": ham,
    "ucmoa": ucmoa,
    "morlhf": morlhf,
    "modpo": modpo,
    "rcs": rcs,
}
"""Methods by name."""

__all__ = ["METHODS", "Policy"]

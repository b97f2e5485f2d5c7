"""The methods that `paretohqd compare` knows, each in a file of its own."""

from __future__ import annotations

from typing import Any

from paretohqd.compare.method import Method
from paretohqd.compare.methods import (
    base,
    best_of_n,
    caid,
    full,
    guided,
    ham,
    linear,
    mahdpo,
    mavis,
    metaaligner,
    moa,
    moc,
    modpo,
    mopo,
    morlhf,
    npdpo,
    pama,
    paretohqd,
    pro,
    psl,
    rcs,
    ric,
    sft,
    soups,
    stage1,
    ucmoa,
)

METHODS: dict[str, Method[Any]] = {
    "base": base.METHOD,
    "sft": sft.METHOD,
    "linear": linear.METHOD,
    "full": full.METHOD,
    "stage1": stage1.METHOD,
    "paretohqd": paretohqd.METHOD,
    "soups": soups.METHOD,
    "ric": ric.METHOD,
    "ham": ham.METHOD,
    "ucmoa": ucmoa.METHOD,
    "morlhf": morlhf.METHOD,
    "modpo": modpo.METHOD,
    "rcs": rcs.METHOD,
    "best_of_n": best_of_n.METHOD,
    "mahdpo": mahdpo.METHOD,
    "mopo": mopo.METHOD,
    "caid": caid.METHOD,
    "pama": pama.METHOD,
    "moa": moa.METHOD,
    "moc": moc.METHOD,
    "psl": psl.METHOD,
    "npdpo": npdpo.METHOD,
    "metaaligner": metaaligner.METHOD,
    "mavis": mavis.METHOD,
    "guided": guided.METHOD,
    "pro": pro.METHOD,
}
"""Methods by name."""

__all__ = ["METHODS"]

"""Adapters and the network of their coefficients, trained together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from helpers.small_fit import CPU, LORA
from helpers.tiny import sentences
from paretohqd.models import base
from paretohqd.models.adapters import load_mixture
from paretohqd.models.likelihood import likelihood
from paretohqd.models.spec import Model
from paretohqd.trainers.conditioned import Network, anchors, coefficients, fit_conditioned

pytestmark = pytest.mark.slow


def load(folder: Path) -> tuple[Any, Any]:
    model, tokenizer = base.load_base(Model(name=str(folder)), device="cpu", dtype=torch.float32)
    return model.eval(), tokenizer


def rows(steps: int, each: int = 3) -> pl.DataFrame:
    """Long answers for one end of the preferences, short ones for the other."""
    texts, made = sentences(), []
    for step in range(steps):
        w = [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)][step % 3]
        for at in range(each):
            answer = texts[11 * step + at] if w[0] > w[1] or (at % 2 and w[0] == w[1]) else "Yes."
            made.append(
                {"prompt": texts[7 * at], "response": answer, "step": step, "weights": list(w)}
            )
    return pl.DataFrame(made)


def fit(causal: Path, out: Path, data: pl.DataFrame, **more: Any) -> dict[str, Any]:
    steps = data["step"].n_unique()
    train = {"max_steps": steps, "learning_rate": 2e-2, **more.pop("train", {})}
    given: dict[str, Any] = {"machine": CPU, "train": train, "lora": LORA, "count": 2, **more}
    return dict(fit_conditioned(*load(causal), data, out, **given))


def test_anchors_and_the_start_of_the_network() -> None:
    assert anchors(2, 2).tolist() == [[1, 0], [0, 1]]
    w = torch.tensor([0.3, 0.7], dtype=torch.float64)
    assert Network(2, 2)(w).tolist() == [0.3, 0.7], "the preference itself"
    three = Network(3, 2)(w).detach().numpy()
    assert three.sum() == pytest.approx(1)
    distance = np.square(anchors(3, 2) - [0.3, 0.7]).sum(axis=1)
    assert (np.argsort(-three) == np.argsort(distance)).all()


def test_a_step_reads_the_sum_of_the_adapters(causal: Path, tmp_path: Path) -> None:
    """The third step's loss, from the adapters and the network that two steps left."""
    data = rows(3)
    fit(causal, tmp_path / "three", data, train={"lr_scheduler_type": "constant"})
    fit(causal, tmp_path / "two", data[:6], train={"lr_scheduler_type": "constant"})
    first, _, third = json.loads((tmp_path / "three" / "log.json").read_text())
    assert first["coefficients"] == [1, 0]
    found = coefficients(tmp_path / "two", [0.5, 0.5])
    assert third["coefficients"] == pytest.approx(found.tolist())
    assert (found != [0.5, 0.5]).any(), "it moves once an adapter does anything"
    model, tokenizer = load(causal)
    parts = [(tmp_path / "two" / f"adapter-{k}", float(c)) for k, c in enumerate(found)]
    mixed = load_mixture(model, parts)
    own = data[6:]
    read = likelihood(mixed, tokenizer, own["prompt"].to_list(), own["response"].to_list())
    expected = -read["logp"].sum() / read["answer_tokens"].sum()
    assert third["loss"] == pytest.approx(expected, abs=1e-4)


def test_preferences_come_apart(causal: Path, tmp_path: Path) -> None:
    facts = fit(causal, tmp_path, rows(36))
    assert facts["loss"][1] < facts["loss"][0]
    model, tokenizer = load(causal)
    short = []
    for w in ((1.0, 0.0), (0.0, 1.0)):
        found = coefficients(tmp_path, w)
        parts = [(tmp_path / f"adapter-{k}", float(c)) for k, c in enumerate(found)]
        model = load_mixture(model, parts)
        short.append(likelihood(model, tokenizer, [sentences()[0]], ["Yes."])["logp"][0])
    assert short[1] > short[0] + 0.5, "the end that asks for short answers finds them likelier"


@pytest.mark.parametrize(
    ("data", "more", "message"),
    [
        (rows(3)[3:], {"train": {"max_steps": 3}}, "expected steps 0 to 2 one after the other"),
        (rows(2), {"train": {"max_length": 4}}, "no token to train on"),
        (rows(2), {"train": {"packing": True}}, r"train\.packing"),
    ],
)
def test_what_is_refused(
    causal: Path, tmp_path: Path, data: pl.DataFrame, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit(causal, tmp_path / "none", data, **more)
    assert not (tmp_path / "none" / "adapter-0").exists()
    with pytest.raises(ValueError, match="holds no network"):
        coefficients(tmp_path / "none", [0.5, 0.5])

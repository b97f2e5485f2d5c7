"""A value model that reads along: its word token by token is what it says of the whole text."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from helpers.small_fit import CPU, LORA
from helpers.tiny import load_tiny, sentences
from paretohqd.models.chat import encode_answers, encode_prompts, pad_prompts
from paretohqd.models.guide import Guide, Tilt, load_head
from paretohqd.models.guided_sampling import generate_guided
from paretohqd.models.sampling import generate
from paretohqd.models.spec import Sampling
from paretohqd.trainers.values import Values, fit_values

pytestmark = pytest.mark.slow

NAMES = ["long", "polite"]
HEADS = ["value", "action"]
PROMPTS = ["Hi.", "What do you like, my friend?", "Tell me about the old house today."]


def rows(count: int) -> pl.DataFrame:
    """Long answers and short ones, each with the score that it deserves."""
    texts = sentences()
    long = [i % 2 == 0 for i in range(count)]
    return pl.DataFrame(
        {
            "prompt": [texts[7 * i] for i in range(count)],
            "response": [texts[11 * i] if big else "Yes." for i, big in enumerate(long)],
            "long": [1.0 if big else -1.0 for big in long],
            "polite": [0.5] * count,
        }
    )


def fit(causal: Path, out: Path, data: pl.DataFrame, **more: Any) -> dict[str, Any]:
    train = {"max_steps": len(data) // 4, "learning_rate": 2e-2, **more.pop("train", {})}
    given: dict[str, Any] = {"machine": CPU, "train": train, "lora": LORA, "head": "value", **more}
    return dict(fit_values(*load_tiny(causal), data, NAMES, out, **given))


@pytest.fixture(scope="module")
def trained(causal: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A value model of each form."""
    folder = tmp_path_factory.mktemp("values")
    for head in HEADS:
        fit(causal, folder / head, rows(48), head=head)
    return {head: folder / head for head in HEADS}


@pytest.fixture
def guide(causal: Path, trained: dict[str, Path]) -> Callable[..., Guide]:
    def make(head: str, weights: tuple[float, ...] = (0.7, 0.3), **tilt: Any) -> Guide:
        return Guide(load_tiny(causal)[0], trained[head], Tilt(weights=weights, **tilt))

    return make


@pytest.mark.parametrize("head", HEADS)
def test_a_value_model_learns_which_answers_are_long(
    causal: Path, trained: dict[str, Path], head: str
) -> None:
    log = json.loads((trained[head] / "log.json").read_text())
    assert len(log) == 12
    assert log[0]["loss"] == pytest.approx((1 + 0.25) / 2, abs=1e-6), "it begins with 0"
    assert log[-1]["loss"] < 0.1


@torch.inference_mode()
@pytest.mark.parametrize("head", HEADS)
def test_its_word_is_what_it_says_of_the_text(
    causal: Path, trained: dict[str, Path], guide: Callable[..., Guide], head: str
) -> None:
    """Step by step beside padded rows, of which one ends early, against each text read at once."""
    _, tokenizer = load_tiny(causal)
    whole = Values(load_tiny(causal)[0], tokenizer, 2, LORA, head=head, machine=CPU, seed=0)  # type: ignore[arg-type]
    own = guide(head, candidates=5)
    whole.model, whole.head = own.model, load_head(trained[head])
    weights = torch.tensor([0.7, 0.3])
    ids = encode_prompts(tokenizer, PROMPTS)
    own.begin(*pad_prompts(ids, tokenizer, "cpu"))
    answers: dict[int, list[int]] = {0: [], 1: [], 2: []}
    going = [0, 1, 2]
    rng = np.random.default_rng(0)
    for step in range(5):
        scores = torch.from_numpy(rng.normal(size=(len(going), len(tokenizer))).astype(np.float32))
        tokens, top, word = own.look(scores, torch.tensor(going))
        assert torch.equal(top, scores.topk(5).values)
        drawn = tokens[:, step % 5]
        tokenizer.padding_side = "right"
        for place, row in enumerate(going):
            for token, said in zip(tokens[place].tolist(), word[place].tolist(), strict=True):
                found, _ = whole.tell([(ids[row], [*answers[row], token])])
                assert said == pytest.approx(float(found[-1] @ weights), abs=2e-5)
            answers[row].append(int(drawn[place]))
        own.took(drawn)
        if step == 1:
            going = [2, 1]  # the first has ended, and the last takes its place
    assert len(answers[0]) == 2


@pytest.mark.parametrize("head", HEADS)
def test_without_strength_it_is_top_k_sampling(
    causal: Path, guide: Callable[..., Guide], head: str
) -> None:
    model, tokenizer = load_tiny(causal)
    spec = Sampling(max_new_tokens=12, temperature=0.9, top_p=0.8, batch_size=2)
    usual = generate(model, tokenizer, PROMPTS, seed=3, sampling=spec)
    free = guide(head, strength=0.0, candidates=10_000)
    frame = generate_guided(model, tokenizer, PROMPTS, free, seed=3, sampling=spec)
    assert frame.drop("entropy").equals(usual)
    assert frame["entropy"].is_between(0, math.log(len(tokenizer))).all()
    few = guide(head, strength=0.0, candidates=1)
    greedy = generate(
        model, tokenizer, PROMPTS, sampling=Sampling(max_new_tokens=12, temperature=0.0)
    )
    frame = generate_guided(model, tokenizer, PROMPTS, few, seed=3, sampling=spec)
    assert frame["response"].to_list() == greedy["response"].to_list()
    assert frame["entropy"].to_list() == [0.0] * 3


@pytest.mark.parametrize("head", HEADS)
def test_what_is_wanted_comes(causal: Path, guide: Callable[..., Guide], head: str) -> None:
    """By the value model's own word: nobody else knows what an untrained model's answers are."""
    model, tokenizer = load_tiny(causal)
    spec = Sampling(max_new_tokens=12, temperature=1.0, top_p=1.0)
    means = {}
    for wanted in (1.0, -1.0):
        asked = guide(head, weights=(wanted, 0.0), strength=20.0, candidates=10_000)
        frame = generate_guided(model, tokenizer, PROMPTS * 4, asked, sampling=spec)
        again = generate_guided(model, tokenizer, PROMPTS * 4, asked, sampling=spec)
        assert again.equals(frame)
        judge = Values(load_tiny(causal)[0], tokenizer, 2, LORA, head=head, machine=CPU, seed=0)  # type: ignore[arg-type]
        judge.model, judge.head = asked.model, asked.head
        tokenizer.padding_side = "right"
        ids = encode_answers(model, tokenizer, PROMPTS * 4, frame["response"].to_list())
        with torch.inference_mode():
            means[wanted] = float(judge.tell(ids)[0][:, 0].mean())
        tokenizer.padding_side = "left"
    assert means[1.0] > means[-1.0] + 0.2


def test_what_cannot_be_fitted(causal: Path, tmp_path: Path) -> None:
    data = rows(8)
    with pytest.raises(ValueError, match="8 rows do not divide among 3 steps"):
        fit(causal, tmp_path, data, train={"max_steps": 3})
    with pytest.raises(ValueError, match="a score is null, NaN or infinite"):
        fit(causal, tmp_path, data.with_columns(long=pl.lit(math.nan)))
    with pytest.raises(ValueError, match=r"train\.packing is not followed"):
        fit(causal, tmp_path, data, train={"packing": True})
    assert not list(tmp_path.glob("*.safetensors"))


def test_what_is_no_value_model(causal: Path, trained: dict[str, Path], tmp_path: Path) -> None:
    model, _ = load_tiny(causal)
    with pytest.raises(ValueError, match="holds no value model"):
        Guide(model, tmp_path, Tilt(weights=(1.0, 0.0)))
    with pytest.raises(ValueError, match="of 2 objectives, and the preference has 3 weights"):
        Guide(model, trained["value"], Tilt(weights=(1.0, 0.0, 0.0)))

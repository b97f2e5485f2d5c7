"""The models of a finished run for any preference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

import paretohqd as pq
from helpers.tiny import load_tiny
from paretohqd.models.adapters import load_mixture
from paretohqd.models.sampling import generate
from paretohqd.models.spec import Sampling
from paretohqd.policies import loaded
from paretohqd.runs import layout

pytestmark = pytest.mark.slow


def test_a_trained_preference_is_its_adapter(finished: Path, parts: Path) -> None:
    run = pq.load(finished, device="cpu")
    assert run.objectives == ("kind", "brief")
    assert list(run.preferences) == ["kind", "both", "brief"]
    held_out = pl.read_parquet(finished / "evaluate/stage2-02-brief/answers.parquet")
    policy = run.policy("brief")
    assert policy.parts.exact
    assert str(policy) == "the model trained for brief"
    assert policy.predicted["kind"].mean == pytest.approx(held_out["kind"].mean())
    model, tokenizer = load_tiny(parts / "model")
    adapter = finished / "stage2/fit/02-brief/adapter"
    tuned = load_mixture(model, [(adapter, 1.0)])
    sampling = Sampling(max_new_tokens=8)
    for prompt in held_out["prompt"].to_list():
        wanted = generate(tuned, tokenizer, [prompt], seed=4, sampling=sampling)["response"][0]
        assert policy.generate(prompt, seed=4) == wanted
        assert "".join(policy.stream(prompt, seed=4)) == wanted
    said = {policy.generate(held_out["prompt"][0], seed=seed) for seed in range(8)}
    assert len(said) > 1
    assert run.policy("kind").generate("Hi.", temperature=0.0) is not None


def test_between_preferences_it_is_the_sum_of_the_neighbours(finished: Path, parts: Path) -> None:
    policy = pq.policy(finished, {"kind": 3, "brief": 1}, device="cpu")
    assert policy.asked == (0.75, 0.25)
    assert "were divided by that" in policy.note
    assert str(policy) == "the sum of 0.5 of kind and 0.5 of both"
    model, tokenizer = load_tiny(parts / "model")
    fits = [finished / f"stage2/fit/{name}/adapter" for name in ("00-kind", "01-both")]
    mixed = load_mixture(model, [(fits[0], 0.5), (fits[1], 0.5)])
    ids = torch.tensor([tokenizer.encode("What do you like?")])
    own, _ = policy.run.model(policy.parts)
    with torch.inference_mode():
        torch.testing.assert_close(own(ids).logits, mixed(ids).logits)
    frames = [
        pl.read_parquet(finished / f"evaluate/stage2-{name}/answers.parquet")
        for name in ("00-kind", "01-both")
    ]
    both = (frames[0]["brief"] + frames[1]["brief"]) / 2
    assert policy.predicted["brief"].mean == pytest.approx(both.mean())
    assert policy.predicted["brief"].se == pytest.approx(both.std() / len(both) ** 0.5)


def test_moving_between_policies_leaves_nothing_behind(finished: Path) -> None:
    run = pq.load(finished, device="cpu")
    moves: list[Any] = ["kind", [0.6, 0.4], "brief", [0.1, 0.9]]
    first = {str(w): run.policy(w).generate("Tell me.", seed=1) for w in moves}
    for w in [*moves[::-1], *moves]:
        assert run.policy(w).generate("Tell me.", seed=1) == first[str(w)]
    model, tokenizer = run.model(run.policy("kind").parts)
    assert len(model.peft_config) == 1
    bare, _ = run.model(None)
    fresh, _ = load_tiny(Path(run.spec.name))
    ids = torch.tensor([tokenizer.encode("Tell me.")])
    with torch.inference_mode():
        assert torch.equal(bare(ids).logits, fresh(ids).logits)
    assert run.policy("kind").generate("Tell me.", seed=1) == first["kind"]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("sharp", "no preference of this run"),
        ({"kin": 1.0}, "no objective"),
        ([1.0], "expected 2 numbers, for kind, brief"),
        ([1.0, 0.0, 0.0], "expected 2 numbers"),
        ([-0.1, 1.1], "expected numbers of at least 0"),
        ([0.0, 0.0], "not all 0"),
        ([float("nan"), 1.0], "expected numbers of at least 0"),
        ([float("inf"), 1.0], "expected numbers of at least 0"),
        (["a", "b"], "expected 2 numbers"),
        ({}, "not all 0"),
    ],
)
def test_weights_off_the_simplex(finished: Path, weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pq.load(finished).policy(weights)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_number_format_is_the_runs(copied: Path, precision: str) -> None:
    """Not what a probe finds: under load that may be another one."""
    file = copied / layout.MACHINE
    file.write_text(json.dumps(json.loads(file.read_text()) | {"precision": precision}))
    model, _ = pq.load(copied, device="cpu").model(None)
    assert str(model.dtype) == f"torch.{precision}"


def test_weights_of_any_size(finished: Path) -> None:
    policy = pq.load(finished).policy([1e308, 1e308])
    assert policy.asked == (0.5, 0.5)
    assert pq.load(finished).policy([1e-320, 0]).asked == (1, 0)


def test_a_sum_that_fails_leaves_no_other_model_behind(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = pq.load(finished, device="cpu")
    first = run.policy("brief").generate("Tell me.", seed=1)

    def half(model: Any, adapters: Any) -> Any:
        load_mixture(model, adapters[:1])
        raise ValueError("the second is damaged")

    with monkeypatch.context() as patched:
        patched.setattr(loaded, "load_mixture", half)
        with pytest.raises(ValueError, match="the second is damaged"):
            run.policy([0.75, 0.25]).generate("Tell me.", seed=1)
    assert run.policy("brief").generate("Tell me.", seed=1) == first
    assert not hasattr(run.model(None)[0], "peft_config")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "temperature: expected"),
        ({"temperature": float("nan")}, "temperature: expected"),
        ({"temperature": float("inf")}, "temperature: expected"),
        ({"top_p": 5}, "top_p: expected"),
        ({"top_p": 0}, "top_p: expected"),
        ({"max_new_tokens": 0}, "max_new_tokens: expected a whole number from 1 on, got 0"),
        ({"max_new_tokens": -5}, "max_new_tokens: expected"),
        ({"max_new_tokens": 2.5}, "max_new_tokens: expected"),
    ],
)
def test_ways_to_sample_that_there_are_not(
    finished: Path, options: dict[str, Any], message: str
) -> None:
    policy = pq.policy(finished, "both", device="cpu")
    with pytest.raises(ValueError, match=message):
        policy.generate("Hi.", **options)
    with pytest.raises(ValueError, match=message):
        list(policy.stream("Hi.", **options))


def test_a_temperature_of_next_to_nothing_takes_the_likeliest(finished: Path) -> None:
    policy = pq.policy(finished, "both", device="cpu")
    assert policy.generate("Hi.", temperature=1e-40) == policy.generate("Hi.", temperature=0)


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user"}],
        {"role": "user", "content": "x"},
        ["hi"],
        [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
        [{"content": "x"}],
    ],
)
def test_what_is_no_conversation(finished: Path, messages: Any) -> None:
    with pytest.raises(ValueError, match="messages"):
        pq.policy(finished, "both").generate(messages)


def test_conversations_and_what_they_must_be(finished: Path) -> None:
    policy = pq.policy(finished, "both", device="cpu")
    talk = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Tea?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Why?"},
    ]
    assert isinstance(policy.generate(talk, seed=1), str)
    for wrong in (talk[:3], [], [{"role": "assistant", "content": "x"}]):
        with pytest.raises(ValueError, match="must end with the user"):
            policy.generate(wrong)
        with pytest.raises(ValueError, match="must end with the user"):
            next(policy.stream(wrong))
    with pytest.raises(ValueError, match="context"):
        policy.generate("Tea? " * 2000)
    with pytest.raises(ValueError, match="context"):
        list(policy.stream("Tea? " * 2000))
    assert policy.generate("Tea?"), "and it goes on"


def test_who_stops_listening_stops_the_answer(finished: Path) -> None:
    policy = pq.policy(finished, "both", device="cpu")
    pieces = policy.stream("Tell me all about it.", seed=2, max_new_tokens=900)
    next(pieces)
    pieces.close()
    assert not policy.run.lock.locked()
    assert policy.generate("Tea?")

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from polars.testing import assert_frame_equal
from transformers import GenerationConfig, TopPLogitsWarper

from helpers.small_sampling import sample
from helpers.tiny import sentences
from paretohqd.models import answer_batch, chat, sampling
from paretohqd.models import base as models
from paretohqd.models.adapters import load_adapter
from paretohqd.models.nucleus import NUCLEUS_GUESS, NucleusSampler
from paretohqd.models.sampling import trim_unfinished
from paretohqd.models.spec import Model

PROMPTS = [
    "Hi",
    "A long prompt about the old house and the small dog of the teacher's brother, today.",
    *sentences()[:200:17],
]


def draw(
    logits: np.ndarray, uniforms: np.ndarray, *, temperature: float = 1.0, top_p: float = 0.9
) -> np.ndarray:
    """Tokens that a sampler draws from (rows, vocabulary) logits."""
    sampler = NucleusSampler(uniforms[:, None], temperature=temperature, top_p=top_p)
    scores = sampler(torch.zeros(len(logits), 1, dtype=torch.long), torch.from_numpy(logits))
    assert scores.shape == logits.shape
    assert bool((torch.isfinite(scores).sum(dim=-1) == 1).all()), "one token is left"
    return scores.argmax(dim=-1).numpy()


def nucleus(logits: np.ndarray, temperature: float, top_p: float) -> np.ndarray:
    """Probabilities after transformers' own temperature and top-p."""
    scores = torch.from_numpy(logits[None]) / temperature
    warped = TopPLogitsWarper(top_p)(torch.zeros(1, 1, dtype=torch.long), scores)
    return torch.softmax(warped.double(), dim=-1)[0].numpy()


# Whole numbers make ties, and ties at the edge of the nucleus, the normal case.
whole = st.lists(st.integers(-3, 3), min_size=2, max_size=24)
real = st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=24)


@settings(deadline=None)
@given(whole | real, st.floats(0.05, 0.999), st.sampled_from([0.5, 0.7, 1.0, 2.0]))
def test_the_nucleus_and_its_probabilities_are_those_of_transformers(
    values: list[float], top_p: float, temperature: float
) -> None:
    logits = np.array(values, dtype=np.float32)
    expected = nucleus(logits, temperature, top_p)
    # Sums in another order differ by rounding; at the very edge the sets may too.
    sums = np.cumsum(np.sort(torch.softmax(torch.from_numpy(logits / temperature), -1))[::-1])
    assume(np.abs(sums - top_p).min() > 1e-5)
    # The draw inverts the distribution function, so an even grid hits each token in proportion.
    n = 4096
    grid = (np.arange(n) + 0.5) / n
    drawn = draw(np.tile(logits, (n, 1)), grid, temperature=temperature, top_p=top_p)
    hits = np.bincount(drawn, minlength=len(logits))
    # Which of several equal tokens is at the edge is arbitrary: compare sorted.
    assert np.abs(np.sort(hits) - np.sort(n * expected)).max() <= 2
    assert (hits > 0).sum() <= (expected > 0).sum()
    levels = {float(logits[t]) for t in np.flatnonzero(hits)}
    assert levels <= {float(logits[t]) for t in np.flatnonzero(expected)}


def test_draws_are_as_frequent_as_they_should_be() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=40).astype(np.float32) * 2
    expected = nucleus(logits, 0.7, 0.9)
    n = 50_000
    hits = np.bincount(
        draw(np.tile(logits, (n, 1)), rng.random(n), temperature=0.7, top_p=0.9), minlength=40
    )
    inside = expected > 0
    assert hits[~inside].sum() == 0
    chi = float(((hits - n * expected)[inside] ** 2 / (n * expected[inside])).sum())
    degrees = int(inside.sum()) - 1
    assert degrees > 3
    assert chi < degrees + 4 * np.sqrt(2 * degrees)


def test_flat_rows_of_a_large_vocabulary() -> None:
    """More than NUCLEUS_GUESS tokens in the nucleus: the same draw from a full sort."""
    rng = np.random.default_rng(1)
    vocabulary, rows = 6000, 48
    assert vocabulary > 2 * NUCLEUS_GUESS
    spread = np.where(np.arange(rows) % 2 == 0, 0.5, 8.0)[:, None]
    logits = (rng.normal(size=(rows, vocabulary)) * spread).astype(np.float32)
    uniforms = rng.random(rows)
    drawn = draw(logits, uniforms)
    beyond = 0
    for row, token, uniform in zip(logits, drawn, uniforms, strict=True):
        probability = nucleus(row, 1.0, 0.9)
        order = np.argsort(-row, kind="stable")
        sums = np.cumsum(probability[order])
        place = int(np.flatnonzero(order == token)[0])
        beyond += place >= NUCLEUS_GUESS
        assert (sums[place - 1] if place else 0.0) - 1e-5 <= uniform <= sums[place] + 1e-5
    assert beyond > 5, "some draws come from beyond the first guess"


@pytest.mark.parametrize("top_p", [0.3, 0.9, 1.0])
def test_a_draw_does_not_depend_on_the_neighbours(top_p: float) -> None:
    rng = np.random.default_rng(2)
    spread = np.where(np.arange(20) % 3 == 0, 0.3, 6.0)[:, None]
    logits = (rng.normal(size=(20, 3000)) * spread).astype(np.float32)
    uniforms = rng.random(20)
    together = draw(logits, uniforms, top_p=top_p)
    alone = [draw(logits[i : i + 1], uniforms[i : i + 1], top_p=top_p)[0] for i in range(20)]
    assert together.tolist() == alone


def test_edges_of_the_unit_interval() -> None:
    logits = np.array([[3.0, 2.0, 1.0, -50.0]], dtype=np.float32)
    assert draw(logits, np.array([0.0])).tolist() == [0]
    last = np.array([np.nextafter(1.0, 0.0)])
    assert draw(logits, last, top_p=0.8).tolist() == [1], "the nucleus is the first two"
    assert draw(logits, last, top_p=1e-9).tolist() == [0], "the nucleus is never empty"
    assert draw(logits, last, temperature=1e-3).tolist() == [0]


def test_each_step_has_its_own_number() -> None:
    uniforms = np.array([[0.0, 0.999, 0.0]])
    sampler = NucleusSampler(uniforms, temperature=1.0, top_p=1.0)
    logits = torch.tensor([[1.0, 0.5]])
    ids = torch.zeros(1, 1, dtype=torch.long)
    assert [int(sampler(ids, logits).argmax()) for _ in range(3)] == [0, 1, 0]


# ── generate ────────────────────────────────────────────────────────────────────────────────


def sampled(base: Any, prompts: list[str] = PROMPTS, **more: Any) -> pl.DataFrame:
    model, tokenizer = base
    return sample(model, tokenizer, prompts, **{"max_new_tokens": 24, "seed": 3, **more})


def test_answers_do_not_depend_on_the_batch(base: Any) -> None:
    whole = sampled(base)
    assert whole["prompt"].to_list() == PROMPTS
    assert whole["response"].n_unique() == len(PROMPTS)
    for size in (1, 3, 5):
        assert_frame_equal(sampled(base, batch_size=size), whole)


def test_answers_do_not_depend_on_the_other_prompts(base: Any) -> None:
    whole = sampled(base)
    others = [*PROMPTS[:4], *(f"{p} {p}" for p in PROMPTS[4:])]
    assert_frame_equal(sampled(base, others)[:4], whole[:4])
    assert_frame_equal(sampled(base, PROMPTS[:3]), whole[:3])


def test_the_seed_decides(base: Any) -> None:
    assert_frame_equal(sampled(base), sampled(base))
    other = sampled(base, seed=4)
    same = sampled(base)["response"] == other["response"]
    assert same.sum() == 0
    state = torch.get_rng_state()
    sampled(base)
    assert torch.equal(torch.get_rng_state(), state), "nobody else's random numbers are used up"


def test_equal_prompts_get_different_answers(base: Any) -> None:
    assert sampled(base, ["Hi"] * 6)["response"].n_unique() == 6


@pytest.mark.parametrize("batch_size", [4, 64])
def test_several_samples(base: Any, batch_size: int) -> None:
    one = sampled(base)
    three = sampled(base, samples=3, batch_size=batch_size)
    assert three["prompt"].to_list() == [p for p in PROMPTS for _ in range(3)]
    assert three["sample"].to_list() == [0, 1, 2] * len(PROMPTS)
    assert_frame_equal(three.filter(pl.col("sample") == 0), one)
    assert three["response"].n_unique() > 2 * len(PROMPTS)


def test_a_prompt_of_one_token_with_samples(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "encode_prompts", lambda *given: [[7]] * 2)
    three = sampled(base, ["a", "b"], samples=3)
    assert_frame_equal(three.filter(pl.col("sample") == 0), sampled(base, ["a", "b"]))


def test_temperature_zero_is_greedy(base: Any) -> None:
    model, tokenizer = base
    answers = sampled(base, temperature=0, max_new_tokens=16)
    assert_frame_equal(answers, sampled(base, temperature=0, max_new_tokens=16, seed=9))
    for prompt, response in answers.select("prompt", "response").iter_rows():
        chat = [{"role": "user", "content": prompt}]
        ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt")
        out = model.generate(
            **ids,
            generation_config=GenerationConfig(
                do_sample=False,
                max_new_tokens=16,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            ),
        )
        text = tokenizer.decode(out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
        assert response == text.strip()


def test_finished_and_tokens_are_right(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, tokenizer = base
    raw: list[list[int]] = []
    original = answer_batch.decode

    def watched(*given: Any, **more: Any) -> Any:
        out = original(*given, **more)
        assert out is not None
        raw.extend(out)
        return out

    monkeypatch.setattr(answer_batch, "decode", watched)
    answers = sampled(base, max_new_tokens=90, temperature=1.5, batch_size=1, top_p=1.0)
    lengths = [len(row) for row in chat.encode_prompts(tokenizer, PROMPTS)]
    order = sorted(range(len(PROMPTS)), key=lambda i: (lengths[i], i), reverse=True)
    assert {True, False} == set(answers["finished"]), "both kinds occur"
    for place, i in enumerate(order):
        tokens = raw[place]
        row = answers.row(i, named=True)
        assert row["finished"] == (tokenizer.eos_token_id in tokens)
        if row["finished"]:
            assert row["tokens"] == tokens.index(tokenizer.eos_token_id) + 1
        else:
            assert row["tokens"] == len(tokens) == 90
        kept = tokens[: row["tokens"] - row["finished"]]
        assert row["response"] == tokenizer.decode(kept, skip_special_tokens=True).strip()
    # The same in one batch, where rows leave as they end.
    assert_frame_equal(
        answers, sampled(base, max_new_tokens=90, temperature=1.5, batch_size=64, top_p=1.0)
    )


def test_end_tokens_that_the_model_declares_count(base: Any) -> None:
    model, tokenizer = base
    assert chat.stop_tokens(model, tokenizer) == [tokenizer.eos_token_id]
    model.generation_config.eos_token_id = [9, tokenizer.eos_token_id]
    assert chat.stop_tokens(model, tokenizer) == sorted([9, tokenizer.eos_token_id])
    model.generation_config.eos_token_id = None
    assert chat.stop_tokens(model, tokenizer) == [tokenizer.eos_token_id]


def test_progress_and_schema(base: Any) -> None:
    seen: list[tuple[int, int]] = []
    frame = sampled(
        base,
        ["a", "b", "c"],
        samples=2,
        batch_size=4,
        max_new_tokens=2,
        progress=lambda *at: seen.append(at),
    )
    assert seen == [(0, 6), (2, 6), (6, 6)], "the longest batch, which may be the rest, comes first"
    empty = sampled(base, [])
    assert empty.schema == frame.schema
    assert len(empty) == 0


def test_a_prompt_too_long_for_the_context(base: Any) -> None:
    prompts = ["Hi", "word " * 600, "Hello", "word " * 700]
    with pytest.raises(
        ValueError, match=r"^2 of 4 prompts leave no room .* 1024 tokens \(first: row 1 with \d+"
    ):
        sampled(base, prompts)


def test_prompts_are_encoded_as_in_training(base: Any) -> None:
    _, tokenizer = base
    ids = chat.encode_prompts(tokenizer, ["Hi"])
    assert tokenizer.decode(ids[0]) == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert chat.encode_prompts(tokenizer, []) == []


# ── adapters ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def adapters(causal: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two different adapters, in folders that a run would give them."""
    folders = []
    for stage in (1, 2):
        model, _ = models.load_base(Model(name=str(causal)), device="cpu", dtype=torch.float32)
        torch.manual_seed(stage)
        wrapped = get_peft_model(
            model, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
        )
        folder = tmp_path_factory.getbasetemp() / "run.v1" / f"stage{stage}" / "fit" / "00"
        wrapped.save_pretrained(folder / "adapter")
        folders.append(folder / "adapter")
    return folders


def test_switching_adapters_is_like_loading_each_alone(
    causal: Path, adapters: list[Path], base: Any
) -> None:
    model, tokenizer = base
    shared = {name: p.clone() for name, p in model.named_parameters()}
    plain = sampled(base)
    alone = []
    for folder in adapters:
        fresh, _ = models.load_base(Model(name=str(causal)), device="cpu", dtype=torch.float32)
        alone.append(sampled((load_adapter(fresh, folder), tokenizer)))
    assert not alone[0].equals(alone[1])
    assert not alone[0].equals(plain)
    wrapped = model
    # Stage 1 and stage 2 of one preference: folders of the same name below different parents.
    for number in (0, 1, 0, 0, 1):
        wrapped = load_adapter(wrapped, adapters[number])
        assert not wrapped.training
        assert len(wrapped.peft_config) == 1, "memory does not grow"
        assert_frame_equal(sampled((wrapped, tokenizer)), alone[number])
    left = {n.replace(".base_layer", ""): p for n, p in model.named_parameters()}
    assert all(torch.equal(left[name], p) for name, p in shared.items())


def test_an_adapter_written_anew_is_loaded_anew(
    adapters: list[Path], base: Any, tmp_path: Path
) -> None:
    model, tokenizer = base
    folder = tmp_path / "adapter"
    shutil.copytree(adapters[0], folder)
    wrapped = load_adapter(model, folder)
    first = sampled((wrapped, tokenizer))
    shutil.rmtree(folder)
    shutil.copytree(adapters[1], folder)
    assert not sampled((load_adapter(wrapped, folder), tokenizer)).equals(first)


def test_an_adapter_takes_the_number_format_of_its_base(causal: Path, adapters: list[Path]) -> None:
    model, _ = models.load_base(Model(name=str(causal)), device="cpu", dtype=torch.bfloat16)
    wrapped = load_adapter(model, adapters[0])
    assert {p.dtype for p in wrapped.parameters()} == {torch.bfloat16}
    wrapped = load_adapter(wrapped, adapters[1])
    assert {p.dtype for p in wrapped.parameters()} == {torch.bfloat16}


# ── trimming ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("response", "finished", "expected"),
    [
        ("One. Two? Thr", False, "One. Two?"),
        ("One. Two? Thr", True, "One. Two? Thr"),
        ("no sentence ends here", False, "no sentence ends here"),
        ("Line one.\nLine two! And", False, "Line one.\nLine two!"),
        ("Well… and", False, "Well…"),
        ("Done.", False, "Done."),
        ("", False, ""),
    ],
)
def test_trimming(response: str, finished: bool, expected: str) -> None:
    frame = pl.DataFrame({"response": [response], "finished": [finished], "other": [1]})
    trimmed = trim_unfinished(frame)
    assert trimmed["response"].to_list() == [expected]
    assert_frame_equal(trimmed.drop("response"), frame.drop("response"))

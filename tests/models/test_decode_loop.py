"""Our search against transformers' own: the same answers, by fewer rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from peft import LoraConfig, get_peft_model
from polars.testing import assert_frame_equal
from transformers import (
    AutoModelForCausalLM,
    DynamicCache,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)
from transformers.cache_utils import DynamicLayer

from helpers.architectures import SETTINGS as ARCHITECTURES
from helpers.architectures import configuration, save_model
from helpers.small_sampling import sample
from helpers.tiny import sentences
from paretohqd.models import answer_batch, decode_loop
from paretohqd.models.cache_layer import RoomyLayer
from paretohqd.models.chat import encode_prompts, pad_prompts
from paretohqd.models.merging import merged

PROMPTS = ["Hi", "A long prompt about the old house and the dog, today.", *sentences()[:150:13]]
SETTINGS: dict[str, Any] = {"max_new_tokens": 90, "temperature": 1.3, "top_p": 0.98, "seed": 5}


def both(
    base: Any, monkeypatch: pytest.MonkeyPatch, **more: Any
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Answers by our loop and by transformers."""
    given = {**SETTINGS, **more}
    ours = sample(*base, PROMPTS, **given)
    with monkeypatch.context() as patch:
        patch.setattr(answer_batch, "decode", lambda *given, **more: None)
        theirs = sample(*base, PROMPTS, **given)
    return ours, theirs


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"samples": 3},
        {"batch_size": 5},
        {"batch_size": 1},
        {"temperature": 0.0},
        {"max_new_tokens": 1},
        {"temperature": 0.4, "top_p": 0.5},
    ],
)
def test_the_answers_are_those_of_transformers(
    base: Any, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    ours, theirs = both(base, monkeypatch, **more)
    assert_frame_equal(ours, theirs)
    if not more:
        assert {True, False} == set(ours["finished"]), "some end, some do not"
        assert ours["tokens"].n_unique() > 3, "they end at different steps"


def test_rows_that_ended_are_not_read(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = base
    read: list[tuple[int, int]] = []
    handle = model.register_forward_pre_hook(
        lambda module, given, more: read.append(tuple(more["input_ids"].shape)), with_kwargs=True
    )
    answers = sample(model, tokenizer, PROMPTS, **SETTINGS)
    handle.remove()
    rows = [rows for rows, _ in read]
    assert rows == sorted(rows, reverse=True)
    assert rows[-1] < rows[0] == len(PROMPTS)
    # The prompts are read once, and then each token but the last of each answer.
    assert {width for _, width in read[1:]} == {1}
    assert sum(rows[1:]) == answers["tokens"].sum() - len(PROMPTS)


def test_what_prompts_begin_with_is_read_once(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = base
    ids = encode_prompts(tokenizer, PROMPTS, ["Be brief. Be kind."] * len(PROMPTS))
    shared = next(i for i, tokens in enumerate(zip(*ids, strict=False)) if len({*tokens}) > 1)
    assert shared > 5
    read: list[tuple[int, int]] = []
    model.register_forward_pre_hook(
        lambda module, given, more: read.append(tuple(more["input_ids"].shape)), with_kwargs=True
    )

    def scores() -> torch.Tensor:
        seen: list[torch.Tensor] = []

        def choose(scores: torch.Tensor, rows: torch.Tensor, step: int) -> torch.Tensor:
            seen.append(scores)
            return rows % 9 + step

        batch = pad_prompts(ids, tokenizer, "cpu")
        decode_loop.decode(model, *batch, samples=2, steps=5, stop=[], choose=choose)
        return torch.stack(seen)

    with torch.inference_mode():
        found = scores()
        assert read[:2] == [(1, shared), (len(ids), max(map(len, ids)) - shared)]
        read.clear()
        monkeypatch.setattr(decode_loop, "SHARED", 1000)
        expected = scores()
    assert read[0] == (len(ids), max(map(len, ids)))
    assert torch.allclose(found, expected, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
@pytest.mark.parametrize("samples", [1, 3])
def test_every_architecture_answers_as_by_transformers(
    name: str, samples: int, base: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_model(tmp_path, configuration(name))
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    system = ["Be brief."] * len(PROMPTS)
    more = {"samples": samples, "max_new_tokens": 16, "system_prompt": system}
    ours, theirs = both((model, base[1]), monkeypatch, **more)
    assert_frame_equal(ours, theirs)


def test_an_adapter_is_merged_while_answers_are_searched(
    base: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = base
    torch.manual_seed(0)
    wrapped = get_peft_model(
        model, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    ).eval()
    before = {name: weight.clone() for name, weight in wrapped.named_parameters()}
    multiplied: list[int] = []
    layer = wrapped.base_model.model.model.layers[0].mlp.up_proj
    layer.lora_A["default"].register_forward_hook(lambda *given: multiplied.append(1))
    ours, theirs = both((wrapped, tokenizer), monkeypatch)
    assert multiplied, "transformers' search multiplies by the adapter"
    assert_frame_equal(ours, theirs)
    multiplied.clear()
    plain = sample(wrapped, tokenizer, PROMPTS, **SETTINGS)
    assert not multiplied
    assert_frame_equal(plain, theirs)
    with wrapped.disable_adapter():
        assert not sample(wrapped, tokenizer, PROMPTS, **SETTINGS).equals(theirs)
    assert all(torch.equal(before[name], weight) for name, weight in wrapped.named_parameters())
    assert not layer.merged


def test_weights_are_put_back_after_an_error(base: Any) -> None:
    torch.manual_seed(0)
    wrapped = get_peft_model(
        base[0], LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    ).eval()
    layer = wrapped.base_model.model.model.layers[0].mlp.up_proj
    before = layer.base_layer.weight.data

    def fail() -> None:
        with merged(wrapped):
            assert layer.merged
            assert not torch.equal(layer.base_layer.weight, before)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert layer.base_layer.weight.data_ptr() == before.data_ptr()
    assert not layer.merged


def test_sums_that_would_lose_the_update_are_not_made(base: Any) -> None:
    tied = get_peft_model(base[0], LoraConfig(r=4, target_modules=["lm_head"])).eval()
    with merged(tied):
        assert not tied.base_model.model.lm_head.merged, "the embedding would change too"
    half = tied.to(torch.bfloat16)
    more = get_peft_model(half.unload(), LoraConfig(r=4, target_modules=["up_proj"])).eval()
    with merged(more):
        assert not more.base_model.model.model.layers[0].mlp.up_proj.merged


def test_prompts_are_read_once_for_all_samples(base: Any) -> None:
    model, tokenizer = base
    read: list[tuple[int, int]] = []
    handle = model.register_forward_pre_hook(
        lambda module, given, more: read.append(tuple(more["input_ids"].shape)), with_kwargs=True
    )
    sample(model, tokenizer, PROMPTS, samples=4, **SETTINGS)
    handle.remove()
    assert read[0][0] == len(PROMPTS) < read[1][0] <= 4 * len(PROMPTS)


def test_a_cache_of_another_kind(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window forgets: its layers stay the library's, and rows leave them all the same."""
    _, tokenizer = base
    torch.manual_seed(0)
    model = MistralForCausalLM(
        MistralConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            sliding_window=16,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    ).eval()
    for more in ({}, {"samples": 2}):
        ours, theirs = both((model, tokenizer), monkeypatch, **more)
        assert_frame_equal(ours, theirs)
        assert ours["tokens"].n_unique() > 3


@pytest.mark.parametrize("what", ["steps", "cache"])
def test_models_that_go_their_own_way_are_left_to_transformers(
    base: Any, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    model, tokenizer = base
    expected = sample(model, tokenizer, PROMPTS, **SETTINGS)
    calls: list[int] = []

    class Own(LlamaForCausalLM):  # type: ignore[misc]
        def prepare_inputs_for_generation(self, input_ids: Any, **kwargs: Any) -> Any:
            calls.append(1)
            return super().prepare_inputs_for_generation(input_ids, **kwargs)

    class OwnCache(DynamicCache):  # type: ignore[misc]
        pass

    if what == "steps":
        model.__class__ = Own
    else:
        forward = model.model.forward

        def with_own_cache(*given: Any, **more: Any) -> Any:
            calls.append(1)
            if more.get("past_key_values") is None:
                more["past_key_values"] = OwnCache(config=model.config)
            return forward(*given, **more)

        monkeypatch.setattr(model.model, "forward", with_own_cache)
    generate = model.generate
    monkeypatch.setattr(
        model, "generate", lambda *given, **more: calls.append(2) or generate(*given, **more)
    )
    assert_frame_equal(sample(model, tokenizer, PROMPTS, **SETTINGS), expected)
    assert {1, 2} == set(calls)


def test_scores_that_are_no_numbers(base: Any) -> None:
    model, tokenizer = base
    with torch.no_grad():
        model.model.norm.weight.fill_(torch.nan)
    with pytest.raises(ValueError, match=f"scores of the next token are nan in {len(PROMPTS)} of"):
        sample(model, tokenizer, PROMPTS, **SETTINGS)


def test_a_layer_with_room_holds_what_the_librarys_holds() -> None:
    torch.manual_seed(0)
    plain, states = DynamicLayer(), torch.randn(4, 2, 7, 3)
    plain.update(states, -states)
    rows = torch.tensor([0, 0, 1, 2, 3, 3])
    roomy = RoomyLayer(plain, rows, 3)
    plain.reorder_cache(rows)
    for held in (6, 6, 4):
        if held == 4:  # the second row and the last are let go; the fifth takes a place
            roomy.move_rows(4, [1], [4])
            plain.reorder_cache(torch.tensor([0, 4, 2, 3]))
        new = torch.randn(held, 2, 1, 3)
        seen, expected = roomy.update(new, -new), plain.update(new, -new)
        assert all(torch.equal(a, b) for a, b in zip(seen, expected, strict=True))
        assert torch.equal(roomy.keys, plain.keys)
        assert torch.equal(roomy.values, plain.values)
        assert roomy.get_seq_length() == plain.get_seq_length()

"""Batches that fit: sized by free memory, halved where it runs out, the longest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import pytest
import torch
from polars.testing import assert_frame_equal
from transformers import LlamaConfig, MambaConfig, Qwen2Config

from helpers.small_sampling import sample
from helpers.tiny import sentences
from paretohqd.models import chat, memory, sampling
from paretohqd.models.memory import Room, ran_out, token_bytes
from paretohqd.rewards.classifier import ClassifierReward
from paretohqd.rewards.networks import Network

LLAMA = token_bytes(LlamaConfig(), torch.bfloat16)
GPU = torch.device("cuda", 0)
FULL = torch.OutOfMemoryError("CUDA out of memory.")


def test_what_a_token_takes() -> None:
    """The sizes that the models' cards and papers give, in bfloat16."""
    qwen = Qwen2Config(
        hidden_size=3584, num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4
    )
    assert (LLAMA, token_bytes(qwen, torch.bfloat16)) == (524_288, 57_344)
    assert token_bytes(qwen, torch.float32) == 2 * 57_344
    assert token_bytes(LlamaConfig(head_dim=64), torch.bfloat16) == 262_144
    assert token_bytes(MambaConfig(), torch.bfloat16) == 0, "it has no heads"


@pytest.mark.parametrize(
    ("free", "rows"),
    # Beside 13.5 GB of weights on cards of 24, 40 and 80 GB, 448 + 128 tokens a row.
    [(10.5e9, 17), (26.5e9, 43), (66.5e9, 110), (1e6, 1)],
)
def test_a_gpus_free_memory_is_the_limit(
    free: float, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free - 1e9, 80e9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 3e9)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 2e9)
    room = Room(GPU, LLAMA)
    assert room.rows(576) == rows
    assert room.rows(576) * 576 * LLAMA <= max(free / 2, 576 * LLAMA)
    assert Room(torch.device("cpu"), LLAMA).rows(576) > 1e6, "nothing is known of a CPU's"


def test_halves_until_it_fits() -> None:
    """At most seven rows of ten tokens: pieces of later batches are no larger, longer ones less."""
    tried: list[int] = []

    def work(rows: Sequence[int]) -> list[int]:
        tried.append(len(rows))
        if len(rows) > 7:
            raise FULL
        return list(rows)

    room = Room(torch.device("cpu"))
    made = list(room.pieces(range(40), 10, work))
    assert list(chain(*made)) == list(range(40))
    assert tried == [40, 20, 10, *[5] * 8]
    tried.clear()
    made = list(room.pieces(range(12), 5, work))
    assert list(chain(*made)) == list(range(12)), "twice as short"
    assert tried == [10, 5, 5, 2]
    assert room.rows(50) == 1


def test_a_row_alone_that_does_not_fit_and_other_errors() -> None:
    def full(rows: Sequence[int]) -> None:
        raise FULL

    def other(rows: Sequence[int]) -> None:
        raise RuntimeError("shapes do not fit")

    for work, kind in ((full, torch.OutOfMemoryError), (other, RuntimeError)):
        with pytest.raises(kind):
            list(Room(torch.device("cpu")).pieces(range(9), 1, work))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**46)
    assert ran_out(caught.value), "a CPU's own words"
    assert not ran_out(RuntimeError("shapes do not fit"))


def limited(real: Callable[..., Any], most: int, seen: list[int]) -> Callable[..., Any]:
    """A function of batches that has no memory for more than so many prompts."""

    def batch(*given: Any, **more: Any) -> Any:
        rows = given[4]
        seen.append(max(map(len, given[3])))
        if len(rows) > most:
            raise FULL
        return real(*given, **more)

    return batch


@pytest.mark.parametrize("samples", [1, 3])
def test_answers_do_not_depend_on_the_memory(
    base: Any, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = sentences()[:200:9]
    more = {"max_new_tokens": 12, "samples": samples, "batch_size": 8 * samples, "seed": 4}
    whole = sample(*base, prompts, **more)
    seen: list[int] = []
    real = sampling.decode_batch
    monkeypatch.setattr(sampling, "decode_batch", limited(real, 2, seen))
    assert_frame_equal(sample(*base, prompts, **more), whole, check_exact=True)
    lengths = [len(row) for row in chat.encode_prompts(base[1], prompts)]
    assert seen[0] == max(lengths), "what does not fit is known at once"
    assert len(seen) > len(prompts) / 2
    monkeypatch.setattr(sampling, "decode_batch", limited(real, 0, seen))
    with pytest.raises(torch.OutOfMemoryError):
        sample(*base, prompts, **more)


def test_scores_do_not_depend_on_the_memory(
    classifier: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reward = ClassifierReward(name="r", model=str(classifier), device="cpu")
    texts = (sentences()[:60], sentences()[60:120])
    whole = reward.score(*texts)
    real, passes = Network.logits, []

    def logits(self: Network, batch: Any) -> Any:
        passes.append(len(batch["input_ids"]))
        if len(batch["input_ids"]) > 1:
            raise FULL
        return real(self, batch)

    monkeypatch.setattr(Network, "logits", logits)
    assert reward.score(*texts) == pytest.approx(whole, rel=1e-5)
    assert max(passes) > 1


def test_a_gpus_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[bool] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1e12)

    def work(rows: Sequence[int]) -> int:
        if len(rows) > 1:
            raise FULL
        return len(rows)

    assert list(Room(GPU, 1).pieces([1, 2], 1, work)) == [1, 1]
    assert emptied == [True]

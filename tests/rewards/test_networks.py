"""One network for several outputs, one network at a time, and full batches."""

from __future__ import annotations

import gc
import inspect
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers.tiny import sentences, tiny_classifier
from paretohqd.rewards import classifier
from paretohqd.rewards.batches import plan
from paretohqd.rewards.classifier import ClassifierReward
from paretohqd.rewards.networks import fast_products
from paretohqd.rewards.scoring import score

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEXTS = sentences()
FRAME = pl.DataFrame(
    {
        "prompt": [TEXTS[i % 500] for i in range(120)],
        "response": [" ".join(TEXTS[i : i + 1 + i % 3]) for i in range(120)],
    }
)


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_classifier(tmp_path_factory.mktemp("heads"), num_labels=3)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_classifier(tmp_path_factory.mktemp("other"), seed=5, kind="gpt2")


def reward(folder: Path, name: str = "r", **options: Any) -> ClassifierReward:
    return ClassifierReward(name=name, model=str(folder), device="cpu", **options)


class Watch:
    """Counts loads and passes, and how many networks live when another one is loaded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.networks: list[weakref.ref[Any]] = []
        self.alive: list[int] = []
        self.passes: list[tuple[int, int]] = []
        self.options: list[set[str]] = []
        read = transformers.AutoModelForSequenceClassification
        original = read.from_pretrained

        def load(*given: Any, **more: Any) -> Any:
            self.alive.append(sum(one() is not None for one in self.networks))
            network, report = original(*given, **more)
            self.networks.append(weakref.ref(network))
            # Not its bound method, by which it would hold itself.
            kind, itself = type(network), weakref.ref(network)

            def counted(**inputs: Any) -> Any:
                self.passes.append(tuple(inputs["input_ids"].shape))
                self.options.append(set(inputs))
                return kind.forward(itself(), **inputs)

            whole = inspect.signature(kind.forward)  # which is looked at
            counted.__signature__ = whole  # type: ignore[attr-defined]
            network.forward = counted
            return network, report

        monkeypatch.setattr(read, "from_pretrained", load)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Any:
    gc.collect()
    gc.disable()  # or chance would collect what the code forgets
    try:
        yield Watch(monkeypatch)
    finally:
        gc.enable()


def alone(folder: Path, output: int) -> list[float]:
    scored = score(FRAME, [reward(folder, output=output)])
    return scored["r"].to_list()  # type: ignore[no-any-return]


def test_outputs_of_one_head_share_a_network_and_its_passes(heads: Path, watch: Watch) -> None:
    expected = [alone(heads, output) for output in range(3)]
    single = len(watch.passes) // 3
    watch.passes.clear()
    watch.networks.clear()
    watch.alive.clear()
    told: list[tuple[int, int]] = []
    outputs = [reward(heads, name, output=i) for i, name in enumerate("abc")]
    # Another reward between them does not part them.
    between = {"a": outputs[0], "n": lambda completions: [0.0] * 120, "b": outputs[1]}
    scored = score(FRAME, {**between, "c": outputs[2]}, progress=lambda *d: told.append(d))
    assert scored.columns[2:] == ["a", "n", "b", "c"]
    assert [scored[name].to_list() for name in "abc"] == expected, "bit for bit"
    assert len(set(map(str, expected))) == 3
    assert len(watch.alive) == 1
    assert len(watch.passes) == single
    assert told[-1] == (480, 480)
    assert told == sorted(told)
    assert outputs[0].load() is outputs[2].load(), "and keep it"
    assert len(watch.alive) == 1


def test_rewards_that_differ_otherwise_share_nothing(heads: Path) -> None:
    one = reward(heads, "a", output=0)
    for change in ({"max_length": 20}, {"dtype": "bfloat16"}, {"template": "{prompt} {response}"}):
        assert len(classifier.grouped([one, reward(heads, "b", output=1, **change)])) == 2
    assert classifier.grouped([one, reward(heads, "b", output=1)])[0][0] is one


def test_one_output_twice_is_refused(heads: Path, other: Path) -> None:
    message = r"^rewards 'a' and 'b' are the same output of "
    with pytest.raises(ValueError, match=message):
        score(FRAME, [reward(heads, "a", output=1), reward(heads, "b", output=1)])
    with pytest.raises(ValueError, match=message):
        score(FRAME, [reward(other, "a"), reward(other, "b", output=0)])
    with pytest.raises(ValueError, match="several outputs; choose one"):
        score(FRAME, [reward(heads, "a", output=1), reward(heads, "b")])


def test_over_long_rows_are_counted_for_each_output(heads: Path) -> None:
    outputs = [reward(heads, name, output=i, max_length=30) for i, name in enumerate("ab")]
    with pytest.warns(UserWarning, match="more than 30 tokens lose") as caught:
        score(FRAME, outputs)
    assert len(caught) == 2
    assert outputs[0].truncated == outputs[1].truncated > 0


def test_one_network_at_a_time_is_in_memory(heads: Path, other: Path, watch: Watch) -> None:
    rewards = [reward(heads, "a", output=0), reward(other, "b"), reward(heads, "c", output=1)]
    expected = score(FRAME, rewards)
    assert watch.alive == [0, 0]
    assert [one.is_loaded() for one in rewards] == [False, True, False]
    assert score(FRAME, rewards).equals(expected)
    assert watch.alive == [0] * 4
    score(FRAME, rewards, keep_loaded=True)
    assert watch.alive == [0] * 4 + [1]
    score(FRAME, rewards)
    assert len(watch.alive) == 5, "what is in memory already is used"


def test_networks_keep_nothing_to_go_on_from(heads: Path, watch: Watch) -> None:
    score(FRAME, [reward(heads, output=0)])
    assert all("use_cache" in given for given in watch.options)


# ── batches ─────────────────────────────────────────────────────────────────────────────────────


def like_hh_rlhf(n: int) -> np.ndarray:
    """Lengths like those of n answers of hh-rlhf with their prompts, up to the limit."""
    drawn = np.random.default_rng(0).lognormal(5.2, 0.8, n).astype(int) + 20
    return np.minimum(drawn, 1024)


def full(batches: list[np.ndarray], lengths: np.ndarray) -> int:
    """Rows in batches that could hold no more."""
    sizes = [(len(rows), min(64, 16_384 // lengths[rows[0]])) for rows in batches]
    return sum(rows for rows, most in sizes if rows == most)


def test_nine_rows_of_ten_are_in_full_batches() -> None:
    lengths = like_hh_rlhf(321_600)
    batches = list(plan(lengths, batch_size=64, batch_tokens=16_384))
    assert full(batches, lengths) >= 0.9 * len(lengths)
    before = [
        rows
        for start in range(0, 20 * 1024, 1024)
        for rows in plan(lengths[start : start + 1024], batch_size=16, batch_tokens=10**9)
    ]
    assert 20 * 1024 / len(before) < 3, "rows a pass, where 1,024 rows meet"
    assert len(lengths) / len(batches) > 40


@pytest.mark.parametrize(("size", "tokens"), [(1, 10), (4, 40), (64, 16_384), (3, 1)])
def test_batches_hold_every_row_once_within_their_limits(size: int, tokens: int) -> None:
    lengths = np.random.default_rng(1).integers(1, 30, 500)
    batches = list(plan(lengths, batch_size=size, batch_tokens=tokens))
    assert sorted(np.concatenate(batches).tolist()) == list(range(500))
    for rows in batches:
        assert len(set(lengths[rows])) == 1
        assert len(rows) <= size
        assert len(rows) == 1 or len(rows) * lengths[rows[0]] <= tokens
        assert rows.tolist() == sorted(rows.tolist())
    assert list(plan(lengths[:0], batch_size=size, batch_tokens=tokens)) == []


def test_order_and_bytes_do_not_depend_on_batches(
    heads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a network whose sums are exact, which rounding does not tell apart."""
    sizes: Counter[int] = Counter()

    class Exact(torch.nn.Module):  # type: ignore[misc]
        def forward(self, input_ids: Any, attention_mask: Any = None) -> Any:
            assert bool(attention_mask.all()), "nothing is padded"
            sizes[len(input_ids)] += 1
            place = torch.arange(1, 1 + input_ids.shape[1])
            total = (input_ids * place).sum(dim=1, keepdim=True).double()
            return type("Out", (), {"logits": total})

    frame = pl.DataFrame(
        {
            "prompt": [TEXTS[i * 7 % 588] for i in range(3000)],
            "response": [TEXTS[i * 31 % 588] + " So." * (i % 4) for i in range(3000)],
        }
    )
    made: dict[int, bytes] = {}
    for size in (64, 1):
        one = reward(heads, output=0, batch_size=size, template="{prompt} {response}")
        network = one.load()
        exact = Exact()
        exact.config = network.network.config
        object.__setattr__(network, "network", exact)
        sizes.clear()
        made[size] = score(frame, [one])["r"].to_numpy().tobytes()
        assert max(sizes) == size
    assert made[64] == made[1]
    assert len(set(np.frombuffer(made[1]))) > 500


def test_float32_products_are_fast_on_a_gpu_alone_and_only_meanwhile() -> None:
    before = torch.get_float32_matmul_precision()
    with fast_products("cpu"):
        assert torch.get_float32_matmul_precision() == before
    with fast_products("cuda:0"):
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == before
    with pytest.raises(KeyError), fast_products("cuda"):
        raise KeyError
    assert torch.get_float32_matmul_precision() == before


def test_batches_are_the_same_whichever_are_left_out(heads: Path) -> None:
    """So that a work that goes on gives the bits of one that was not stopped."""
    twice = pl.concat([FRAME, FRAME[:30]])
    prompts, responses = twice["prompt"].to_list(), twice["response"].to_list()
    group = [reward(heads, name, output=i, batch_size=8) for i, name in enumerate("ab")]
    whole = np.stack(classifier.score_together(group, prompts, responses), axis=1)
    assert whole[:30].tobytes() == whole[120:].tobytes()
    asked: list[int] = []

    def even(rows: np.ndarray) -> np.ndarray:
        asked.append(len(rows))
        return np.full(len(rows), len(asked) % 2 == 0)

    seen = np.zeros(len(twice), dtype=bool)
    for rows, scores in classifier.score_batches(group, prompts, responses, left=even):
        assert scores.tobytes() == whole[rows].tobytes()
        seen[rows] = True
    assert sum(asked) == len(twice)
    assert 0 < seen.sum() < len(twice)
    # Of batches that were cut otherwise before, any rows may be left: of equal texts some, too.
    some = np.arange(len(twice)) % 3 != 0
    seen[:] = False
    for rows, scores in classifier.score_batches(
        group, prompts, responses, left=lambda rows: some[rows]
    ):
        np.testing.assert_allclose(scores, whole[rows], rtol=1e-5, atol=1e-6)
        seen[rows] = True
    assert (seen == some).all()

"""Scoring and generation on several machines: the same functions, in Ray actors.

An actor loads its models once and then takes one batch after the other; one that dies is replaced,
and its batch is done again.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.distributed.cluster import answers, pa, packed, ray, stay_here, unpacked
from paretohqd.frames.objectives import column
from paretohqd.models.spec import Model, Sampling
from paretohqd.rewards import scoring
from paretohqd.rewards.judge import JudgeReward
from paretohqd.rewards.scoring import Reward

DEFAULT = Sampling()


def score(
    data: Any,
    rewards: Sequence[Reward],
    *,
    prompt: str = "prompt",
    response: str = "response",
    allow_empty: bool = False,
    batch_size: int = 1024,
    concurrency: int | None = None,
    num_gpus: float | None = None,
) -> Any:
    """Add a column of scores for each reward, as `scoring.score` does, on a Ray cluster.

    Args:
        data: A Polars frame, of which only the texts travel, or a `ray.data.Dataset`.
        rewards: What to score by. They are copied to the actors without their loaded models; what
            such a copy counts, as a `ClassifierReward` does over-long texts, stays there.
        prompt: Column of the prompts.
        response: Column of the answers.
        allow_empty: Score blank answers too.
        batch_size: Rows that an actor is given at a time.
        concurrency: Actors; one per GPU, or per CPU where there is no GPU, by default.
        num_gpus: GPUs that each actor needs; 1 if the cluster has any, else 0.

    Returns:
        The frame with one Float64 column per reward after its own; for a Dataset, one that
        is as lazy as it was, with these columns. A score that does not depend on the other pairs,
        as that of an embedded scorer, has the bytes that `scoring.score` gives it; a
        `ClassifierReward` rounds by the batch (about 1e-6 of the score) unless its `batch_size` is
        1.

    Raises:
        ValueError: As `scoring.score`. For a Dataset such an error is raised when it runs, within
            an error of Ray's.
        ImportError: Ray is not installed.
    """
    texts: dict[str, Any] = {"prompt": prompt, "response": response, "allow_empty": allow_empty}
    bare = [_bare(reward) for reward in rewards]
    if not isinstance(data, pl.DataFrame):
        work = {"fn_constructor_args": (bare, texts)}
        actors = _actors(concurrency, num_gpus) | work
        return data.map_batches(_Scorer, batch_size=batch_size, batch_format="pyarrow", **actors)
    # Whatever is wrong with the texts is said at once, and with the row's number in the frame.
    whole = scoring.score(data, [_Nothing(reward.name) for reward in rewards], **texts)
    starts = range(0, len(data), batch_size)
    columns = scoring.read_texts(data, **texts)
    work = {"fn_constructor_args": (bare, {"allow_empty": allow_empty, "plain": True})}
    scores = [pl.DataFrame(schema={reward.name: pl.Float64 for reward in rewards})]
    blocks = [_table(columns[start : start + batch_size]) for start in starts]
    actors = _actors(concurrency, num_gpus, len(blocks)) | work
    start = 0
    try:
        for scores_of_batch in _done(blocks, _FrameScorer, actors):
            scores.append(scores_of_batch)
            start += len(scores_of_batch)
    except ValueError as error:
        where = f"in the batch that begins at row {start}: " if start else ""
        raise ValueError(f"{where}{error}") from None
    return whole.with_columns(pl.concat(scores).iter_columns())


def generate(
    prompts: Sequence[str],
    *,
    model: Model | str,
    adapter: str | Path | None = None,
    system_prompt: Sequence[str] | None = None,
    seed: int = 0,
    samples: int = 1,
    sampling: Sampling = DEFAULT,
    precision: str = "float32",
    concurrency: int | None = None,
    num_gpus: float | None = None,
) -> pl.DataFrame:
    """Sample `samples` answers to every prompt, as `sampling.generate` does, on a Ray cluster.

    A loaded model does not travel, so this takes the names of a model and an adapter, which each
    actor loads, where `paretohqd.models.sampling.generate` takes a model and its tokenizer; the
    other arguments are the same.

    Prompts are put into batches here, by length, just as `sampling.generate` puts them; an actor
    decodes whole batches, each row with the random numbers that its place among all prompts gives
    it. So the answers are those of one call on one machine, as far as machines round alike.

    Args:
        prompts: n user messages.
        model: The base model, by a name or path that is the same on all machines.
        adapter: Folder of a LoRA adapter, likewise.
        system_prompt: A system message for each prompt; an empty one is none.
        seed: As for `sampling.generate`.
        samples: Answers per prompt.
        sampling: Length, temperature, top_p and batch size.
        precision: "float32" or "bfloat16": one for all actors, as a number format that each finds
            for itself might differ.
        concurrency: Actors; one per GPU, or per CPU where there is no GPU, by default. Each holds
            the model.
        num_gpus: GPUs that each actor needs; 1 if the cluster has any, else 0.

    Returns:
        Frame of n * samples rows, in the prompts' order, with the columns of `sampling.generate`.

    Raises:
        ValueError: No such model or adapter, not one system message per prompt, or a prompt leaves
            no room for an answer.
        ImportError: Ray is not installed.
    """
    from paretohqd.models import base, chat
    from paretohqd.models.sampling import ANSWERS, plan_batches

    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"precision: expected 'float32' or 'bfloat16', got {precision!r}")
    if adapter is not None and not (Path(adapter) / "adapter_config.json").is_file():
        raise ValueError(f"adapter {adapter}: holds no adapter_config.json")
    if system_prompt is not None and len(system_prompt) != len(prompts):
        raise ValueError(
            f"system_prompt: {len(system_prompt)} messages for {len(prompts)} prompts; pass one "
            "for each, empty where there is none"
        )
    spec = base.pinned(base.dated(Model(name=model) if isinstance(model, str) else model))
    ids = chat.encode_prompts(base.load_tokenizer(spec), prompts, system_prompt)
    lengths = [len(row) for row in ids]
    chat.check_room(lengths, sampling.max_new_tokens, base.context_length(spec))
    columns = {
        "row": range(len(prompts)),
        "prompt": prompts,
        "system_prompt": [""] * len(prompts) if system_prompt is None else system_prompt,
    }
    rows = pl.DataFrame(columns, schema=_PROMPTS)
    batches = plan_batches(lengths, samples=samples, batch_size=sampling.batch_size)
    blocks = [_table(rows[batch]) for batch in batches]
    actors = _actors(concurrency, num_gpus, len(blocks)) | {
        "fn_constructor_args": (spec, adapter, precision, seed, samples, sampling)
    }
    answers = [pl.DataFrame(schema=ANSWERS), *_done(blocks, _Generator, actors)]
    return pl.concat(answers).sort("row", "sample").drop("row")


_PROMPTS = {"row": pl.Int64, "prompt": pl.String, "system_prompt": pl.String}


def _actors(
    concurrency: int | None, num_gpus: float | None, blocks: int | None = None
) -> dict[str, Any]:
    """Options of `map_batches`: how many actors, no more than blocks, and what each needs."""
    stay_here()
    if not ray.is_initialized():
        ray.init(include_dashboard=False)  # an open door to the cluster, which nothing here needs
    resources = ray.cluster_resources()
    gpus = resources.get("GPU", 0)
    if num_gpus is None:
        num_gpus = 1 if gpus else 0
    if concurrency is None:
        concurrency = max(1, int(gpus / num_gpus if num_gpus else resources.get("CPU", 1)))
    concurrency = min(concurrency, max(1, blocks)) if blocks is not None else concurrency
    return {"compute": ray.data.ActorPoolStrategy(size=concurrency), "num_gpus": num_gpus}


def _done(blocks: list[pa.Table], actor: type, actors: dict[str, Any]) -> Iterator[pl.DataFrame]:
    """What actors make of each block, in order."""
    if blocks:
        done = ray.data.from_arrow(blocks).map_batches(
            actor, batch_size=None, batch_format="pyarrow", **actors
        )
        for ref in answers(done):
            yield from unpacked(ray.get(ref))


def _table(frame: pl.DataFrame) -> pa.Table:
    # Ray does not know the newest layout of strings.
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def _bare(reward: Reward) -> Reward:
    """A copy without a loaded model, which would travel to every actor; all load one commit."""
    if isinstance(reward, JudgeReward):
        raise ValueError(
            f"reward {reward.name!r}: a judge is asked by one process, which keeps its replies and "
            "its budget: use paretohqd.score"
        )
    bare = copy.copy(reward)
    if hasattr(bare, "unload"):
        bare.unload()
    if isinstance(bare, scoring.ClassifierReward):
        bare.pin()
    return bare


class _Nothing:
    """A reward that is yet to come."""

    def __init__(self, name: str) -> None:
        self.name = name

    def score(self, prompts: Sequence[str], _: Sequence[str]) -> NDArray[np.float64]:
        return np.zeros(len(prompts))

    def manifest(self) -> dict[str, Any]:
        return {}


class _Scorer:
    """An actor's work on a block: the same with scores."""

    def __init__(self, rewards: Sequence[Reward], texts: dict[str, Any]) -> None:
        self.rewards, self.texts = rewards, texts

    def scored(self, block: pa.Table) -> pl.DataFrame:
        frame = pl.from_arrow(block)
        assert isinstance(frame, pl.DataFrame)
        return scoring.score(frame, self.rewards, **self.texts)

    def __call__(self, block: pa.Table) -> pa.Table:
        return _table(self.scored(block))


class _FrameScorer(_Scorer):
    """The scores alone, or what is wrong."""

    def __call__(self, block: pa.Table) -> pa.Table:
        names = [reward.name for reward in self.rewards]
        return packed(lambda: self.scored(block).select(map(column, names)))


class _Generator:
    """An actor's work on a batch of prompts: their answers."""

    def __init__(
        self,
        spec: Model,
        adapter: str | Path | None,
        precision: str,
        seed: int,
        samples: int,
        sampling: Sampling,
    ) -> None:
        self.spec, self.adapter, self.precision = spec, adapter, precision
        self.seed, self.samples, self.sampling = seed, samples, sampling
        self.loaded: tuple[Any, Any] | None = None

    def load(self) -> tuple[Any, Any]:
        """The model and its tokenizer; not when the actor starts, where an error has no answer."""
        from paretohqd.models import base
        from paretohqd.models.adapters import load_adapter
        from paretohqd.models.machine import find_machine

        if self.loaded is None:
            machine = find_machine("auto", self.precision)
            model, tokenizer = base.load_base(self.spec, device=machine.device, dtype=machine.dtype)
            if self.adapter is not None:
                model = load_adapter(model, Path(self.adapter))
            self.loaded = model, tokenizer
        return self.loaded

    def __call__(self, block: pa.Table) -> pa.Table:
        return packed(lambda: self.answered(*block.to_pydict().values()))

    def answered(
        self, rows: list[int], prompts: list[str], system_prompt: list[str]
    ) -> pl.DataFrame:
        """The answers to prompts of these numbers among all prompts."""
        from paretohqd.models.chat import encode_prompts
        from paretohqd.models.sampling import decode_batch

        model, tokenizer = self.load()
        ids = encode_prompts(tokenizer, prompts, system_prompt)
        # generate() would number its prompts from 0, and seed them by that.
        return decode_batch(
            model,
            tokenizer,
            prompts,
            ids,
            rows,
            seed=self.seed,
            samples=self.samples,
            sampling=self.sampling,
        )

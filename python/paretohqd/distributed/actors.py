"""Generation on several machines: the same function, in Ray actors.

An actor loads its models once and then takes one batch after the other; one that dies is replaced,
and its batch is done again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from paretohqd.distributed.cluster import answers, pa, packed, ray, stay_here, unpacked
from paretohqd.models.spec import Model, Sampling

DEFAULT = Sampling()


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
    from paretohqd.models.answer_batch import ANSWERS
    from paretohqd.models.sampling import plan_batches

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
    blocks = [table(rows[batch]) for batch in batches]
    actors = actor_pool(concurrency, num_gpus, len(blocks)) | {
        "fn_constructor_args": (spec, adapter, precision, seed, samples, sampling)
    }
    answers = [pl.DataFrame(schema=ANSWERS), *done(blocks, _Generator, actors)]
    return pl.concat(answers).sort("row", "sample").drop("row")


_PROMPTS = {"row": pl.Int64, "prompt": pl.String, "system_prompt": pl.String}


def actor_pool(
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


def done(blocks: list[pa.Table], actor: type, actors: dict[str, Any]) -> Iterator[pl.DataFrame]:
    """What actors make of each block, in order."""
    if blocks:
        done = ray.data.from_arrow(blocks).map_batches(
            actor, batch_size=None, batch_format="pyarrow", **actors
        )
        for ref in answers(done):
            yield from unpacked(ray.get(ref))


def table(frame: pl.DataFrame) -> pa.Table:
    """A frame as Ray takes it."""
    # Ray does not know the newest layout of strings.
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


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
        from paretohqd.models.sampling import decode_fitting, room_for

        model, tokenizer = self.load()
        # generate() would number its prompts from 0, and seed them by that.
        return decode_fitting(
            model,
            tokenizer,
            prompts,
            encode_prompts(tokenizer, prompts, system_prompt),
            rows,
            room=room_for(model, self.samples),
            seed=self.seed,
            samples=self.samples,
            sampling=self.sampling,
        )

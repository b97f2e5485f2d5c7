"""Several models as one reference of DPO: how much more than the base it prefers each winner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.compare.workbench import Workbench
from paretohqd.frames.new_files import write_parquet
from paretohqd.models.chat import SIDES, pair_lengths
from paretohqd.models.likelihood import likelihood

Floats = NDArray[np.float64]


def reference_gains(
    bench: Workbench, pairs: pl.DataFrame, references: Sequence[Path], *, longest: int | None
) -> Floats:
    """Log-probabilities of both answers of pairs under references, less the base's, as a step.

    Args:
        bench: The method's.
        pairs: Columns prompt, chosen and rejected.
        references: K adapters.
        longest: Tokens of a prompt and its answer that training reads.

    Returns:
        Shape (K, 2, pairs).
    """
    s = bench.context
    rows = pairs.select("prompt", *SIDES)

    def work(out: Path) -> dict[str, Any]:
        prompts = rows["prompt"].to_list() * len(SIDES)
        answers = [text for side in SIDES for text in rows[side]]
        models = [[], *([(folder, 1.0)] for folder in references)]
        read: list[Floats] = []
        with s.screen.bar(f"{bench.title}: read pairs under {len(models)} models") as progress:
            for adapters in models:
                model, tokenizer = s.sampler(*adapters)
                made = likelihood(
                    model,
                    tokenizer,
                    prompts,
                    answers,
                    longest=longest,
                    progress=lambda done, each: progress(
                        len(read) * each + done, len(models) * each
                    ),
                )
                read.append(made["logp"].to_numpy().reshape(len(SIDES), -1))
        gains = np.array(read[1:]) - read[0]
        names = [f"{k} {side}" for k in range(len(references)) for side in SIDES]
        columns = gains.reshape(len(names), -1)
        write_parquet(pl.DataFrame(dict(zip(names, columns, strict=True))), out / "gains.parquet")
        return {}

    made = bench.step(
        "references",
        work,
        settings={"bfloat16": s.machine.bfloat16, "longest": longest},
        inputs={"pairs": s.folder.hash_frame(rows), "model": s.model_id}
        | {f"adapter{k}": s.folder.hash_path(folder) for k, folder in enumerate(references)},
    )
    tokens = sum(pair_lengths(bench.tokenizer(), rows, longest))
    bench.charge(made, "train", "once", passed=(1 + len(references)) * tokens)
    gains = pl.read_parquet(made.path / "gains.parquet").to_numpy().T
    return np.asarray(gains, dtype=np.float64).reshape(len(references), len(SIDES), -1)


def mixed_gain(gains: Floats, weights: Sequence[float]) -> Floats:
    """How much more than the base the mixed reference prefers the chosen to the rejected answers.

    The mixed reference is 1 / sum_k w_k / reference_k. What it adds to the base's difference of
    log-probabilities is, over beta, what DPO's logit loses: a margin.

    Args:
        gains: (K, 2, n) as `reference_gains` gives them.
        weights: (K,) that sum to 1.

    Returns:
        Shape (n,).

    Example:
        >>> gains = np.array([[[1.0], [0.0]], [[3.0], [0.0]]])
        >>> mixed_gain(gains, (1.0, 0.0)).tolist()
        [1.0]
        >>> bool(1 < mixed_gain(gains, (0.5, 0.5))[0] < 2)  # nearer to the smaller
        True
    """
    used = [k for k, weight in enumerate(weights) if weight > 0]
    power = np.array([np.log(weights[k]) - gains[k] for k in used])
    mixed = -np.logaddexp.reduce(power, axis=0)
    return np.asarray(mixed[0] - mixed[1])

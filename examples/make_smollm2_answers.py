"""Make smollm2_answers.parquet: SmolLM2's own sampled answers, the quickstart's offline data.

One turn of each of 2,000 human conversations (chitchat-dataset, MIT) is answered four times by
SmolLM2-135M-Instruct (Apache-2.0): 48 tokens, temperature .7, top-p .9, seed 0, in bfloat16. An
answer that did not end by itself is cut after its last whole sentence. About 35 minutes on one CPU
core that has bfloat16 instructions.

    python examples/make_smollm2_answers.py examples/smollm2_answers.parquet
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import torch
from chitchat_dataset import Dataset

from paretohqd.models import base
from paretohqd.models.sampling import generate, trim_unfinished
from paretohqd.models.spec import Model, Sampling
from paretohqd.plots.progress import Screen

PROMPTS, SAMPLES, SEED = 2_000, 4, 0


def choose_prompts(count: int = PROMPTS, seed: int = SEED) -> pl.DataFrame:
    """One turn of 4 to 40 words of each of some conversations: conversation, turn, prompt."""
    rows = []
    for number, conversation in enumerate(Dataset().values()):
        joined = (" ".join(m["text"] for m in turn) for turn in conversation["messages"])
        turns = [" ".join(text.split()) for text in joined]
        answered = [a for a, b in pairwise(turns) if a and b]
        rows += [(number, place, text) for place, text in enumerate(answered)]
    turns = pl.DataFrame(rows, schema=["conversation", "turn", "prompt"], orient="row").filter(
        pl.col("prompt").str.split(" ").list.len().is_between(4, 40)
        & pl.col("prompt").str.contains(r"^[\x20-\x7e]+$")
    )
    rng = np.random.default_rng(seed)
    numbers = turns["conversation"].unique(maintain_order=True)
    chosen = numbers.gather(rng.permutation(len(numbers))[:count])
    groups = turns.partition_by("conversation", as_dict=True)
    picked = []
    for number in chosen:
        group = groups[(number,)]
        picked.append(group.row(int(rng.integers(len(group))), named=True))
    return pl.DataFrame(picked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    arguments = parser.parse_args()
    prompts = choose_prompts()
    model, tokenizer = base.load_base(Model(), device="cpu", dtype=getattr(torch, arguments.dtype))
    with Screen().bar("sample answers") as progress:
        answers = generate(
            model,
            tokenizer,
            prompts["prompt"].to_list(),
            seed=SEED,
            samples=SAMPLES,
            sampling=Sampling(max_new_tokens=48, temperature=0.7, top_p=0.9, batch_size=128),
            progress=progress,
        )
    frame = with_conversations(trim_unfinished(answers), prompts)
    frame.write_parquet(arguments.output, compression="zstd", compression_level=19)


def with_conversations(answers: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
    """Each answer beside the number of its conversation; blank answers are left out."""
    number = prompts["conversation"].cast(pl.UInt16).gather(np.arange(len(answers)) // SAMPLES)
    frame = answers.select(number, "prompt", "response", pl.col("sample").cast(pl.UInt8))
    return frame.filter(pl.col("response").str.strip_chars() != "")


if __name__ == "__main__":
    main()

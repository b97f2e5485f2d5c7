"""What methods that act at use cost there: seconds for each token of an answer, beside the base's.

    python benches/at_use.py benches/results/at-use.csv

The embedded model answers the same prompts plainly, as best of 8 (without the scorers' time), with
each sentence chosen among 4, edited by a second pass, and with a value model of each form looking
at 8 candidates (untrained: what it says costs nothing). Ratios are of minima of two repeats. In
float32 a guide of no strength is asserted to change no answer; bfloat16 rounds several otherwise.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import torch

from paretohqd.compare.using import edit_prompt
from paretohqd.models import chat
from paretohqd.models.adapter_settings import LORA_DEFAULTS
from paretohqd.models.base import Model, load_base
from paretohqd.models.continuing import continued, sentence_ends
from paretohqd.models.guide import Guide, Tilt
from paretohqd.models.guided_sampling import generate_guided
from paretohqd.models.machine import find_machine
from paretohqd.models.sampling import generate
from paretohqd.models.spec import Sampling
from paretohqd.trainers.values import Values

PROMPTS, REPEATS = 16, 2
CERTAIN = 64
"""Likeliest tokens that hold all that is drawn from: each of a vocabulary would take hours."""
SAMPLING = Sampling(max_new_tokens=48, temperature=0.7, top_p=0.9)
SOURCE = Path(__file__).parents[1] / "examples" / "smollm2_answers.parquet"


def main(out: str) -> None:
    """Time every way and write the table."""
    machine = find_machine()
    load = lambda: load_base(Model(), device=machine.device, dtype=machine.dtype)  # noqa: E731
    model, tokenizer = load()
    prompts = pl.read_parquet(SOURCE)["prompt"].unique(maintain_order=True).head(PROMPTS).to_list()

    def plainly(texts: list[str] = prompts, samples: int = 1) -> pl.DataFrame:
        return generate(model, tokenizer, texts, seed=1, samples=samples, sampling=SAMPLING)

    def edited() -> pl.DataFrame:
        drafts = plainly()["response"].to_list()
        return plainly(
            [edit_prompt(p, d, "Be kinder.") for p, d in zip(prompts, drafts, strict=True)]
        )

    ways: dict[str, Callable[[], int]] = {
        "base": lambda: int(plainly()["tokens"].sum()),
        "best_of_n, 8": lambda: int(plainly(samples=8).filter(sample=0)["tokens"].sum()),
        "guided, 4": lambda: by_sentence(model, tokenizer, prompts),
        "metaaligner": lambda: int(edited()["tokens"].sum()),
    }
    with tempfile.TemporaryDirectory() as place:
        for head in ("value", "action"):
            folder = Path(place) / head
            folder.mkdir()
            values = Values(
                load()[0], tokenizer, 2, LORA_DEFAULTS, head=head, machine=machine, seed=0
            )
            values.save(folder)
            guide = Guide(load()[0], folder, Tilt(weights=(0.5, 0.5), candidates=8))
            ways[f"mavis, {head}, 8"] = lambda guide=guide: int(  # type: ignore[misc]
                generate_guided(model, tokenizer, prompts, guide, seed=1, sampling=SAMPLING)[
                    "tokens"
                ].sum()
            )
            free = Guide(
                load()[0], folder, Tilt(weights=(0.5, 0.5), strength=0.0, candidates=CERTAIN)
            )
            some = generate_guided(model, tokenizer, prompts[:1], free, seed=1, sampling=SAMPLING)
            same = some["response"].to_list() == plainly(prompts[:1])["response"].to_list()
            assert same or machine.bfloat16, "a guide of no strength changes nothing but rounding"
        rows = [timed(name, work) for name, work in ways.items()]
    base = rows[0]["seconds_per_token"]
    table = pl.DataFrame([row | {"ratio": row["seconds_per_token"] / base} for row in rows])
    print(table)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    table.write_csv(out, float_precision=4)


def timed(name: str, work: Callable[[], int]) -> dict[str, Any]:
    """Seconds for each token of what is given, at the best of some repeats."""
    best, tokens = float("inf"), 0
    for _ in range(REPEATS):
        start = time.perf_counter()
        tokens = work()
        best = min(best, time.perf_counter() - start)
    return {"way": name, "tokens": tokens, "seconds": best, "seconds_per_token": best / tokens}


@torch.inference_mode()
def by_sentence(model: Any, tokenizer: Any, prompts: list[str]) -> int:
    """Tokens of answers that go on from the first of four ways, sentence by sentence."""
    ids = chat.encode_prompts(tokenizer, prompts)
    stop = chat.stop_tokens(model, tokenizer)
    begun: list[list[int]] = [[] for _ in prompts]
    going, turn = list(range(len(prompts))), 0
    while going:
        ways = continued(
            model,
            tokenizer,
            [ids[i] for i in going],
            [begun[i] for i in going],
            going,
            ends={*stop, *sentence_ends(tokenizer)},
            candidates=4,
            seed=turn,
            sampling=SAMPLING,
        )
        for i, own in zip(going, ways, strict=True):
            begun[i] = [*begun[i], *own[0]]
        longest = SAMPLING.max_new_tokens
        going = [i for i in going if begun[i][-1] not in stop and len(begun[i]) < longest]
        turn += 1
    return sum(map(len, begun))


if __name__ == "__main__":
    main(*sys.argv[1:])

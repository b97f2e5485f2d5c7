"""Sampling on a CPU: transformers' search and ours, the same answers in one run.

    python benches/sampling.py [--prompts 64] [--tokens 48] [--threads N] [--adapter FOLDER]
                               [--precision auto] [--repeats 3] [--out FOLDER]

Prompts of the quickstart's answers, SmolLM2 and an adapter: a trained one, whose answers end, or a
small random one, whose answers mostly do not. Both searches take turns; tokens are those of the
answers, seconds the least of the repeats; for the record the machine should be idle. In float32
the answers are asserted to be the same; in bfloat16 the share that is the same is written.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import polars as pl
import torch
from peft import LoraConfig, get_peft_model

from paretohqd.bench.record import place, write
from paretohqd.models import answer_batch, base, sampling
from paretohqd.models.adapters import load_adapter
from paretohqd.models.machine import find_machine
from paretohqd.models.spec import Model, Sampling

ANSWERS = Path(__file__).parent.parent / "examples" / "smollm2_answers.parquet"


def random_adapter(model: Any) -> Any:
    """An adapter of the usual size whose updates are small."""
    torch.manual_seed(0)
    settings = LoraConfig(r=16, target_modules="all-linear", init_lora_weights=False)
    wrapped = get_peft_model(model, settings, autocast_adapter_dtype=False).eval()
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if "lora_B" in name:
                weight.mul_(0.05)
    return wrapped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    machine = find_machine("cpu", given.precision, given.threads)
    plain, tokenizer = base.load_base(Model(), device="cpu", dtype=machine.dtype)
    model = load_adapter(plain, given.adapter) if given.adapter else random_adapter(plain)
    prompts = pl.read_parquet(ANSWERS)["prompt"].unique(maintain_order=True)[: given.prompts]
    settings = Sampling(max_new_tokens=given.tokens, batch_size=64)
    searches = {"transformers": lambda *given, **more: None, "ours": answer_batch.decode}
    seconds: dict[str, list[float]] = {name: [] for name in searches}
    answers: dict[str, pl.DataFrame] = {}
    for _ in range(given.repeats):
        for name, search in searches.items():
            answer_batch.decode = search
            start = time.perf_counter()
            answers[name] = sampling.generate(
                model, tokenizer, prompts.to_list(), sampling=settings, seed=1
            )
            seconds[name].append(time.perf_counter() - start)
    ours, theirs = answers["ours"], answers["transformers"]
    same = float((ours["response"] == theirs["response"]).mean())
    assert machine.bfloat16 or same == 1, f"{same:.3f} of the answers are the same"
    least = {name: min(times) for name, times in seconds.items()}
    rows = [
        {
            "search": name,
            "tokens": answers[name]["tokens"].sum(),
            "seconds": f"{least[name]:.2f}",
            "tokens_per_s": f"{answers[name]['tokens'].sum() / least[name]:.1f}",
            "times": f"{least['transformers'] / least[name]:.2f}",
            "finished": f"{answers[name]['finished'].mean():.3f}",
            "same": f"{same:.3f}",
            "machine": machine.describe(),
        }
        for name in searches
    ]
    for row in rows:
        print(row)
    if given.out:
        write(rows, place(given.out, "sampling"), list(rows[0]))


if __name__ == "__main__":
    main()

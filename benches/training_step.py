"""A training step on a CPU: TRL's forward pass and ours, the same batches and losses in one run.

    python benches/training_step.py [--steps 10] [--threads N] [--precision auto] [--out FOLDER]

The quickstart's batches (8 answers of SmolLM2 with their prompts, LoRA of rank 16) are read by
both in turn, forward and backward. Seconds are the least of all steps, of the clock and of the
CPU; for the record the machine should be idle. That losses and gradients agree is asserted.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import polars as pl
import torch
from peft import LoraConfig, get_peft_model
from trl.trainer.utils import add_fused_lm_head

from paretohqd.bench.record import place, write
from paretohqd.models import base
from paretohqd.models.chat import encode_frame, pad_answers, stop_tokens
from paretohqd.models.machine import find_machine
from paretohqd.models.spec import Model
from paretohqd.trainers.cpu_head import put_head

ANSWERS = Path(__file__).parent.parent / "examples" / "smollm2_answers.parquet"
ROWS = 8


def batches(tokenizer: Any, stop: list[int], steps: int) -> list[dict[str, torch.Tensor]]:
    """Batches as SFTTrainer makes them of rows of the quickstart's answers."""
    rows = pl.read_parquet(ANSWERS).sample(steps * ROWS, seed=0).select("prompt", "response")
    ids = [(prompt, answer) for prompt, answer, _ in encode_frame(tokenizer, rows, stop=stop)]
    made = []
    for start in range(0, len(ids), ROWS):
        batch = pad_answers(ids[start : start + ROWS], tokenizer, "cpu")
        labels = batch.tokens.masked_fill(~batch.answer, -100)
        made.append(
            {"input_ids": batch.tokens, "attention_mask": batch.attention, "labels": labels}
        )
    return made


def step(model: Any, batch: dict[str, torch.Tensor], bfloat16: bool) -> dict[str, Any]:
    """Loss, gradient and seconds of one step."""
    model.zero_grad()
    wall, cpu = time.perf_counter(), time.process_time()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        out = model(**batch, fused_lm_head=True, use_cache=False)
        loss = -out.log_probs.sum() / out.label_mask.sum()
    loss.backward()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    grads = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return {"loss": loss.item(), "grad": torch.cat(grads), "wall": wall, "cpu": cpu}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    machine = find_machine("cpu", given.precision, given.threads)
    plain, tokenizer = base.load_base(Model(), device="cpu", dtype=torch.float32)
    torch.manual_seed(0)
    settings = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", lora_dropout=0.0)
    model = get_peft_model(plain, settings)
    add_fused_lm_head(plain, outputs=("log_probs", "entropy", "is_top1"))
    theirs = plain.forward
    assert put_head(plain, longest=256)
    ours = plain.forward
    model.train()
    found: dict[str, list[dict[str, Any]]] = {"TRL": [], "ours": []}
    for batch in batches(tokenizer, stop_tokens(plain, tokenizer), given.steps):
        for name, forward in (("TRL", theirs), ("ours", ours)):
            plain.forward = forward
            found[name].append(step(model, batch, machine.bfloat16))
        expected, now = found["TRL"][-1], found["ours"][-1]
        apart = abs(now["loss"] / expected["loss"] - 1)
        turned = float((now["grad"] - expected["grad"]).norm() / expected["grad"].norm())
        del expected["grad"], now["grad"]
        assert apart < (1e-2 if machine.bfloat16 else 1e-5), apart
        assert turned < (5e-2 if machine.bfloat16 else 1e-4), turned
        print(f"losses {expected['loss']:.6f}, {now['loss']:.6f}; gradients apart by {turned:.1e}")
    rows = []
    for clock in ("wall", "cpu"):
        least = {name: min(one[clock] for one in found[name]) for name in found}
        rows.append(
            {
                "clock": clock,
                "TRL": f"{least['TRL']:.3f}",
                "ours": f"{least['ours']:.3f}",
                "times": f"{least['TRL'] / least['ours']:.2f}",
                "machine": machine.describe(),
            }
        )
        print(rows[-1])
    if given.out:
        write(rows, place(given.out, "training_step"), list(rows[0]))


if __name__ == "__main__":
    main()

"""A training step beside other programs: OpenMP's threads as they wait by default, and asleep.

    python benches/busy_machine.py [--loops 4] [--steps 8] [--rounds 3] [--out FOLDER]

Processes that take turns train a small Llama with LoRA on two threads, alone and beside so many
busy loops; least and median seconds of a step, and how many times those of the default.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from paretohqd.bench.record import place, write

POLICIES = {
    "default": {},
    "OMP_WAIT_POLICY=passive": {"OMP_WAIT_POLICY": "passive"},
    "GOMP_SPINCOUNT=5000": {"GOMP_SPINCOUNT": "5000"},
}
"""Ways to wait by name, as variables; the command sets the last."""


def child(steps: int) -> None:
    """Print the seconds of each step but the first."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 4}
    heads = {"num_attention_heads": 9, "num_key_value_heads": 3}
    plain = LlamaForCausalLM(LlamaConfig(**sizes, **heads, vocab_size=4096))
    model = get_peft_model(plain, LoraConfig(r=16, target_modules="all-linear")).train()
    tokens = torch.randint(0, 4096, (8, 80))
    for number in range(steps + 1):
        start = time.perf_counter()
        model(input_ids=tokens, labels=tokens, use_cache=False).loss.backward()
        if number:
            print(time.perf_counter() - start, flush=True)


def measured(policy: dict[str, str], steps: int) -> list[float]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_"))}
    done = subprocess.run(
        [sys.executable, __file__, "--child", str(steps)],
        env=clean | policy,
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(line) for line in done.stdout.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loops", type=int, default=4)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child)
        return
    rows = []
    for loops in (0, given.loops):
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
        seconds: dict[str, list[float]] = {name: [] for name in POLICIES}
        try:
            for _ in range(given.rounds):
                for name, policy in POLICIES.items():
                    seconds[name] += measured(policy, given.steps)
        finally:
            for process in busy:
                process.kill()
                process.wait()
        for name, times in seconds.items():
            rows.append(
                {
                    "busy_loops": loops,
                    "waiting": name,
                    "least_s": f"{min(times):.3f}",
                    "median_s": f"{median(times):.3f}",
                    "of_default": f"{median(times) / median(seconds['default']):.3f}",
                }
            )
            print(rows[-1])
    if given.out:
        write(rows, place(given.out, "busy_machine"), list(rows[0]))


if __name__ == "__main__":
    main()

"""Train one adapter per preference with TRL's own SFTTrainer, then ask each of them something.

    python examples/train_with_trl.py

A whole run (`paretohqd run`) also samples, evaluates, goes on after an interruption and trains a
second stage; this is what its first training does, by hand. Needs the extra `demo`.
"""

from pathlib import Path

import polars as pl
import torch
from peft import LoraConfig, PeftModel
from trl import SFTConfig, SFTTrainer

import paretohqd as pq
from paretohqd.models.base import load_base
from paretohqd.models.sampling import generate
from paretohqd.models.spec import Model, Sampling
from paretohqd.rewards.scoring import make_reward

ANSWERS = Path(__file__).parent / "smollm2_answers.parquet"
QUESTION = "What do you think of my new neighbour?"


def main(folder: Path = Path("runs/trl"), rows: int = 8000, steps: int = 20) -> None:
    """Select, train and sample."""
    rewards = [
        make_reward(name=name, scorer=f"embedded:{name}") for name in ("relevance", "harmless")
    ]
    scored = pq.score(pl.read_parquet(ANSWERS).head(rows), rewards)
    chosen = pq.choose(
        scored, ["relevance", "harmless"], {"relevance": [1, 0], "harmless": [0, 1]}, k=80
    )
    for name, data in chosen.to_datasets().items():
        model, tokenizer = load_base(Model(), device="cpu", dtype=torch.float32)
        trainer = SFTTrainer(
            model,
            SFTConfig(
                str(folder / name),
                max_steps=steps,
                per_device_train_batch_size=8,
                learning_rate=5e-4,
                report_to="none",
                use_cpu=True,
                # TRL's defaults are made for a GPU: many a CPU is far slower in bfloat16.
                bf16=False,
                gradient_checkpointing=False,
            ),
            train_dataset=data,
            processing_class=tokenizer,
            peft_config=LoraConfig(r=16, lora_alpha=32),
        )
        trainer.train()
        trainer.save_model()

        base, tokenizer = load_base(Model(), device="cpu", dtype=torch.float32)
        tuned = PeftModel.from_pretrained(base, folder / name)
        answer = generate(tuned, tokenizer, [QUESTION], sampling=Sampling(max_new_tokens=32))
        print(f"{name}: {answer['response'][0]}")


if __name__ == "__main__":
    main()

"""What every method works with: the same data, prompts and scorers, and what each step costs.

A step (a training, a sampling, a selection) is a stage of the run folder, named by its content: a
step that two methods share is done once and charged to both, and an interrupted comparison goes on
where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paretohqd.compare.budget import Spending, Tokens
from paretohqd.compare.config import Comparison
from paretohqd.compare.policy import Policy
from paretohqd.models import base as models
from paretohqd.models import chat
from paretohqd.models.sampling import generate
from paretohqd.runs.context import RunContext
from paretohqd.runs.folder import Stage
from paretohqd.runs.sampling import sampling, to_sampling, usable
from paretohqd.selection.choosing import choose
from paretohqd.trainers import sft

Trainer = Callable[[Any, Any, Path, Callable[[int, int], None]], Mapping[str, Any]]
"""Trains on (base model, tokenizer, folder, on_step) and returns what to remember."""


class Workbench(Spending):
    """One method's place at the bench, for one seed and one budget."""

    def __init__(
        self, session: RunContext, *, title: str, seed: int, allowed: Tokens | None = None
    ) -> None:
        """Take the session whose data are split and scored.

        Args:
            session: settings, folder, machine and rewards.
            title: the method's name in what is printed.
            seed: of everything that the method draws.
            allowed: the budget; None lets the method take its usual steps.
        """
        settings = session.settings
        assert isinstance(settings, Comparison)
        clock = "seconds" if session.machine.device == "cuda" else "cpu_seconds"
        super().__init__(allowed, settings.generation, seed=seed, clock=clock)
        self.session, self.title, self.settings = session, title, settings
        self.names, self.weights = session.names, session.weights
        self.notes: dict[str, Any] = {}
        """Findings of the method's own, for the page."""
        self._charged_scores = False
        self._tokenizer: Any = None

    @property
    def preferences(self) -> list[tuple[float, ...]]:
        """The preferences, one after the other."""
        return [tuple(map(float, row)) for row in self.weights]

    @property
    def echo_gate(self) -> float | None:
        """Word overlap beyond which an answer is never trained on; one rule for all methods."""
        return self.settings.data.max_word_overlap

    def pool(self) -> pl.DataFrame:
        """The offline rows without scores: prompt, response, conversation and the data's others."""
        path = self.session.folder.result("data").path / "pool.parquet"
        # A system message is the method's to write: what the data call so is something else.
        return pl.read_parquet(path).drop(chat.SYSTEM_PROMPT, strict=False)

    def scored(self) -> pl.DataFrame:
        """The offline rows with one column per objective; scoring them is charged once."""
        result = self.session.folder.result("stage1/score")
        frame = pl.read_parquet(result.path / "scored.parquet").drop(
            chat.SYSTEM_PROMPT, strict=False
        )
        # Pictures and the like are no text: no method looks at them, and they have no hash.
        frame = frame.select(c for c, kind in frame.schema.items() if "Binary" not in str(kind))
        if not self._charged_scores:
            self._charged_scores = True
            self.charge(result, "score", "once", scored=len(frame))
        return frame

    def prompts(self, count: int | None = None) -> pl.DataFrame:
        """Prompts to sample for, none of them held out: `count` at random, all otherwise."""
        frame = pl.read_parquet(self.session.folder.result("data").path / "prompts.parquet")
        if count is None or count >= len(frame):
            return frame
        rng = np.random.default_rng([self.seed, 2])
        return frame[np.sort(rng.permutation(len(frame))[:count])]

    def prompts_to_answer(self) -> pl.DataFrame:
        """The usual number of prompts; under a budget all, for it says how many are answered."""
        return self.prompts(None if self.allowed else self.settings.generation.prompts)

    def tokenizer(self) -> Any:
        """The base's tokenizer."""
        if self._tokenizer is None:
            self._tokenizer = models.load_tokenizer(self.settings.model)
        return self._tokenizer

    def step(
        self,
        kind: str,
        work: Callable[[Path], Mapping[str, Any] | None],
        *,
        settings: Mapping[str, Any],
        inputs: Mapping[str, str] | None = None,
    ) -> Stage:
        """A stage named by what it depends on, done unless it is there."""
        content = json.dumps([settings, inputs or {}], sort_keys=True, default=str)
        name = f"{kind}/{hashlib.sha256(content.encode()).hexdigest()[:16]}"
        result = self.session.folder.stage(name, work, settings=settings, inputs=inputs)
        assert result is not None, "a comparison is one process"
        return result

    @property
    def selection(self) -> dict[str, Any]:
        """The settings' own options of `paretohqd.select`."""
        spec = self.settings.selection
        return {
            "upto": spec.upto,
            "at_least": spec.at_least,
            "bounds": spec.bounds,
            "scale": spec.scale,
            "directions": spec.directions,
            "distinct": "prompt" if spec.one_per_prompt else None,
            "duplicates": spec.duplicates,
        }

    def asked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The settings' options of selection with others in their place."""
        stop = {"upto", "at_least"}
        # One way to end the pool stands in place of the other.
        own = dict.fromkeys(stop) if stop & options.keys() else {}
        return {**self.selection, **own, **options}

    def choose(self, frame: pl.DataFrame, *, k: int, **options: Any) -> pl.DataFrame:
        """ParetoHqD's selection from scored rows, as `paretohqd.select` returns it."""
        asked = self.asked(options)

        def work() -> pl.DataFrame:
            return choose(frame, self.names, self.weights, k=k, **asked).rows

        return self.table("select", work, frame, k=k, weights=self.weights.tolist(), **asked)

    def table(
        self,
        kind: str,
        work: Callable[[], pl.DataFrame],
        source: pl.DataFrame,
        *,
        per: str = "once",
        **settings: Any,
    ) -> pl.DataFrame:
        """A selection of rows as a step; `source` and `settings` are all that it depends on."""

        def write(out: Path) -> None:
            work().write_parquet(out / "rows.parquet")

        made = self.step(
            kind,
            write,
            settings=settings | {"names": self.names},
            inputs={"rows": self.session.folder.hash_frame(source)},
        )
        self.charge(made, "select", per)
        return pl.read_parquet(made.path / "rows.parquet")

    def note_training(self, label: str, *, order: np.ndarray, steps: int, **rows: int) -> None:
        """Remember for the page how much of its rows a training saw, and how often."""
        (count,) = rows.values()
        self.notes.setdefault("trainings", []).append(
            {
                "label": label,
                **rows,
                "seen": len(np.unique(order)),
                "steps": steps,
                "passes": round(len(order) / count, 2),
            }
        )

    def train_settings(self, stage: int = 1) -> dict[str, Any]:
        """SFTConfig of a stage with the defaults."""
        return {**sft.DEFAULTS, **self.session.train[stage]}

    def train(
        self,
        kind: str,
        work: Trainer,
        *,
        label: str,
        settings: Mapping[str, Any],
        inputs: Mapping[str, str],
    ) -> Stage:
        """A step that trains on a freshly loaded base; the caller charges it."""
        s = self.session

        def run(out: Path) -> Mapping[str, Any]:
            base, tokenizer = s.trainable()
            with s.screen.bar(f"{self.title}: fit {label}") as progress:
                return work(base, tokenizer, out, progress)

        return self.step(
            kind,
            run,
            settings={**settings, "seed": self.seed, "bfloat16": s.machine.bfloat16},
            inputs={**inputs, "model": s.model_id},
        )

    def sample(
        self,
        policy: Policy,
        prompts: pl.DataFrame,
        *,
        label: str,
        per: str,
        seed: int,
        samples: int = 1,
        rounds: int = 1,
    ) -> pl.DataFrame:
        """Answers to train on: sampled, cleaned as stage 2 cleans them, and scored.

        Under a budget prompts are answered in a shuffled order for as long as it pays for them.

        Args:
            policy: who answers.
            prompts: column prompt, and before where each has a system message of its own.
            label: what the progress bar calls it.
            per: what the sampling is repeated for, see `spending.Cost`.
            seed: of the random numbers.
            samples: answers per prompt.
            rounds: samplings that what is left of a budget is for, this one included.

        Returns:
            prompt, response, sample, tokens, finished, the prompts' own columns but prompt, and one
            column per objective.
        """
        if self.allowed is not None:
            prompts = prompts[np.random.default_rng([self.seed, 9]).permutation(len(prompts))]
        parts = []
        for part in self.affordable(len(prompts), samples=samples, rounds=rounds):
            asked = prompts[part]
            made = self.answered(policy, asked, label=label, seed=seed, samples=samples)
            self.charge(made, "generate", per, generated=int(made.manifest["notes"]["tokens"]))
            frame = pl.read_parquet(made.path / "answers.parquet")
            own = asked.drop("prompt")[np.repeat(np.arange(len(asked)), samples)]
            form = chat.find_form(self.tokenizer())
            frame, dropped = usable(self.settings, pl.concat([frame, own], how="horizontal"), form)
            parts.append(self.score(frame, per=per, dropped=dropped))
        return pl.concat(parts)

    def answered(
        self, policy: Policy, prompts: pl.DataFrame, *, label: str, seed: int, samples: int = 1
    ) -> Stage:
        """A step that samples answers; the caller charges it."""
        s, spec = self.session, self.settings.generation
        system_prompt = (
            prompts[chat.SYSTEM_PROMPT].to_list() if chat.SYSTEM_PROMPT in prompts.columns else None
        )
        if system_prompt is None and policy.system_prompt:
            system_prompt = [policy.system_prompt] * len(prompts)

        def work(out: Path) -> Mapping[str, Any]:
            model, tokenizer = s.sampler(*policy.adapters)
            with s.screen.bar(f"{self.title}: sample {label}") as progress:
                frame = generate(
                    model,
                    tokenizer,
                    prompts["prompt"].to_list(),
                    system_prompt=system_prompt,
                    seed=seed,
                    samples=samples,
                    sampling=to_sampling(spec),
                    progress=progress,
                )
            frame.write_parquet(out / "answers.parquet")
            return {"rows": len(frame), "tokens": int(frame["tokens"].sum())}

        return self.step(
            "answers",
            work,
            settings={
                **sampling(spec),
                "seed": seed,
                "samples": samples,
                "system_prompt": policy.system_prompt,
                "weights": [weight for _, weight in policy.adapters],
                "bfloat16": s.machine.bfloat16,
            },
            inputs={"prompts": s.folder.hash_frame(prompts), "model": s.model_id}
            | {
                f"adapter{i}": s.folder.hash_path(path)
                for i, (path, _) in enumerate(policy.adapters)
            },
        )

    def score(self, frame: pl.DataFrame, *, per: str, dropped: Mapping[str, int]) -> pl.DataFrame:
        """Add one column per objective, as a step."""

        def work(out: Path) -> Mapping[str, Any]:
            self.session.score(frame).write_parquet(out / "scored.parquet")
            return {"rows": len(frame), "dropped": dict(dropped)}

        made = self.step(
            "scored",
            work,
            settings=self.session.objective_settings,
            inputs={"answers": self.session.folder.hash_frame(frame)},
        )
        self.charge(made, "score", per, scored=len(frame))
        return pl.read_parquet(made.path / "scored.parquet")


def batch_size(train: Mapping[str, Any]) -> int:
    """Rows per step."""
    return int(train["per_device_train_batch_size"] * train.get("gradient_accumulation_steps", 1))

"""The whole run: score, select, fit, generate, score, select, fit, evaluate, report.

Each step is a stage of the run folder (see stages.py), named by its folder. What is finished is
skipped, so the same call starts a run, goes on with one that was killed, and redoes just what a
changed setting touches.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from paretohqd import config, data, evaluation, models, scoring, training
from paretohqd.forecast import Forecast
from paretohqd.generation import generate, load_adapter, trim_unfinished
from paretohqd.progress import Screen
from paretohqd.report import write_report
from paretohqd.selection import Selection, choose, preference_weights
from paretohqd.stages import Result, Run, hash_frame, hash_path

POOL_QUANTILE = 0.1
"""The raw hypervolume's reference: this quantile of the offline answers' scores, per objective."""


def run(settings: config.Config, *, screen: Screen | None = None) -> Path:
    """Do the run that `settings` describes, or what is left of it.

    Under `accelerate launch` every process calls this: training is shared by all, the other work
    is divided or done by the first.

    Returns:
        The run folder: `evaluate/summary/metrics.json`, `report.html` and every stage.

    Raises:
        ValueError: bad settings or data; what was finished before stays.
        OSError: the folder cannot be written, or the disk is full; run again when it can.
    """
    pipeline = Pipeline(settings, screen=screen)
    try:
        pipeline.run_all()
    finally:
        pipeline.folder.close()
    return pipeline.folder.folder


class Pipeline:
    """One run: its settings, its folder, and the model that is in memory at the moment."""

    def __init__(self, settings: config.Config, *, screen: Screen | None = None) -> None:
        """Check the settings, find the machine and open the folder."""
        self.settings = settings
        self.names = [objective.name for objective in settings.objectives]
        wish = settings.preferences
        self.weights = preference_weights(
            wish if isinstance(wish, int) else list(wish), len(self.names)
        )
        stage2 = {**settings.train, **settings.train_stage2}
        training.check_settings(settings.train, settings.lora)
        training.check_settings(stage2, settings.lora, "train_stage2")
        self.train = {1: dict(settings.train), 2: stage2}
        rank, world, barrier = _processes(settings.device)
        self.screen = screen or Screen(silent=rank > 0)
        self.folder = Run(
            Path(settings.run), rank=rank, world=world, barrier=barrier, report=self.screen.line
        )
        self.machine = self._machine()
        self.model_id = models.identity(settings.model)
        self.rewards = [self._reward(objective) for objective in settings.objectives]
        self.forecast = Forecast(settings, len(self.weights), self.screen)
        self._sampler: tuple[Any, Any] | None = None

    def run_all(self) -> None:
        """The loop of four verbs, twice, and what follows."""
        if self.folder.rank == 0:
            self._write_config()
        self.screen.line(f"paretohqd run in {self.folder.folder}")
        self.screen.line(f"machine: {self.machine.describe()}")
        offline = self.split()
        for stage in range(1, self.settings.stages + 1):
            answers = offline if stage == 1 else self.generate(offline)
            scored = self.score(stage, answers)
            selected = self.select(stage, scored)
            self.fit(stage, selected)
        self.evaluate(offline)
        summary = self.summarise()
        self.report(summary)

    # ── data ────────────────────────────────────────────────────────────────────────────────

    def split(self) -> Result:
        """Pool to select from, prompts for stage 2, and held-out prompts, in three files."""
        spec = self.settings.data
        limit = {**training.DEFAULTS, **self.settings.train}["max_length"] or 2**31
        sources = [s for s in (spec.source, spec.prompts) if s is not None]

        def work(out: Path) -> Mapping[str, Any]:
            tokenizer = models.load_tokenizer(self.settings.model)
            found = data.split(
                spec,
                seed=self.settings.seed,
                prompt_lengths=lambda frame: training.prompt_lengths(tokenizer, frame),
                limit=limit,
            )
            for name in ("pool", "prompts", "held_out"):
                getattr(found, name).write_parquet(out / f"{name}.parquet")
            for reason, count in found.dropped.items():
                if count:
                    self.screen.line(f"  left out: {count} rows ({reason})")
            return {"rows": len(found.pool), "dropped": found.dropped}

        return self._alone(
            "data",
            work,
            settings={**_plain(spec), "seed": self.settings.seed, "limit": limit},
            inputs={"model": json.dumps(self.model_id, sort_keys=True)}
            | {s: hash_path(Path(s)) for s in sources if Path(s).is_file()},
        )

    # ── the four verbs ──────────────────────────────────────────────────────────────────────

    def score(self, stage: int, answers: Result) -> Result:
        """Add one column per objective to the answers."""

        def work(out: Path) -> Mapping[str, Any]:
            name = "pool.parquet" if stage == 1 else "answers.parquet"
            frame = pl.read_parquet(answers.path / name)
            if stage == 1:
                frame = self._given_columns(frame)
            wanted = [reward for reward in self.rewards if reward.name not in frame.columns]
            if wanted:
                with self.screen.bar(f"score {len(frame)} answers") as progress:
                    frame = scoring.score(frame, wanted, progress=progress)
            frame.write_parquet(out / "scored.parquet")
            return {"rows": len(frame), "rewards": [reward.manifest() for reward in self.rewards]}

        return self._alone(
            f"stage{stage}/score", work,
            settings=self._objective_settings(), inputs={"answers": answers.digest},
        )  # fmt: skip

    def select(self, stage: int, scored: Result) -> Result:
        """Choose each preference's training set."""
        spec = self.settings.selection
        k = spec.k if stage == 1 else spec.k_stage2 or max(1, spec.k // 2)

        def work(out: Path) -> Mapping[str, Any]:
            frame = pl.read_parquet(scored.path / "scored.parquet")
            chosen = choose(
                frame, self.names, self.weights, k=k, upto=spec.upto, at_least=spec.at_least,
                bounds=spec.bounds, scale=spec.scale,
                distinct="prompt" if spec.one_per_prompt else None,
            )  # fmt: skip
            chosen.rows.write_parquet(out / "selection.parquet")
            context = frame.select(self.names).with_row_index("row")
            context.with_columns(layer=pl.Series(chosen.layer)).write_parquet(out / "pool.parquet")
            summary = self._selection_summary(chosen, k)
            (out / "summary.json").write_text(json.dumps(summary, indent=1))
            sizes = summary["layers"]
            self.screen.line(
                f"  pool: {summary['pool']} of {len(frame)} rows in {len(sizes)} layers; "
                f"neighbouring preferences share {_neighbours(summary['overlap']):.0%} of theirs"
            )
            return {"k": k, "pool": summary["pool"], "layers": len(sizes)}

        return self._alone(
            f"stage{stage}/select", work,
            settings=_plain(dataclasses.replace(spec, k=k, k_stage2=None))
            | {"weights": self.weights.tolist(), "names": self.names},
            inputs={"scored": scored.digest},
        )  # fmt: skip

    def fit(self, stage: int, selected: Result) -> None:
        """Train one adapter per preference; stage 2 goes on from the stage-1 adapter."""
        self._sampler = None
        rows = pl.read_parquet(selected.path / "selection.parquet")
        for number in range(len(self.weights)):
            own = rows.filter(pl.col("preference") == number).select("prompt", "response")
            before = self.folder.result(f"stage1/fit/{number:02d}") if stage == 2 else None
            self._fit_one(stage, number, own, before)

    def _fit_one(self, stage: int, number: int, rows: pl.DataFrame, before: Result | None) -> None:
        train = self.train[stage]
        name = f"stage{stage}/fit/{number:02d}"

        def work(out: Path) -> Mapping[str, Any]:
            gpu = self.machine.device == "cuda" and self.machine.bfloat16
            base, tokenizer = models.load_base(
                self.settings.model,
                device=self.machine.device,
                dtype=torch.bfloat16 if gpu else torch.float32,
            )
            label = f"fit {evaluation.model_name(stage, number)}"
            with self.screen.bar(label) as progress:
                return training.fit(
                    base, tokenizer, rows, out,
                    machine=self.machine, train=train, lora=self.settings.lora,
                    seed=self.settings.seed,
                    start_from=before.path / "adapter" if before else None,
                    on_step=self.forecast.watch(rows, progress),
                )  # fmt: skip

        self.folder.stage(
            name, work,
            settings={"train": train, "lora": self.settings.lora, "seed": self.settings.seed}
            | {"bfloat16": self.machine.bfloat16},
            inputs={"rows": hash_frame(rows), "model": json.dumps(self.model_id, sort_keys=True)}
            | ({"adapter": before.digest} if before else {}),
            owner=None,
        )  # fmt: skip
        self.forecast.finished(name)

    def generate(self, offline: Result) -> Result:
        """Answers of the representative stage-1 models, as one frame without scores."""
        spec = self.settings.generation
        prompts = pl.read_parquet(offline.path / "prompts.parquet")
        count = min(spec.prompts, len(prompts))
        rng = np.random.default_rng([self.settings.seed, 2])
        chosen = prompts[np.sort(rng.permutation(len(prompts))[:count])]
        if count < spec.prompts:
            self.screen.line(f"  generation.prompts: {spec.prompts} asked for, {count} there are")
        who = representatives(self.weights)
        for place, number in enumerate(who):
            self._answers(
                f"stage2/generate/{number:02d}", chosen, stage=1, number=number,
                seed=self.settings.seed + 101 + number, owner=place,
            )  # fmt: skip
        self.folder.barrier()
        made = [self.folder.result(f"stage2/generate/{number:02d}") for number in who]

        def work(out: Path) -> Mapping[str, Any]:
            frames = [pl.read_parquet(one.path / "answers.parquet") for one in made]
            frame = pl.concat(
                f.with_columns(model=pl.lit(evaluation.model_name(1, number)))
                for number, f in zip(who, frames, strict=True)
            )
            if spec.trim:
                frame = trim_unfinished(frame)
            total = len(frame)
            frame = frame.filter(pl.col("response").str.strip_chars() != "")
            dropped = {"empty answer": total - len(frame)}
            limit = self.settings.data.max_word_overlap
            if limit is not None:
                before = len(frame)
                frame = data.without_echoes(frame, limit)
                dropped["repeats the prompt"] = before - len(frame)
            frame.write_parquet(out / "answers.parquet")
            return {"rows": len(frame), "dropped": dropped}

        return self._alone(
            "stage2/answers", work,
            settings={"trim": spec.trim, "max_word_overlap": self.settings.data.max_word_overlap},
            inputs={f"{n:02d}": one.digest for n, one in zip(who, made, strict=True)},
        )  # fmt: skip

    # ── evaluation ──────────────────────────────────────────────────────────────────────────

    def model_names(self) -> list[tuple[str, int, int | None]]:
        """Every model that is evaluated: name, stage, preference."""
        tuned = [
            (evaluation.model_name(stage, number), stage, number)
            for stage in range(1, self.settings.stages + 1)
            for number in range(len(self.weights))
        ]
        return [(evaluation.BASE, 0, None), *tuned]

    def evaluate(self, offline: Result) -> None:
        """Every model answers the same held-out prompts with the same random numbers."""
        prompts = pl.read_parquet(offline.path / "held_out.parquet")
        if self.settings.evaluation.prompts is not None:
            prompts = prompts.head(self.settings.evaluation.prompts)
        spec = self.settings.evaluation
        for place, (model, stage, number) in enumerate(self.model_names()):
            seed = self.settings.seed + 1
            self._answers(
                f"answers/{model}", prompts, stage=stage, number=number, seed=seed, owner=place
            )
        self._sampler = None
        self.folder.barrier()
        for model, _, _ in self.model_names():
            made = self.folder.result(f"answers/{model}")

            def work(out: Path, made: Result = made) -> Mapping[str, Any]:
                frame = pl.read_parquet(made.path / "answers.parquet")
                frame = scoring.score(frame, self.rewards, allow_empty=True)
                evaluation.measure(frame, spec).write_parquet(out / "answers.parquet")
                return {"rewards": [reward.manifest() for reward in self.rewards]}

            self._alone(
                f"evaluate/{model}", work,
                settings={"objectives": self._objective_settings(), **_plain(spec)},
                inputs={"answers": made.digest},
            )  # fmt: skip

    def _answers(
        self, name: str, prompts: pl.DataFrame, *,
        stage: int, number: int | None, seed: int, owner: int,
    ) -> None:  # fmt: skip
        """One model's answers to some prompts."""
        spec = self.settings.generation
        adapter = None if number is None else self.folder.result(f"stage{stage}/fit/{number:02d}")

        def work(out: Path) -> Mapping[str, Any]:
            model, tokenizer = self._load_sampler(adapter)
            label = f"sample {len(prompts)} answers of {Path(name).name}"
            with self.screen.bar(label) as progress:
                frame = generate(
                    model, tokenizer, prompts["prompt"].to_list(),
                    seed=seed, max_new_tokens=spec.max_new_tokens, temperature=spec.temperature,
                    top_p=spec.top_p, batch_size=spec.batch_size, progress=progress,
                )  # fmt: skip
            frame.drop("sample").write_parquet(out / "answers.parquet")
            return {"rows": len(frame), "tokens": int(frame["tokens"].sum())}

        self.folder.stage(
            name, work,
            settings={**_sampling(spec), "seed": seed, "bfloat16": self.machine.bfloat16},
            inputs={
                "prompts": hash_frame(prompts),
                "model": json.dumps(self.model_id, sort_keys=True),
                "adapter": adapter.digest if adapter else "",
            },
            owner=owner,
        )  # fmt: skip
        self.forecast.finished(name)

    def summarise(self) -> Result:
        """metrics.json and table.csv of all evaluated models."""
        results = {m: self.folder.result(f"evaluate/{m}") for m, _, _ in self.model_names()}
        scored = self.folder.result("stage1/score")

        def work(out: Path) -> None:
            offline = pl.read_parquet(scored.path / "scored.parquet", columns=self.names)
            low = offline.select(pl.all().quantile(POOL_QUANTILE)).row(0)
            summary = evaluation.summarise(
                {m: pl.read_parquet(r.path / "answers.parquet") for m, r in results.items()},
                objectives=self.names,
                preferences=self.weights.tolist(),
                raw_reference=low,
            )
            (out / "metrics.json").write_text(json.dumps(summary, indent=1, allow_nan=False))
            evaluation.table(summary).write_csv(out / "table.csv")

        return self._alone(
            "evaluate/summary", work,
            settings={"weights": self.weights.tolist(), "names": self.names},
            inputs={m: r.digest for m, r in results.items()} | {"offline": scored.digest},
        )  # fmt: skip

    def report(self, summary: Result) -> None:
        """The page, written anew each time: it shows the run as a whole, seconds included."""
        if self.folder.rank == 0:
            facts = {
                "seconds": self.folder.seconds(),
                "versions": summary.manifest["versions"],
                "machine": self.machine.describe(),
                "seed": self.settings.seed,
            }
            self.folder.write_json("facts.json", facts)
            write_report(self.folder.folder, self.folder.folder / "report.html")
        self.folder.barrier()

    # ── helpers ─────────────────────────────────────────────────────────────────────────────

    def _alone(self, name: str, work: Callable[[Path], Any], **key: Any) -> Result:
        """A stage that the first process does while the others wait."""
        self.folder.stage(name, work, **key)
        self.folder.barrier()
        self.forecast.finished(name)
        return self.folder.result(name)

    def _machine(self) -> models.Machine:
        """Find the machine; a resumed run keeps the number format that it began with."""
        s = self.settings
        known = self.folder.read_json("machine.json") or {}
        precision = s.precision
        if precision == "auto" and known.get("wish") == s.device:
            precision = known["precision"]
        machine = models.find_machine(s.device, precision, s.threads)
        if self.folder.rank == 0:
            found = {"wish": s.device, "precision": "bfloat16" if machine.bfloat16 else "float32"}
            self.folder.write_json("machine.json", found)
        self.folder.barrier()
        return machine

    def _reward(self, objective: config.Objective) -> scoring.Reward:
        given = {k: v for k, v in _plain(objective).items() if v is not None and k != "column"}
        if objective.model is not None:
            given["device"] = self.machine.device
        return scoring.make_reward(**given)

    def _given_columns(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Scores that the data already have, under their objectives' names."""
        for objective in self.settings.objectives:
            if objective.column is None:
                frame = frame.drop(objective.name, strict=False)
                continue
            if objective.column not in frame.columns:
                raise ValueError(
                    f"objectives.{objective.name}: no column {objective.column!r} in "
                    f"{self.settings.data.source}: it has {', '.join(frame.columns)}"
                )
            frame = frame.with_columns(pl.col(objective.column).alias(objective.name))
        return frame

    def _objective_settings(self) -> dict[str, Any]:
        """What the scores depend on; batch size and the like of a reward model included."""
        return {o.name: _plain(o) | self._content(o) for o in self.settings.objectives}

    def _content(self, objective: config.Objective) -> dict[str, str]:
        local = objective.model is not None and Path(objective.model).is_dir()
        return {"content": hash_path(Path(str(objective.model)))} if local else {}

    def _selection_summary(self, chosen: Selection, k: int) -> dict[str, Any]:
        sizes = chosen.layer_sizes()
        return {
            "objectives": self.names,
            "preferences": self.weights.tolist(),
            "r_min": chosen.r_min.tolist(),
            "r_max": chosen.r_max.tolist(),
            "n": len(chosen.layer),
            "pool": sum(sizes),
            "layers": sizes,
            "overlap": chosen.overlap().tolist(),
            "k": k,
            "bounds": self.settings.selection.bounds,
            "scale": self.settings.selection.scale,
        }

    def _load_sampler(self, adapter: Result | None) -> tuple[Any, Any]:
        """The base for sampling, kept in memory between models, with an adapter put on."""
        if self._sampler is None or adapter is None:
            dtype = self.machine.dtype
            self._sampler = models.load_base(
                self.settings.model, device=self.machine.device, dtype=dtype
            )
        model, tokenizer = self._sampler
        if adapter is not None:
            model = load_adapter(model, adapter.path / "adapter")
            self._sampler = (model, tokenizer)
        return model, tokenizer

    def _write_config(self) -> None:
        import yaml

        plain = json.loads(json.dumps(config.to_mapping(self.settings)))
        text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
        path = self.folder.folder / "config.yaml"
        if path.exists() and path.read_text() != text:
            before, now = yaml.safe_load(path.read_text()), plain
            self.screen.line("settings changed since this folder was last used:")
            for line in _changes(before, now):
                self.screen.line(f"  {line}")
            self.screen.line("what they touch is redone; what it replaces is kept in superseded/")
        self.folder.write_text("config.yaml", text)


def representatives(weights: np.ndarray) -> list[int]:
    """Numbers of the M + 1 preferences whose models answer for stage 2.

    The corner of each objective (the preference that weighs it most) and the most balanced one;
    fewer where these coincide.

    >>> representatives(np.array([[1, 0], [0.5, 0.5], [0, 1]]))
    [0, 1, 2]
    """
    corners = weights.argmax(axis=0)
    balanced = np.square(weights - 1 / weights.shape[1]).sum(axis=1).argmin()
    return sorted({int(i) for i in [*corners, balanced]})


def _processes(device: str) -> tuple[int, int, Callable[[], None]]:
    """Rank and number of the processes that accelerate launched, and how they wait."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return 0, 1, lambda: None
    from accelerate import PartialState

    # One process may sample for hours while the others wait for it.
    state = PartialState(cpu=device == "cpu", timeout=timedelta(days=7))
    return state.process_index, state.num_processes, state.wait_for_everyone


def _plain(section: Any) -> dict[str, Any]:
    return dataclasses.asdict(section)


def _sampling(spec: config.Generation) -> dict[str, Any]:
    """What an answer depends on: not how many prompts there are, nor what follows."""
    return {key: getattr(spec, key) for key in ("max_new_tokens", "temperature", "top_p")}


def _neighbours(overlap: Sequence[Sequence[float]]) -> float:
    pairs = [overlap[i][i + 1] for i in range(len(overlap) - 1)]
    return sum(pairs) / len(pairs) if pairs else 1.0


def _changes(before: Any, now: Any, where: str = "") -> list[str]:
    """One line per setting that differs."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*before, *(key for key in now if key not in before)]
        return [
            line
            for key in keys
            for line in _changes(before.get(key), now.get(key), f"{where}.{key}" if where else key)
        ]
    return [] if before == now else [f"{where}: {before} -> {now}"]

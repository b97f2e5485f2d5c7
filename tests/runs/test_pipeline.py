from __future__ import annotations

import io
import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

import paretohqd as pq
from helpers.small_run import do, mapping, settings
from helpers.small_sampling import sample
from paretohqd.plots.progress import Screen

pytestmark = pytest.mark.slow

STAGES = [
    "data",
    "stage1/score",
    "stage1/select",
    *(f"stage1/fit/{i:02d}" for i in range(3)),
    *(f"stage2/generate/{i:02d}" for i in range(3)),
    "stage2/answers",
    "stage2/score",
    "stage2/select",
    *(f"stage2/fit/{i:02d}" for i in range(3)),
    *(f"{verb}/{model}" for verb in ("answers", "evaluate") for model in ["base"]),
    *(
        f"{verb}/stage{stage}-{i:02d}"
        for verb in ("answers", "evaluate")
        for stage in (1, 2)
        for i in range(3)
    ),
    "evaluate/summary",
]


@pytest.fixture(scope="module")
def finished(parts: Path) -> Path:
    """The folder of a finished run."""
    do(settings(parts, "finished"))
    return parts / "finished"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> str:
    """A copy of it to go on with: a run folder can be moved."""
    return str(shutil.copytree(finished, tmp_path / "run"))


def done_now(lines: list[str]) -> list[str]:
    """Stages that were worked on, in order."""
    stages = [line.split(":")[0] for line in lines if line.split(":")[0] in STAGES]
    before = [line.split(":")[0] for line in lines if line.endswith(": done before")]
    return [stage for stage in stages if stage not in before]


def times(run: str | Path) -> dict[str, int]:
    """When each file of each stage was last written."""
    return {
        str(path.relative_to(run)): path.stat().st_mtime_ns
        for stage in STAGES
        for path in (Path(run) / stage).rglob("*")
        if path.is_file()
    }


def test_a_file_describes_a_run(
    parts: Path, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(run).parent)
    file = tmp_path / "run.yaml"
    file.write_text(json.dumps(mapping(parts, run) | {"run": Path(run).name}))  # JSON is YAML
    before, screen = times(run), io.StringIO()
    for given in (file, str(file)):
        assert pq.run(given, screen=Screen(file=screen)) == Path(run)
    assert done_now(screen.getvalue().splitlines()) == []
    assert times(run) == before
    file.write_text(json.dumps({"run": "x", "object": 1}))
    with pytest.raises(ValueError, match="unknown key object"):
        pq.run(file)


def test_a_whole_run_makes_every_stage(finished: Path) -> None:
    manifests = {
        path.parent.relative_to(finished).as_posix(): json.loads(path.read_text())
        for path in finished.rglob("manifest.json")
    }
    assert sorted(manifests) == sorted(STAGES)
    top = {p.name for p in finished.iterdir() if p.is_file()}
    kept = {"run.json", "machine.json", "checked.json", "commits.json", "config.yaml", "facts.json"}
    assert top == {".lock", "report.html", *kept}
    assert not (finished / "superseded").exists()
    facts = json.loads((finished / "facts.json").read_text())
    assert sorted(facts["seconds"]) == sorted(STAGES)
    assert facts["machine"] == "1 CPU thread, float32"
    assert facts["versions"]["torch"] == torch.__version__.split("+")[0]
    assert json.loads((finished / "machine.json").read_text())["precision"] == "float32"


def test_what_the_stages_hold(finished: Path) -> None:
    pool = pl.read_parquet(finished / "data" / "pool.parquet")
    held_out = pl.read_parquet(finished / "data" / "held_out.parquet")
    assert len(held_out) == 5
    assert not set(pool["prompt"]) & set(held_out["prompt"])
    for stage, k in ((1, 6), (2, 3)):
        rows = pl.read_parquet(finished / f"stage{stage}" / "select" / "selection.parquet")
        assert rows.group_by("preference").len()["len"].to_list() == [k] * 3
        notes = json.loads((finished / f"stage{stage}/fit/01/manifest.json").read_text())["notes"]
        assert (notes["rows"], notes["steps"], notes["cut_answers"]) == (k, 3, 0)
    scored = pl.read_parquet(finished / "stage2" / "score" / "scored.parquet")
    assert {"prompt", "response", "kind", "brief", "model"} <= set(scored.columns)
    assert set(scored["model"]) == {"stage1-00", "stage1-01", "stage1-02"}
    answered = [pl.read_parquet(p)["prompt"] for p in sorted(finished.glob("answers/*/*.parquet"))]
    assert len(answered) == 7
    assert all(prompts.equals(held_out["prompt"]) for prompts in answered)
    reward = json.loads((finished / "stage1/score/manifest.json").read_text())["notes"]["rewards"]
    assert [r["name"] for r in reward] == ["kind", "brief"]
    summary = json.loads((finished / "evaluate" / "summary" / "metrics.json").read_text())
    assert [m["model"] for m in summary["models"]][:2] == ["base", "stage1-00"]
    table = pl.read_csv(finished / "evaluate" / "summary" / "table.csv")
    assert len(table) == 7


def test_every_model_answers_in_its_own_way(finished: Path) -> None:
    """Each adapter is the one that its name says: none is mixed up with another's."""
    texts = {
        path.parent.name: tuple(pl.read_parquet(path)["response"])
        for path in finished.glob("answers/*/answers.parquet")
    }
    assert len(set(texts.values())) == len(texts) == 7
    weights = {p.read_bytes() for p in finished.glob("stage*/fit/*/adapter/*.safetensors")}
    assert len(weights) == 6


def test_evaluation_uses_the_stage_two_adapter(parts: Path, finished: Path) -> None:
    """Sampled again with nothing but this adapter loaded."""
    from paretohqd.models import base as models
    from paretohqd.models.adapters import load_adapter

    spec = settings(parts, "finished")
    for model, folder in (("stage1-01", "stage1/fit/01"), ("stage2-01", "stage2/fit/01")):
        base, tokenizer = models.load_base(spec.model, device="cpu", dtype=torch.float32)
        sampled = sample(
            load_adapter(base, finished / folder / "adapter"),
            tokenizer,
            pl.read_parquet(finished / "data" / "held_out.parquet")["prompt"].to_list(),
            seed=spec.seed + 1,
            max_new_tokens=8,
        )
        written = pl.read_parquet(finished / "answers" / model / "answers.parquet")
        assert sampled["response"].equals(written["response"])


def test_running_again_does_nothing(parts: Path, run: str) -> None:
    before = times(run)
    lines = do(settings(parts, run))
    assert done_now(lines) == []
    assert sum(line.endswith(": done before") for line in lines) == len(STAGES)
    assert times(run) == before


def test_how_a_run_is_told(parts: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    chosen = settings(parts, str(tmp_path / "run"), stages=1, preferences=2)
    capfd.readouterr()
    lines = do(chosen)
    assert capfd.readouterr() == ("", ""), "libraries' own bars and warnings are kept off"
    assert lines[0] == f"paretohqd run in {tmp_path / 'run'}"
    assert lines[1] == "machine: 1 CPU thread, float32"
    assert sum(line.startswith("estimate: about ") for line in lines) == 2, (
        "by training, by sampling"
    )
    assert any(line.startswith("  pool: ") for line in lines)


def test_folders_carry_the_preferences_names(parts: Path, run: str) -> None:
    """A run that gets names keeps what it has trained, and gives it away under them."""
    weights = [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    named = dict(zip(["Kind!", "both", "brief"], weights, strict=True))
    before = (Path(run) / "stage2/fit/00/adapter/adapter_model.safetensors").read_bytes()
    lines = do(settings(parts, run, preferences=named))
    assert set(done_now(lines)) <= {"stage1/select", "stage2/select", "evaluate/summary"}
    fits = sorted(path.name for path in Path(run).glob("stage2/fit/*"))
    assert fits == ["00-kind", "01-both", "02-brief"]
    assert (Path(run) / "answers/stage1-02-brief/answers.parquet").exists()
    adapter = Path(run) / "stage2/fit/00-kind/adapter"
    assert (adapter / "adapter_model.safetensors").read_bytes() == before
    first = next(line for line in lines if line.startswith("  Kind! (1, 0): "))
    assert Path(first.split(": ")[1]).resolve() == adapter
    page = (Path(run) / "report.html").read_text(encoding="utf-8")
    assert "stage2/fit/00-kind/adapter" in page
    assert "brief (0, 1)" in page


def test_the_lines_that_load_an_adapter_do(parts: Path, run: str) -> None:
    lines = do(settings(parts, run))
    code = [line.strip() for line in lines[lines.index("the first is loaded so:") + 1 :]]
    assert len(code) == 4
    space: dict[str, Any] = {}
    exec("\n".join(code), space)
    weights = [p for name, p in space["model"].named_parameters() if "lora_B" in name]
    assert weights
    assert all(weight.abs().sum() > 0 for weight in weights)
    assert json.loads((Path(run) / "facts.json").read_text())["loading"] == code


SECOND_SELECTION = [
    "stage2/select",
    *(f"stage2/fit/{i:02d}" for i in range(3)),
    *(f"answers/stage2-{i:02d}" for i in range(3)),
    *(f"evaluate/stage2-{i:02d}" for i in range(3)),
    "evaluate/summary",
]
EVALUATIONS = [stage for stage in STAGES if stage.startswith("evaluate/")]


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        ({"selection__k_stage2": 4}, SECOND_SELECTION),
        ({"train_stage2__learning_rate": 1e-3}, SECOND_SELECTION[1:]),
        ({"generation__batch_size": 2}, []),
        ({"evaluation__min_words": 2}, EVALUATIONS),
        ({"generation__trim": True}, ["stage2/answers"]),
        ({"evaluation__prompts": 3}, [s for s in STAGES if s.startswith(("answers", "evaluate"))]),
        ({"generation__temperature": 0.2}, STAGES[6:]),
        ({"precision": "bfloat16"}, STAGES[3:]),
        ({"threads": 2}, []),
    ],
    ids=lambda value: "".join(value) if isinstance(value, dict) else "",
)
def test_a_change_redoes_what_it_touches(
    parts: Path, run: str, change: dict[str, Any], redone: list[str]
) -> None:
    before = times(run)
    threads = torch.get_num_threads()
    try:
        lines = do(settings(parts, run, **change))
    finally:
        torch.set_num_threads(threads)
    now = done_now(lines)
    if change == {"generation__trim": True}:
        assert redone[0] in now
        assert all(stage in SECOND_SELECTION or "stage2" in stage for stage in now)
    else:
        assert sorted(now) == sorted(redone)
    changes = [line for line in lines if " -> " in line and not line.startswith("  run: ")]
    assert len(changes) == 1
    assert changes[0].strip().startswith(next(iter(change)).replace("__", "."))
    after = times(run)
    kept = [file for file in before if not file.startswith(tuple(f"{s}/" for s in now))]
    assert [file for file in kept if after[file] != before[file]] == []
    for stage in now:
        assert (Path(run) / "superseded" / f"{stage}.0" / "manifest.json").is_file()


def test_changed_data_redo_everything(parts: Path, run: str, tmp_path: Path) -> None:
    source = tmp_path / "data.parquet"
    pl.read_parquet(parts / "data.parquet").reverse().write_parquet(source)
    now = done_now(do(settings(parts, run, data__source=str(source))))
    assert sorted(now) == sorted(STAGES)


def test_one_stage(parts: Path, run: str) -> None:
    lines = do(settings(parts, run, stages=1))
    assert done_now(lines) == ["evaluate/summary"]
    summary = json.loads((Path(run) / "evaluate" / "summary" / "metrics.json").read_text())
    assert {m["stage"] for m in summary["models"]} == {0, 1}
    assert list(summary["hypervolume"]["sets"]) == ["base", "stage1", "best_single"]


def test_the_number_format_is_kept_when_a_run_goes_on(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(parts, str(tmp_path / "run"), precision="auto", stages=1, preferences=2)
    monkeypatch.setattr("paretohqd.models.machine._cpu_likes_bfloat16", lambda: True)
    assert "machine: 1 CPU thread, bfloat16" in do(chosen)
    monkeypatch.setattr("paretohqd.models.machine._cpu_likes_bfloat16", lambda: False)
    lines = do(chosen)
    assert "machine: 1 CPU thread, bfloat16" in lines
    assert done_now(lines) == []


def test_a_finished_run_can_be_recorded(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = runpy.run_path(str(Path(__file__).parents[2] / "benches" / "run.py"))
    bench["main"].__globals__["RESULTS"] = tmp_path
    bench["main"](finished, "mine")
    written = {path.name.partition("-2")[0]: pl.read_csv(path) for path in tmp_path.iterdir()}
    assert set(written) == {"mine", "mine-sets", "mine-phases"}
    assert written["mine"]["model"].to_list()[0] == "base"
    metrics = json.loads((finished / "evaluate" / "summary" / "metrics.json").read_text())
    sets = dict(written["mine-sets"].select("models", "utility").iter_rows())
    assert sets == pytest.approx(metrics["utility"]["sets"], rel=1e-4)
    phases = written["mine-phases"]
    facts = json.loads((finished / "facts.json").read_text())
    assert phases["seconds"].sum() == pytest.approx(sum(facts["seconds"].values()), rel=1e-3)
    assert phases["parts"].sum() == len(facts["seconds"])
    assert "mine-phases" in capsys.readouterr().out

import csv
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import paretohqd as pq
from helpers import oracle
from paretohqd.bench import answers, rivals
from paretohqd.bench.clouds import Cloud
from paretohqd.bench.measure import Meter, best_of
from paretohqd.bench.record import COLUMNS, record, table
from paretohqd.bench.rivals import Rival, Trial
from paretohqd.bench.task import Task
from paretohqd.bench.tasks import tasks
from paretohqd.cli import main


@pytest.fixture(autouse=True)
def once(monkeypatch):
    """Nothing is repeated: no test looks at a time."""
    monkeypatch.setattr("paretohqd.bench.measure.AT_MOST", 0.0)
    for rows in ("ray_tasks.NEAREST", "achievement_tasks.LEAST", "subset_tasks.CHOSEN"):
        monkeypatch.setattr(f"paretohqd.bench.{rows}", 7)


def tiny(task: Task) -> Task:
    rows = 16 if task.m > 3 else 48
    return replace(task, n=530 if "groups" in task.name and "of 8" not in task.name else rows)


def first(name: str, **more: object) -> Task:
    task = next(task for task in tasks() if task.matches(name))
    return replace(tiny(task), **more)


def fake(answer, **more):
    return Rival(package="numpy", call="fake", prepare=lambda _: Trial(call=lambda: answer), **more)


# ── data ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["uni", "corr", "anti", "disc", "chain", "sphere", "simplex"])
@pytest.mark.parametrize("m", [2, 3, 5])
def test_a_cloud_is_the_same_every_time(name, m):
    cloud = Cloud(name, 90, m)
    assert cloud.points.shape == (90, m)
    assert np.isfinite(cloud.points).all()
    np.testing.assert_array_equal(cloud.points, Cloud(name, 90, m).points)
    assert Cloud(f"{name} f32", 90, m).points.dtype == np.float32
    columns = Cloud(f"{name} columns", 90, m).points
    assert columns.flags.f_contiguous
    np.testing.assert_array_equal(cloud.points, columns)


@pytest.mark.parametrize("name", ["sphere", "simplex"])
def test_fronts_are_fronts_above_the_reference(name):
    cloud = Cloud(name, 200, 3)
    assert not oracle.layers(cloud.points).any()
    assert len(np.unique(cloud.points, axis=0)) == 200
    assert (cloud.points > cloud.reference).all()


def test_data_that_nobody_named_is_refused():
    with pytest.raises(ValueError, match="no data is called 'round'"):
        _ = Cloud("round", 3, 2).points


# ── tasks ────────────────────────────────────────────────────────────────────────────────────


def test_every_task_runs_and_agrees_with_every_package_that_is_there():
    bench, rows = Meter(), []
    for task in tasks():
        # Compiling takes seconds: the same loops run on one size of rays only.
        kept = [r for r in task.rivals if r.package not in ("numba", "paretoset")]
        rows += bench.measure(replace(tiny(task), rivals=tuple(kept)))
    assert {row["task"] for row in rows} >= {"all layers", "first 5 layers", "contributions"}
    assert {"single front", "hypervolume in groups of 65"} <= {row["task"] for row in rows}
    assert [row for row in rows if row["data"] == "uni f32" and row["rival"] == "paretohqd"]
    assert not [row["note"] for row in rows if row.get("note", "").startswith("not measured")]
    assert all(set(row) <= set(COLUMNS) for row in rows)
    assert table(rows).count("\n") == len(rows)


@pytest.mark.parametrize(
    ("package", "name"), [("numba", "*nearest to 11 rays"), ("paretoset", "first*")]
)
def test_what_compiles_agrees_too(package, name):
    pytest.importorskip(package)
    task = first(name, n=700)
    task = replace(task, rivals=tuple(r for r in task.rivals if r.package == package))
    rows = Meter().measure(task)
    assert rows
    assert all("rival_s" in row for row in rows), rows


def test_tasks_differ_and_every_target_has_a_rival():
    keys = [(task.name, task.data, task.n, task.m) for task in tasks()]
    assert len(set(keys)) == len(keys)
    assert all(task.target is None or any(r.judged for r in task.rivals) for task in tasks())


# ── a wrong answer ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("all layers", np.full(48, 3), "rows differ"),
        ("all layers", np.zeros(3), "different shapes"),
        ("layers in groups*", np.full(8, 9), "8 rows differ"),
        ("hypervolume in groups of 8", np.full(2, 0.5), "volumes are up to"),
        ("hypervolume", 0.5, "volumes are"),
        ("contributions", np.zeros(16), "shapes"),
        ("crowding distance", np.ones(48), "crowding distances differ"),
        ("IGD+*", 0.5, "apart"),
        ("epsilon*", 0.5, "apart"),
        ("R2*", 0.5, "apart"),
        ("7 rows of most*m=2", np.arange(7), "rows differ"),
        ("7 rows of most*m=3", np.arange(7), "rows differ"),
        ("7 of least achievement*", (np.zeros((11, 7)), np.zeros((11, 7))), "rows differ"),
        ("*nearest to 11 rays", (np.zeros((11, 7)), np.zeros((11, 7))), "rows differ"),
    ],
)
def test_a_wrong_answer_is_an_assertion_error(name, answer, said):
    with pytest.raises(AssertionError, match=rf"n = 48, m = \d: .*{said}"):
        Meter().measure(first(name, rivals=(fake(answer),)))


def test_an_estimate_is_compared_within_its_error():
    task = first("hypervolume", same=answers.estimates)
    cloud = Cloud(task.data, task.n, task.m)
    exact = pq.hypervolume(cloud.points, ref=cloud.reference)
    near = replace(task, ours=lambda *_: (exact, exact / 100), rivals=(fake(exact * 1.02),))
    [row] = Meter().measure(near)
    assert row["note"] == "standard error 1.0e-02; off by +0.0e+00, the other by +2.0e-02"
    with pytest.raises(AssertionError, match="estimates"):
        Meter().measure(replace(near, rivals=(fake(exact * 1.2),)))


def test_a_rival_may_be_compared_in_a_way_of_its_own():
    task = first("7 rows of most*m=2")
    best = pq.hypervolume_subset(
        Cloud(task.data, task.n, 2).points, k=7, ref=Cloud(task.data, 0, 2).reference
    )
    worse = fake(np.arange(7), same=answers.no_better)
    [row] = Meter().measure(replace(task, rivals=(worse,)))
    assert float(row["note"].removeprefix("greedy: ").partition(" %")[0]) < 100
    few = fake(best.rows[:3], same=answers.no_better)
    with pytest.raises(AssertionError, match="3 rows, not 7"):
        Meter().measure(replace(task, rivals=(few,)))
    bad = replace(task, ours=lambda *_: best._replace(volume=best.volume / 2))
    with pytest.raises(AssertionError, match="times the volume"):
        Meter().measure(replace(bad, rivals=(worse,)))
    assert answers.near(1.0, 1.0 + 1e-6, Cloud("uni", 1, 1)) == "differs by 1e-06"
    with pytest.raises(AssertionError, match="means are"):
        answers.near(1.0, 1.1, Cloud("uni", 1, 1))


def test_our_answer_must_not_depend_on_the_threads():
    task = first("all layers", ours=lambda cloud, threads: np.arange(threads or 3))
    with pytest.raises(AssertionError, match="number of threads"):
        Meter().measure(task)


def test_a_package_that_fails_is_passed_over():
    def broken(_):
        raise ImportError("no such function")

    rival = Rival(package="numpy", call="gone", prepare=broken)
    [row] = Meter().measure(first("all layers", rivals=(rival,)))
    assert row["note"] == "not measured: ImportError: no such function"
    assert row["note"] in table([row])


# ── times and records ────────────────────────────────────────────────────────────────────────


def test_a_share_of_the_work_is_scaled_and_a_shared_call_made_once():
    calls = []
    trial = Trial(call=lambda: calls.append(1) or np.zeros(2), share=0.5)
    rival = Rival(package="numpy", call="half", prepare=lambda _: trial, once=True)
    task = first("all layers", rivals=(rival,), same=lambda *_: "", target=1e-9)
    bench = Meter()
    [one], [two] = bench.measure(task), bench.measure(task)
    assert (len(calls), one["rival_s"], one["met"]) == (1, two["rival_s"], True)
    assert best_of(lambda: 5)[1] == 5


def test_a_record_is_added_to_and_a_task_measured_again_replaced(tmp_path):
    path = tmp_path / "bench.csv"
    rows = [
        Meter().measure(first(name, rivals=(fake(None),), same=lambda *_: ""))[0]
        for name in ("all layers", "hypervolume")
    ]
    record(rows[:1], path)
    record(rows[1:], path)
    record([rows[0] | {"rival_s": 5.0}], path)
    with path.open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [(row["task"], row["rival_s"] == "5") for row in read] == [
        ("hypervolume", False),
        ("all layers", True),
    ]
    assert tuple(read[0]) == COLUMNS
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="something else than a benchmark"):
        record(rows, path)


# ── the command ──────────────────────────────────────────────────────────────────────────────


def test_the_command_measures_prints_and_records(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("paretohqd.bench.run.tasks", lambda: [tiny(task) for task in tasks()])
    assert main.main(["bench", "--quick", "--only", "contr*", "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert out.splitlines()[0].startswith("task ")
    [path] = tmp_path.iterdir()
    assert f"written: {path}" in out
    with path.open(newline="") as file:
        assert {row["task"] for row in csv.DictReader(file)} == {"contributions"}


def test_without_another_package_it_shows_our_times_and_what_to_install(capsys, monkeypatch):
    monkeypatch.setattr(rivals.Rival, "version", None)
    monkeypatch.setattr(rivals, "installed", list)
    monkeypatch.setattr("paretohqd.bench.run.tasks", lambda: [tiny(task) for task in tasks()])
    assert main.main(["bench", "--quick", "--only", "contr*"]) == 0
    out = capsys.readouterr().out
    assert "pip install 'paretohqd[bench]'" in out
    assert "contributions" in out
    assert "moocore" not in out


def test_the_command_says_what_was_wrong(tmp_path, capsys, monkeypatch):
    assert main.main(["bench", "--only", "sorting"]) == 1
    assert "no task matches 'sorting'; there are: 7 nearest" in capsys.readouterr().err
    assert main.main(["bench", "--quick", "--out", str(tmp_path / "no" / "f.csv")]) == 1
    assert "no such folder" in capsys.readouterr().err
    wrong = first("all layers", rivals=(fake(np.zeros(48)),), quick=True)
    monkeypatch.setattr("paretohqd.bench.run.tasks", lambda: [wrong])
    assert main.main(["bench", "--quick"]) == 1
    assert "error: the answers differ: all layers, uni, n = 48" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main.main(["bench", "--quick", "--huge"])
    assert stop.value.code == 2


# ── shapes, memory, picture and table ────────────────────────────────────────────────────────


@pytest.fixture
def script(monkeypatch):
    """Runs a file of benches/ with arguments."""

    def call(name, *arguments):
        path = Path(__file__).parents[2] / "benches" / name
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        runpy.run_path(str(path), run_name="__main__")

    return call


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_answers_are_right_on_every_shape(script, tmp_path, capsys):
    script("shapes.py", "--rows", 600, "--out", tmp_path / "shapes.csv")
    rows = read(tmp_path / "shapes.csv")
    shapes = {row["shape"] for row in rows}
    assert shapes >= {"noisy chain", "one above a front", "the adversary", "64 threads"}
    assert len(shapes) == 19 + 7
    assert {row["m"] for row in rows if row["call"] == "all layers"} == {"2", "3", "4", "5", "6"}
    assert f"of {len(rows)} within" in capsys.readouterr().out


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_peak_memory_is_taken_in_a_process_of_its_own(script, tmp_path):
    arguments = (
        "--shrink",
        50,
        "--only",
        "all layers uni [0-9]* 2",
        "--out",
        tmp_path / "memory.csv",
    )
    script("memory.py", *arguments)
    [row] = read(tmp_path / "memory.csv")
    assert (row["input_mb"], row["answer_mb"]) == ("3.2", "0.8")
    assert float(row["peak_mb"]) > 3.2


def test_picture_and_table_come_from_the_record(script, tmp_path, capsys):
    pytest.importorskip("altair")
    bench, path = Meter(), tmp_path / "bench.csv"
    rival = fake(None)
    for n in (100, 200):
        for name in ("all layers*m=2", "all layers*m=5", "hypervolume sphere*m=3"):
            task = first(name, n=n, rivals=(replace(rival, package="polars"),))
            task = replace(task, target=9 if task.m == 5 else None)
            record(bench.measure(replace(task, same=lambda *_: "")), path)
    script("plot.py", path, tmp_path / "speed")
    assert (tmp_path / "speed.png").stat().st_size > 10_000
    assert "All layers, 5 objectives" in (tmp_path / "speed.svg").read_text()
    capsys.readouterr()
    script("readme_table.py", path)
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 2 + 3
    assert table[2].startswith("| all layers | uni | 200 | 2 |")

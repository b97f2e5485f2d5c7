"""Where a run may lie: a configuration file stays below the working folder, whoever types may not.

A row of the tables is one more path.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from helpers.small_configs import minimal
from paretohqd.cli import main
from paretohqd.runs.config import Config, load_settings
from paretohqd.runs.folder import RunFolder
from paretohqd.runs.place import run_path

OUTSIDE = {
    "absolute": "/srv/run",
    "home": "~/run",
    "another's home": "~root/run",
    "no one's home": "~nobody-of-this-name/run",
    "above": "../run",
    "above by a way in": "runs/../../run",
    "back where it was": "runs/../run",
    "a link to outside": "out",
    "below a link to outside": "out/deep/run",
    "a link within": "within/out/run",
}
INSIDE = ("run", "runs/first", "./run", "a b/c", ".", "there/run", "..run", "run..")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with links that lead out of it and one that does not."""
    here, outside = tmp_path / "here", tmp_path / "outside"
    (here / "within").mkdir(parents=True)
    outside.mkdir()
    (here / "out").symlink_to(outside)
    (here / "within" / "out").symlink_to("../out")
    (here / "there").symlink_to(here / "within")
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return here


def written(here: Path, run: str) -> Path:
    file = here / "stranger.yaml"
    file.write_text(json.dumps(minimal(run=run)))
    return file


@pytest.mark.parametrize("run", OUTSIDE.values(), ids=OUTSIDE)
@pytest.mark.parametrize("command", ["run", "compare"])
def test_a_file_cannot_lead_a_run_outside(
    command: str, run: str, here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = here / "stranger.yaml"
    more = {"methods": ["base"]} if command == "compare" else {}
    file.write_text(json.dumps(minimal(run=run, **more)))
    before = sorted(tmp_path.rglob("*"))
    assert main.main([command, str(file)]) == 1
    said = capsys.readouterr().err
    assert f"run: {run}: " in said
    assert f"--run-folder {run}" in said
    assert sorted(tmp_path.rglob("*")) == before, "nothing is made"


@pytest.mark.parametrize("run", INSIDE)
def test_a_file_names_a_folder_below_the_working_folder(run: str, here: Path) -> None:
    assert load_settings(Config, written(here, run)).run == run


@pytest.mark.parametrize("run", [*OUTSIDE.values(), *INSIDE])
def test_whoever_types_may_name_any_folder(run: str, here: Path) -> None:
    file = written(here, "/srv/of-the-file")
    assert load_settings(Config, file, {"run": run}).run == run


@pytest.mark.parametrize(
    "words", [["--run-folder", "FOLDER"], ["--set", "run=FOLDER"]], ids=" ".join
)
def test_the_command_line_takes_one(
    words: list[str], here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def run(settings: Config, **more: Any) -> Path:
        seen.append(settings.run)
        raise ValueError("enough")

    monkeypatch.setattr("paretohqd.runs.pipeline.run", run)
    folder = str(tmp_path / "elsewhere")
    words = [word.replace("FOLDER", folder) for word in words]
    assert main.main(["run", str(written(here, "../above")), *words]) == 1
    assert seen == [folder]


def test_the_home_folder_is_meant_by_its_sign(here: Path, tmp_path: Path) -> None:
    assert run_path("~/run") == tmp_path / "home" / "run"
    assert run_path("a/~/b") == Path("a/~/b")
    with pytest.raises(ValueError, match=r"is ./~nobody-of-this-name/run"):
        run_path("~nobody-of-this-name/run")
    RunFolder(run_path("~/run")).close()
    assert (tmp_path / "home" / "run" / "run.json").is_file()
    assert not (here / "~").exists()


def test_every_new_folder_is_the_users_alone(here: Path, tmp_path: Path) -> None:
    mask = os.umask(0)  # so that everything would be open to all
    try:
        run = RunFolder(tmp_path / "new" / "run")
        run.stage("a/b", lambda out: (out / "c").mkdir() or (out / "c" / "d").touch(), settings={})  # type: ignore[func-returns-value]
        run.stage("a/b", lambda out: None, settings={"k": 2})  # type: ignore[arg-type, return-value]
        run.hash_path(here / "stranger.yaml") if (here / "stranger.yaml").exists() else None
        run.write_json("facts.json", {})
        run.close()
    finally:
        assert os.umask(mask) == 0, "the process's umask is left alone"
    folder = tmp_path / "new" / "run"
    modes = {p.relative_to(folder).as_posix(): p.stat().st_mode & 0o777 for p in folder.rglob("*")}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {"a/b/manifest.json", "superseded/a/b.0/c/d", ".lock", "run.json"} <= modes.keys()
    for name, mode in modes.items():
        assert mode == (0o700 if (folder / name).is_dir() else 0o600), name

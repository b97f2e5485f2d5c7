"""Whether a text names a path or something on the hub; neither takes the other's place."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.small_configs import ONE, minimal, write
from helpers.small_configs import load as load_file_of_settings
from paretohqd.models import base, hub
from paretohqd.models.names import check_hub_name, is_local
from paretohqd.models.spec import Model
from paretohqd.rewards.classifier import ClassifierReward
from paretohqd.runs.data import load_source
from paretohqd.runs.sections import Data


@pytest.mark.parametrize(
    "name", ["./tiny", "../tiny", "/models/tiny", "~/tiny", ".", "..", "~", "C:\\tiny", "./a.gguf"]
)
def test_paths(name: str) -> None:
    assert is_local(name)


NO_NAMES = [
    "",
    "a/b/c",
    "my model",
    "a/../b",
    "a/b..c",
    "a--b",
    ".a/b",
    "-a/b",
    "a/-b",
    "a/b-",
    "a/b.",
    "a\\b",
    "a/b\n",
    "https://their.host/a",
    "file:///a",
    "hf://a/b",
    "a/b@main",
    "a/b.git",
    "tiny.gguf",
    "a/\u0430",
    "x" * 97,
]


@pytest.mark.parametrize("name", NO_NAMES, ids=repr)
def test_no_names(name: str) -> None:
    assert not is_local(name)
    with pytest.raises(ValueError, match=r"name on the hub"):
        check_hub_name(name, "model")
    with pytest.raises(ValueError, match=r"cannot be loaded: "):
        hub.find(name)


@pytest.mark.parametrize("name", ["gpt2", "someone/model", "Some-one/model_1.0-x", "a/b.c"])
def test_names_on_the_hub(name: str) -> None:
    assert not is_local(name)
    check_hub_name(name, "model")


@pytest.mark.parametrize("place", ["beside", "here"])
@pytest.mark.parametrize("name", ["tiny", "someone/tiny", "tiny.gguf", "no name"])
def test_a_folder_does_not_take_the_place_of_a_hub_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, name: str
) -> None:
    for folder in ("beside", "here"):
        (tmp_path / folder).mkdir()
    (tmp_path / place / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    message = rf"model.*: {name} is no path, which begins .*: write \./{name} for it"
    for mapping in (
        minimal(model={"name": name}),
        minimal(objectives=[ONE, {"name": "two", "model": name}]),
    ):
        with pytest.raises(ValueError, match=message):
            load_file_of_settings(write(tmp_path / "beside", mapping))
    if place == "here":
        with pytest.raises(ValueError, match=message):
            base.load_tokenizer(Model(name=name))
        with pytest.raises(ValueError, match=message):
            ClassifierReward(name="r", model=name).load()


def test_a_path_is_found_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, here = tmp_path / "beside", tmp_path / "here"
    for folder in (beside / "both", here / "both", here / "alone", tmp_path / "above"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(tmp_path))

    def named(name: str) -> str:
        return load_file_of_settings(write(beside, minimal(model={"name": name}))).model.name

    assert named("./both") == str(beside / "both")
    assert named("./alone") == str(here / "alone")
    assert Path(named("../above")).resolve() == tmp_path / "above"
    assert named("~/above") == str(tmp_path / "above")
    assert named(str(here / "alone")) == str(here / "alone")
    with pytest.raises(ValueError, match=r"^model\.name: \./none: no such file or folder in "):
        named("./none")


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc", "a/b/c", "https://their.host/x", "", "here", "text", "imagefolder", "pandas"],
)
def test_data_of_the_hub_have_a_name_of_the_hub(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets, "load_dataset", lambda *given, **more: pytest.fail("was read"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    spec = Data(source=f"hub:{name}")
    with pytest.raises(ValueError, match=f"^hub:{name}: .*(name on the hub|write ./here)"):
        load_source(spec, spec.source)

"""Configurations in files: YAML as read here, paths, overrides and the examples."""

import json
import os
import re
from pathlib import Path

import pytest

from helpers.small_configs import ONE, load, minimal, write
from paretohqd.frames.reading.paths import find_files
from paretohqd.runs.config import Config
from paretohqd.runs.config_reader import from_mapping, to_mapping
from paretohqd.runs.yaml_reader import read_yaml
from paretohqd.safety.secrets import without_secrets
from paretohqd.trainers import sft

EXAMPLES = sorted(
    path
    for path in (Path(__file__).parents[2] / "examples").glob("*.yaml")
    if not path.name.startswith("compare")
)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_loads_and_goes_round(path):
    settings = load(path)
    sft.check_settings(settings.train, settings.lora)
    sft.check_settings({**settings.train, **settings.train_stage2}, settings.lora)
    assert from_mapping(Config, to_mapping(settings)) == settings
    source = settings.data.source
    assert source.startswith(("embedded:", "hub:")) or Path(source).is_absolute()


def test_there_are_examples():
    assert EXAMPLES


def test_round_trip_through_yaml_and_json(tmp_path):
    settings = from_mapping(
        Config,
        minimal(preferences=[[1, 0], [0, 1]], train={"learning_rate": 1e-5, "warmup": [1, {}]}),
    )
    plain = to_mapping(settings)
    assert from_mapping(Config, json.loads(json.dumps(plain))) == settings
    assert load(write(tmp_path, plain)) == settings
    assert plain["preferences"] == [[1.0, 0.0], [0.0, 1.0]]


def test_paths_are_found_beside_the_file_and_then_where_the_command_runs(tmp_path, monkeypatch):
    beside, here = tmp_path / "beside", tmp_path / "here"
    for folder in (beside, here):
        folder.mkdir()
        (folder / "both.csv").touch()
    (beside / "template.jinja").touch()
    (beside / "embedded").mkdir()
    (here / "prompts.csv").touch()
    (here / "reward").mkdir()
    monkeypatch.chdir(here)
    mapping = minimal(
        data={"source": "both.csv", "prompts": "prompts.csv"},
        model={"name": "embedded", "chat_template": "template.jinja"},
        objectives=[ONE, {"name": "two", "model": "./reward"}],
    )
    settings = load(write(beside, mapping))
    assert settings.data.source == str(beside / "both.csv")
    assert settings.data.prompts == str(here / "prompts.csv")
    assert settings.model.chat_template == str(beside / "template.jinja")
    assert settings.model.name == "embedded"
    assert settings.objectives[1].model == str(here / "reward")
    assert settings.run == "out"
    named = load(write(beside, mapping), {"data.source": "prompts.csv", "model.name": "a/b"})
    assert named.data.source == str(here / "prompts.csv")
    assert named.model.name == "a/b"


@pytest.mark.parametrize("name", ["beside", "be [1] *side"])
def test_patterns_are_found_beside_the_file_and_then_where_the_command_runs(
    name, tmp_path, monkeypatch
):
    beside, here = tmp_path / name, tmp_path / "here"
    for folder in (beside, here):
        (folder / "data" / "more").mkdir(parents=True)
        for number in (1, 2):
            (folder / "data" / f"rows{number}.csv").touch()
    (here / "data" / "more" / "prompts.csv").touch()
    monkeypatch.chdir(here)
    mapping = minimal(data={"source": "data/rows*.csv", "prompts": "**/prompts.csv"})
    settings = load(write(beside, mapping))
    found = [str(beside / "data" / f"rows{number}.csv") for number in (1, 2)]
    assert find_files(settings.data.source) == found
    assert Path(settings.data.prompts) == here / "**" / "prompts.csv"
    monkeypatch.chdir(beside)  # what is written leads there from the configuration's folder
    shown = find_files(settings.data.source.shown)
    assert [os.path.normpath(beside / file) for file in shown] == found
    monkeypatch.chdir(here)
    (beside / "data" / "rows2.csv").unlink()
    (beside / "data" / "rows2.csv").symlink_to(here / "data" / "rows2.csv")
    with pytest.raises(ValueError, match="leads by a link"):
        find_files(settings.data.source)
    for file in beside.glob("data/*.csv"):
        file.unlink()
    assert load(write(beside, mapping)).data.source == str(here / "data" / "rows*.csv")
    for other in ("s3://bucket/*.csv", "none*.csv", str(here / "data" / "rows*.csv")):
        named = load(write(beside, minimal(data={"source": other})))
        assert named.data.source == other


def test_a_name_relative_to_home_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x.csv").touch()
    settings = load(write(tmp_path, minimal()), {"data.source": "~/x.csv"})
    assert settings.data.source == str(tmp_path / "x.csv")


@pytest.mark.parametrize(
    "template", ["{% for m in messages %}{{ m }}{% endfor %}" * 300, "a\n/b", "~nobody/{{ x }}", ""]
)
def test_a_template_is_no_path(tmp_path, template):
    settings = load(write(tmp_path, minimal(model={"chat_template": template})))
    assert settings.model.chat_template == template


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n- 2\n", "expected a mapping of settings, got list"),
        ("", "expected a mapping of settings, got NoneType"),
        ("run: [1\n", "not valid YAML: .*line 2"),
        ("run: a\nrun: b\n", "run is given a second time in line 2"),
        ("data:\n  source: a\n  source: b\n", "source is given a second time in line 3"),
        ("run: !!python/object:os.system x\n", "not valid YAML"),
    ],
)
def test_files_that_are_no_configuration(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"^{path}: {message}"):
        load(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.yaml")


def test_overrides_reach_into_sections(tmp_path):
    path = write(tmp_path, minimal(generation=None, train={"max_steps": 5}))
    settings = load(path, {"generation.prompts": 4, "train.warmup_steps": 1, "lora.r": 2})
    assert settings.generation.prompts == 4
    assert settings.train == {"max_steps": 5, "warmup_steps": 1}
    assert settings.lora == {"r": 2}
    with pytest.raises(ValueError, match=r"^objectives\.0\.name: objectives is not a section"):
        load(path, {"objectives.0.name": "x"})
    with pytest.raises(ValueError, match=r"^run\.x: run is not a section"):
        load(path, {"run.x": 1})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "a: 1\n\tb: 2",
            r"not valid YAML: while scanning for the next token, found character '\t' that cannot "
            "start any token in line 2, column 1",
        ),
        ("a: @x", "for the next token, found character '@' that cannot start any token in line 1"),
        ("a: [1", "expected ',' or ']', but got '<stream end>' in line 1, column 6"),
        ("a: !hf_0123456789abcdef0123 1", "constructor for the tag '!<redacted>' in line 1"),
        ("a: 'x", "while scanning a quoted scalar, found unexpected end of stream in line 1"),
    ],
)
def test_what_is_no_yaml_is_described_without_secrets(text, said):
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        read_yaml(text)
    assert "hf_" not in str(error.value)
    assert without_secrets(str(error.value)) == str(error.value)  # as the command prints it


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("-2.5E+3", -2500.0),
        ("1e5", 1e5),
        (".5e1", 5.0),
        ("1.0e-5", 1e-5),
        ("e5", "e5"),
        ("1e", "1e"),
        ("7", 7),
        ("0.5", 0.5),
        ("'1e-5'", "1e-5"),
        ("true", True),
        ("null", None),
        ("1e5-beta", "1e5-beta"),
        ("{a: &x {c: 1}}", {"a": {"c": 1}}),
    ],
)
def test_yaml_values(text, value):
    read = read_yaml(text)
    assert read == value
    assert type(read) is type(value)

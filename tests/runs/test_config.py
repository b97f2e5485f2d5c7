import dataclasses
import inspect
import json
import re
import subprocess
import sys
import typing
from pathlib import Path

import polars as pl
import pytest
import yaml

from paretohqd.frames import text_metrics
from paretohqd.models import sampling as generation
from paretohqd.models.spec import Model
from paretohqd.runs import config, evaluation
from paretohqd.runs.config import Config, load_config
from paretohqd.runs.config_reader import from_mapping, read_yaml, to_mapping
from paretohqd.selection import choosing
from paretohqd.trainers import sft

EXAMPLES = sorted(
    path
    for path in (Path(__file__).parents[2] / "examples").glob("*.yaml")
    if not path.name.startswith("compare")
)
SECTIONS = {
    "data": config.Data,
    "model": Model,
    "selection": config.Selection,
    "generation": config.Generation,
    "evaluation": config.Evaluation,
}
VALID = {
    "duplicates": "drop",
    "subset": "default",
    "split": "test",
    "revision": "main",
    "conversation": "dialogue",
    "invalid": "drop",
    "bounds": "all",
    "scale": "none",
    "trim": True,
    "directions": "tchebycheff",
    "one_per_prompt": True,
    "temperature": 1,
    "top_p": 0.5,
    "distinct": 0.2,
    "echo": 1,
    "max_word_overlap": 0.5,
    "stages": 1,
    "device": "cpu",
    "precision": "float32",
}
"""A value that is not the default, for keys that do not just take any text or number."""


def minimal(**more):
    objectives = [{"name": n, "scorer": f"embedded:{n}"} for n in ("harmless", "relevance")]
    plain = {"run": "out", "data": {"source": "embedded:conversations"}, "objectives": objectives}
    return {**plain, **more}


def hints(kind):
    return typing.get_type_hints(kind)


def leaves():
    """Dotted key, type hint and a value of every setting but those of objectives."""
    for name, hint in hints(Config).items():
        if name in SECTIONS:
            for key, inner in hints(SECTIONS[name]).items():
                yield f"{name}.{key}", inner, VALID.get(key, 7 if "int" in str(inner) else "text")
        elif name in ("train", "train_stage2", "lora"):
            yield name, hint, {"max_steps": 3}
        elif name != "objectives":
            yield name, hint, VALID.get(name, 7 if "int" in str(hint) else "text")


LEAVES = [pytest.param(*leaf, id=leaf[0]) for leaf in leaves()]


def write(tmp_path, mapping):
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(mapping))
    return path


def reach(value, dotted):
    for key in dotted.split("."):
        value = getattr(value, key)
    return value


def test_there_are_many_settings():
    assert len(LEAVES) > 35


@pytest.mark.parametrize(("key", "hint", "value"), LEAVES)
def test_every_setting_is_read_from_the_file_and_from_overrides(tmp_path, key, hint, value):
    *section, last = key.split(".")
    inner = {**(minimal()[section[0]] if section == ["data"] else {}), last: value}
    written = load_config(write(tmp_path, minimal(**({section[0]: inner} if section else inner))))
    overridden = load_config(write(tmp_path, minimal()), {key: value})
    assert reach(written, key) == value
    assert written == overridden != load_config(write(tmp_path, minimal()))


@pytest.mark.parametrize(("key", "hint", "value"), LEAVES)
def test_every_setting_refuses_another_kind(tmp_path, key, hint, value):
    wrong = "many" if "tuple" in str(hint) else []
    got = re.escape(repr(wrong))
    with pytest.raises(ValueError, match=rf"^{key}: expected .*, got {got}$"):
        load_config(write(tmp_path, minimal()), {key: wrong})


@pytest.mark.parametrize(("key", "hint", "value"), LEAVES)
def test_every_setting_is_suggested_where_it_is_misspelt(tmp_path, key, hint, value):
    last = key.split(".")[-1]
    with pytest.raises(ValueError, match=rf"^unknown key {key}q: did you mean {last}\?$"):
        load_config(write(tmp_path, minimal()), {f"{key}q": value})


@pytest.mark.parametrize("key", hints(config.Objective))
def test_settings_of_objectives(key):
    hint = str(hints(config.Objective)[key])
    value = 3 if "int" in hint else True if "bool" in hint else "text"
    both = [{"name": "one", "scorer": "x"}, {"name": "two", "scorer": "x"}]
    if key == "model":
        del both[0]["scorer"]
    found = from_mapping(Config, minimal(objectives=[{**both[0], key: value}, both[1]]))
    assert getattr(found.objectives[0], key) == value
    with pytest.raises(ValueError, match=rf"^objectives\[1\].{key}: expected "):
        from_mapping(Config, minimal(objectives=[both[0], {**both[1], key: [1]}]))
    with pytest.raises(ValueError, match=rf"^unknown key objectives\[1\].{key}q: did you mean"):
        from_mapping(Config, minimal(objectives=[both[0], {**both[1], f"{key}q": 1}]))


def test_a_key_like_no_other_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"^unknown key zzz: known keys: run, data, objectives"):
        from_mapping(Config, minimal(zzz=1))
    with pytest.raises(ValueError, match=r"^unknown key 5: known keys: run"):
        from_mapping(Config, {**minimal(), 5: 1})


@pytest.mark.parametrize("key", ["run", "data", "objectives"])
def test_a_missing_key(key):
    mapping = minimal()
    del mapping[key]
    with pytest.raises(ValueError, match=f"^missing key {key}$"):
        from_mapping(Config, mapping)
    with pytest.raises(ValueError, match=r"^missing key data\.source$"):
        from_mapping(Config, minimal(data={}))
    with pytest.raises(ValueError, match=r"^missing key objectives\[0\]\.name$"):
        from_mapping(Config, minimal(objectives=[{"scorer": "x"}]))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"stages": 3}, "stages: expected one of 1, 2, got 3"),
        ({"stages": True}, "stages: expected one of 1, 2, got True"),
        ({"stages": 1.0}, "stages: expected one of 1, 2, got 1.0"),
        ({"device": "gpu"}, "device: expected one of auto, cpu, cuda, got 'gpu'"),
        ({"seed": True}, "seed: expected a whole number, got True"),
        ({"seed": 1.5}, "seed: expected a whole number, got 1.5"),
        ({"seed": -1}, "seed: must be from 0 to 2147483647, got -1"),
        ({"seed": None}, "seed: expected a whole number, got None"),
        ({"run": 2024}, "run: expected text, got 2024: put it in quotes"),
        ({"run": None}, "run: expected text, got None$"),
        ({"data": "x.parquet"}, "data: expected a section, got 'x.parquet'"),
        ({"train": None}, "train: expected a section, got None"),
        ({"objectives": {"harmless": {}}}, "objectives: expected a list, got"),
        ({"objectives": ["harmless"]}, r"objectives\[0\]: expected a section, got 'harmless'"),
        ({"preferences": "11"}, "preferences: expected a whole number or a list, got '11'"),
        ({"preferences": 2.0}, "preferences: expected a whole number or a list, got 2.0"),
        ({"preferences": True}, "preferences: expected a whole number or a list, got True"),
        ({"preferences": [0.5, 0.5]}, r"preferences\[0\]: expected a list, got 0.5"),
        ({"preferences": [[1, "0"]]}, r"preferences\[0\]\[1\]: expected a number, got '0'"),
        ({"preferences": 0}, "preferences: must be at least 1, got 0"),
        ({"threads": 0}, "threads: must be at least 1, got 0"),
        ({"selection": {"k": 0}}, r"selection\.k: must be at least 1, got 0"),
        ({"selection": {"k_stage2": 0}}, r"selection\.k_stage2: must be at least 1"),
        ({"selection": {"one_per_prompt": 1}}, "one_per_prompt: expected true or false, got 1"),
        ({"selection": {"upto": 1, "at_least": 9}}, "selection: give upto or at_least, not both"),
        ({"generation": {"temperature": -0.1}}, r"generation\.temperature: must be at least 0"),
        ({"generation": {"temperature": float("inf")}}, "temperature: must be at least 0, got inf"),
        ({"generation": {"top_p": float("nan")}}, "top_p: must be from 0 to 1, got nan"),
        ({"generation": {"top_p": 1.1}}, "top_p: must be from 0 to 1, got 1.1"),
        ({"evaluation": {"echo": 2}}, "echo: must be from 0 to 1, got 2.0"),
        ({"evaluation": {"max_ngram": 0}}, "max_ngram: must be at least 1"),
        ({"data": {"source": "x", "held_out": 0}}, "held_out: must be at least 1, got 0"),
    ],
)
def test_values_that_make_no_sense(more, message):
    with pytest.raises(ValueError, match=message):
        from_mapping(Config, minimal(**more))


ONE = {"name": "one", "scorer": "embedded:harmless"}


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (None, "two or more"),
        ({**ONE}, "names must differ, got one, one"),
        ({"name": "two"}, "two has neither a scorer nor a model"),
        ({"name": "two", "column": "x"}, "two has neither a scorer nor a model"),
        ({"name": "two", "scorer": "x", "model": "y"}, "two has both a scorer and a model"),
        ({"name": "", "scorer": "x"}, r"objectives\[1\].name: '' is empty or a column"),
        ({"name": "words", "scorer": "x"}, "'words' is empty or a column of the run's own"),
        ({"name": "two", "model": "x", "batch_size": 0}, r"\[1\].batch_size: must be at least 1"),
    ],
)
def test_objectives_that_make_no_sense(second, message):
    with pytest.raises(ValueError, match=message):
        from_mapping(Config, minimal(objectives=[ONE] if second is None else [ONE, second]))


def test_objectives_take_no_column_that_the_run_makes():
    answers = pl.DataFrame({"prompt": ["x"], "response": ["y"]})
    measured = evaluation.measure(answers, config.Evaluation()).columns
    assert {*measured, *choosing.ADDED, "conversation", "model"} <= set(config.TAKEN)
    assert "tokens" in config.TAKEN
    assert "finished" in config.TAKEN


def test_preferences_may_be_weights_by_name():
    brief = {"relevance": 7, "harmless": 3}
    for given in ({"brief": brief}, {"brief": [0.3, 0.7], "long": [1, 0]}, brief):
        assert from_mapping(Config, minimal(preferences=given)).preferences == given
    found = from_mapping(Config, minimal(preferences=[brief, [1, 0]]))
    assert found.preferences == (brief, (1.0, 0.0))
    assert from_mapping(Config, minimal()).preferences is None


def test_preferences_may_be_weights():
    found = from_mapping(Config, minimal(preferences=[[1, 0], [0.25, 0.75]]))
    assert found.preferences == ((1.0, 0.0), (0.25, 0.75))
    assert all(type(x) is float for row in found.preferences for x in row)


def test_whole_numbers_are_numbers():
    found = from_mapping(Config, minimal(generation={"temperature": 1}))
    assert type(found.generation.temperature) is float


# ── files ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_loads_and_goes_round(path):
    found = load_config(path)
    sft.check_settings(found.train, found.lora)
    sft.check_settings({**found.train, **found.train_stage2}, found.lora)
    assert from_mapping(Config, to_mapping(found)) == found
    source = found.data.source
    assert source.startswith(("embedded:", "hub:")) or Path(source).is_absolute()


def test_there_are_examples():
    assert EXAMPLES


def test_round_trip_through_yaml_and_json(tmp_path):
    found = from_mapping(
        Config,
        minimal(preferences=[[1, 0], [0, 1]], train={"learning_rate": 1e-5, "warmup": [1, {}]}),
    )
    plain = to_mapping(found)
    assert from_mapping(Config, json.loads(json.dumps(plain))) == found
    assert load_config(write(tmp_path, plain)) == found
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
        objectives=[ONE, {"name": "two", "model": "reward"}],
    )
    found = load_config(write(beside, mapping))
    assert found.data.source == str(beside / "both.csv")
    assert found.data.prompts == str(here / "prompts.csv")
    assert found.model.chat_template == str(beside / "template.jinja")
    assert found.model.name == "embedded"
    assert found.objectives[1].model == str(here / "reward")
    assert found.run == "out"
    named = load_config(write(beside, mapping), {"data.source": "prompts.csv", "model.name": "a/b"})
    assert named.data.source == str(here / "prompts.csv")
    assert named.model.name == "a/b"


def test_a_name_relative_to_home_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x.csv").touch()
    found = load_config(write(tmp_path, minimal()), {"data.source": "~/x.csv"})
    assert found.data.source == str(tmp_path / "x.csv")


@pytest.mark.parametrize(
    "template", ["{% for m in messages %}{{ m }}{% endfor %}" * 300, "a\n/b", "~nobody/{{ x }}", ""]
)
def test_a_template_is_no_path(tmp_path, template):
    found = load_config(write(tmp_path, minimal(model={"chat_template": template})))
    assert found.model.chat_template == template


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
        load_config(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_config(tmp_path / "none.yaml")


def test_overrides_reach_into_sections(tmp_path):
    path = write(tmp_path, minimal(generation=None, train={"max_steps": 5}))
    found = load_config(path, {"generation.prompts": 4, "train.warmup_steps": 1, "lora.r": 2})
    assert found.generation.prompts == 4
    assert found.train == {"max_steps": 5, "warmup_steps": 1}
    assert found.lora == {"r": 2}
    with pytest.raises(ValueError, match=r"^objectives\.0\.name: objectives is not a section"):
        load_config(path, {"objectives.0.name": "x"})
    with pytest.raises(ValueError, match=r"^run\.x: run is not a section"):
        load_config(path, {"run.x": 1})


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
        ("{<<: {a: 1}, b: 2}", {"a": 1, "b": 2}),
        ("[{a: &x {c: 1}}, {<<: *x, c: 2}]", [{"a": {"c": 1}}, {"c": 2}]),
    ],
)
def test_yaml_values(text, value):
    found = read_yaml(text)
    assert found == value
    assert type(found) is type(value)


# ── the same everywhere ──────────────────────────────────────────────────────────────────────


def test_settings_are_frozen_and_by_keyword():
    found = from_mapping(Config, minimal())
    for value, name in ((found, "seed"), (found.data, "source"), (found.objectives[0], "name")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, "x")
        with pytest.raises(TypeError):
            type(value)("x")


@pytest.mark.parametrize(
    "module", ["paretohqd", "paretohqd.runs.config", "paretohqd.frames.sources"]
)
def test_importing_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "transformers", "datasets", "trl", "peft", "altair", "rich", "ray", "yaml"}
    assert "polars" in run.stdout or module == "paretohqd.runs.config"
    assert not heavy & set(run.stdout.split())


def test_configured_defaults_are_those_of_the_functions():
    sampling = inspect.signature(generation.generate).parameters
    for name in ("max_new_tokens", "temperature", "top_p", "batch_size"):
        assert getattr(config.Generation(), name) == sampling[name].default
    measured = inspect.signature(text_metrics.collapse).parameters
    for name in ("min_words", "max_ngram", "repeats", "distinct"):
        assert getattr(config.Evaluation(), name) == measured[name].default
    chosen = inspect.signature(choosing.choose).parameters
    for name in ("k", "upto", "at_least", "bounds", "scale", "directions"):
        assert getattr(config.Selection(), name) == chosen[name].default

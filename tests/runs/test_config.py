"""Settings: each is read, checked and explained; nothing heavy is loaded for it."""

import dataclasses
import inspect
import re
import subprocess
import sys
import typing

import polars as pl
import pytest

from helpers.small_configs import ONE, load, minimal, write
from paretohqd.frames import text_metrics
from paretohqd.models.sampling import generate
from paretohqd.models.spec import Kwargs, Model, SamplingServer
from paretohqd.rewards.rubric import Judge
from paretohqd.runs import config, evaluation, sections
from paretohqd.runs.config import Config
from paretohqd.runs.config_reader import from_mapping
from paretohqd.selection import choosing

SECTIONS = {
    "data": sections.Data,
    "model": Model,
    "selection": sections.Selection,
    "generation": sections.Generation,
    "evaluation": sections.Evaluation,
}
VALID = {
    "duplicates": "drop",
    "subset": "default",
    "chat_template": "{{ messages }}",
    "split": "test",
    "revision": "main",
    "conversation": "dialogue",
    "invalid": "drop",
    "bounds": "all",
    "scale": "none",
    "trim": True,
    "directions": "tchebycheff",
    "one_per_prompt": True,
    "exclusive": True,
    "at_most": {"topic": 20},
    "epsilon": 0.5,
    "where": "relevance > 1",
    "sample": 3,
    "diverse": "embedding",
    "kwargs": {"quantization": "nf4"},
    "train_together": True,
    "rank": "sum",
    "endpoint": {"url": "http://localhost/v1", "model": "m"},
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
    written = load(write(tmp_path, minimal(**({section[0]: inner} if section else inner))))
    overridden = load(write(tmp_path, minimal()), {key: value})
    sections = {"endpoint": SamplingServer, "kwargs": Kwargs}
    read = sections[last](**value) if last in sections else value
    assert reach(written, key) == read
    assert written == overridden != load(write(tmp_path, minimal()))


@pytest.mark.parametrize(("key", "hint", "value"), LEAVES)
def test_every_setting_refuses_another_kind(tmp_path, key, hint, value):
    wrong = "many" if "tuple" in str(hint) else []
    got = re.escape(repr(wrong))
    with pytest.raises(ValueError, match=rf"^{key}: expected .*, got {got}$"):
        load(write(tmp_path, minimal()), {key: wrong})


@pytest.mark.parametrize(("key", "hint", "value"), LEAVES)
def test_every_setting_is_suggested_where_it_is_misspelt(tmp_path, key, hint, value):
    last = key.split(".")[-1]
    with pytest.raises(ValueError, match=rf"^unknown key {key}q: did you mean {last}\?$"):
        load(write(tmp_path, minimal()), {f"{key}q": value})


@pytest.mark.parametrize("key", hints(sections.Objective))
def test_settings_of_objectives(key):
    hint = str(hints(sections.Objective)[key])
    value: object = 3 if "int" in hint else True if "bool" in hint else "text"
    value = {"columns": ("text",), "options": {"a": 1}}.get(key, value)
    wrong: object = 1 if key in ("columns", "options") else [1]
    both = [{"name": "one", "scorer": "x"}, {"name": "two", "scorer": "x"}]
    judge = {"url": "http://localhost/v1", "model": "m", "rubric": "Kind?"}
    if key in ("model", "judge", "aspect"):
        del both[0]["scorer"]
    if key in ("judge", "aspect"):
        both[0]["judge"] = judge
    value = Judge(**judge) if key == "judge" else value
    given = judge if key == "judge" else value
    settings = from_mapping(Config, minimal(objectives=[{**both[0], key: given}, both[1]]))
    assert getattr(settings.objectives[0], key) == value
    with pytest.raises(ValueError, match=rf"^objectives\[1\].{key}: expected "):
        from_mapping(Config, minimal(objectives=[both[0], {**both[1], key: wrong}]))
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
        ({"selection": {"rank": "sum", "upto": 1}}, "rank: sum chooses from all rows"),
        ({"selection": {"rank": "best"}}, r"selection\.rank: expected one of ray, achievement"),
        ({"selection": {"bounds": [[0, "x"], [1, 1]]}}, r"bounds\[0\]\[1\]: expected a number"),
        ({"selection": {"bounds": 3}}, r"selection\.bounds: expected a list"),
        ({"selection": {"bounds": [[0], [1]]}}, "selection: bounds: expected r_min and r_max of 2"),
        ({"selection": {"bounds": [[1, 1], [0, 0]]}}, "selection: bounds: .* must be above r_min"),
        ({"selection": {"epsilon": -1}}, "selection: epsilon: expected a number from 0 on, or 2"),
        ({"selection": {"epsilon": [1, 1, 1]}}, "selection: epsilon: expected a number from 0 on"),
        ({"selection": {"epsilon": {"tone": 1}}}, "selection: epsilon: no objective 'tone'"),
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
    measured = evaluation.measure(answers, sections.Evaluation()).columns
    assert {*measured, *choosing.ADDED, "conversation", "model"} <= set(config.TAKEN)
    assert "tokens" in config.TAKEN
    assert "finished" in config.TAKEN


def test_preferences_may_be_weights_by_name():
    brief = {"relevance": 7, "harmless": 3}
    for given in ({"brief": brief}, {"brief": [0.3, 0.7], "long": [1, 0]}, brief):
        assert from_mapping(Config, minimal(preferences=given)).preferences == given
    settings = from_mapping(Config, minimal(preferences=[brief, [1, 0]]))
    assert settings.preferences == (brief, (1.0, 0.0))
    assert from_mapping(Config, minimal()).preferences is None


def test_preferences_may_be_weights():
    settings = from_mapping(Config, minimal(preferences=[[1, 0], [0.25, 0.75]]))
    assert settings.preferences == ((1.0, 0.0), (0.25, 0.75))
    assert all(type(x) is float for row in settings.preferences for x in row)


def test_whole_numbers_are_numbers():
    settings = from_mapping(Config, minimal(generation={"temperature": 1}))
    assert type(settings.generation.temperature) is float


def test_settings_are_frozen_and_by_keyword():
    settings = from_mapping(Config, minimal())
    for value, name in (
        (settings, "seed"),
        (settings.data, "source"),
        (settings.objectives[0], "name"),
    ):
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
    sampling = inspect.signature(generate).parameters["sampling"].default
    for name in ("max_new_tokens", "temperature", "top_p", "batch_size"):
        assert getattr(sections.Generation(), name) == getattr(sampling, name)
    measured = inspect.signature(text_metrics.collapse).parameters
    for name in ("min_words", "max_ngram", "repeats", "distinct"):
        assert getattr(sections.Evaluation(), name) == measured[name].default
    chosen = inspect.signature(choosing.choose).parameters
    for name in ("k", "upto", "at_least", "rank", "bounds", "scale", "directions"):
        assert getattr(sections.Selection(), name) == chosen[name].default

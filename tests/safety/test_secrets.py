"""What a run writes and says has no secrets, and no places of the machine that it was made on."""

import json
import os
import shutil
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from helpers.finished_run import GRIDS, make_run
from helpers.small_configs import load, minimal, write
from helpers.small_run import do, mapping
from paretohqd.frames.hashes import Hashes
from paretohqd.frames.sources import Source
from paretohqd.models.base_names import named_base
from paretohqd.runs import failures
from paretohqd.runs.folder import RunFolder
from paretohqd.runs.report import write_report
from paretohqd.runs.written import written
from paretohqd.safety.places import FoundPath, shown_path
from paretohqd.safety.secrets import (
    REDACTED,
    is_secret_name,
    redacted,
    refuse_secrets,
    secret_in,
    without_secrets,
)
from safety.hostile import AWS, GITHUB, HF, JWT, OPENAI, PASSWORD, PEM, SECRETS, SIGNED

SECRET_NAMES = [
    *("token", "hub_token", "HF_TOKEN", "hubToken", "push-to-hub-token", "auth_token", "hftoken"),
    *("secret", "client_secret", "secrets", "SECRET_KEY", "aws.secret.access.key"),
    *("password", "db_password", "passwords", "Passwd", "passphrase", "mypassword"),
    *("api_key", "apikey", "API-KEY", "openai_api_keys", "access_key", "private_key"),
    *(
        "credential",
        "credentials",
        "X-Amz-Credential",
        "authorization",
        "tok\u200ben",
        "hub%5Ftoken",
    ),
]
OTHER_NAMES = [
    *("max_tokens", "max_new_tokens", "tokens_per_answer", "trained_tokens", "control_tokens"),
    *("pad_token", "eos_token", "bos_token", "unk_token", "mask_token", "stop_token"),
    *("token_id", "pad_token_id", "token_type_ids", "mean_token_accuracy", "tokenizer"),
    *("trainable_token_indices", "include_num_input_tokens_seen", "tokenize", "detokenizer"),
    *("key", "keys", "keyboard", "primary_key", "monkey", "api_key_env", "secretary", "passed"),
    *("author", "authors", "seed", "k", "", "credible"),
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_of_secrets(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_names_of_other_things(name):
    assert not is_secret_name(name)


@pytest.mark.parametrize("text", [*(s for s in SECRETS if s != PASSWORD), f"x={HF}", f"({GITHUB})"])
def test_texts_that_hold_a_secret(text):
    assert secret_in(text)
    shown = redacted(f"before {text} after")
    assert text not in shown
    assert "before " in shown


@pytest.mark.parametrize(
    "text",
    [
        *("sk-learn-contrib-and-others", "hf_hub", "a" * 40, "0123456789abcdef" * 4),
        *("hf://datasets/some/rows@main/x.parquet", "s3://bucket/x?.parquet", "git@host:some/it"),
        *("http://localhost:8000/v1?model=tiny", "the token is a word", "Human: my password?"),
        *("https://example.org/a?q=tea&page=2", "me@example.org", "{prompt} [SEP] {response}"),
    ],
)
def test_texts_that_hold_none(text):
    assert secret_in(text) is None
    refuse_secrets({"a": text})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://me:word@bucket/x.csv", "s3://bucket/x.csv"),
        ("s3://me:wo/rd@bucket/x.csv", "s3://bucket/x.csv"),
        (f"{SIGNED}: cannot be read", "https://bucket.example/rows.csv: cannot be read"),
        ("https://h:80/x.csv?a=1#b", "https://h:80/x.csv"),
        ("see https://me@h/x, or not", "see https://h/x, or not"),
        ("https%3A%2F%2Fme%3Aword%40h", REDACTED),
        ("--set train.hub_token=abc -v", f"--set train.hub_token={REDACTED} -v"),
        ('{"password": "abc"}', f'{{"password": "{REDACTED}"}}'),
        ("max_tokens=5", "max_tokens=5"),
        (f"a {AWS} b {JWT} c", f"a {REDACTED} b {REDACTED} c"),
        (f"{PEM}\nend", f"{REDACTED}\nend"),
    ],
)
def test_texts_without_their_secrets(text, shown):
    assert without_secrets(text) == shown
    assert redacted({"a": [text]}) == {"a": [without_secrets(text)]}


def test_what_is_redacted_keeps_its_shape():
    value = {
        "token": 0.5,
        "scores": {"secret": {"mean": 0.25, "n": 3, "by": "hand"}},
        HF: [1, None, True, (OPENAI, 2)],
        1: "one",
    }
    assert redacted(value) == {
        "token": 0.5,
        "scores": {"secret": {"mean": 0.25, "n": 3, "by": REDACTED}},
        REDACTED: [1, None, True, [REDACTED, 2]],
        1: "one",
    }


def test_long_texts_take_no_long_time():
    for text in ("a" * 300_000, "x://" * 75_000, "a=b " * 75_000, "%25" * 100_000, "-" * 300_000):
        assert redacted(text)


def test_paths_as_they_are_shown(tmp_path, monkeypatch):
    home = tmp_path / "home" / "me"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    assert shown_path(home / "data" / "x.csv", home / "conf") == "../data/x.csv"
    assert shown_path(home / "x.csv", "/srv/conf") == "~/x.csv"
    assert shown_path("/srv/x.csv", "/srv/conf") == "../x.csv"
    assert redacted(f"in {tmp_path}/runs/a of {tmp_path}") == "in runs/a of ."
    monkeypatch.chdir("/")
    assert redacted(f"{home}/b and {home}, not {home}2") == f"~/b and ~, not {home}2"
    assert redacted(FoundPath("/srv/x.csv", "x.csv")) == "x.csv"
    assert redacted("/srv/other/x.csv") == "/srv/other/x.csv"


def test_a_configuration_is_written_relative_to_its_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    conf, data = tmp_path / "conf", tmp_path / "data"
    for folder in (conf / "reward", data):
        folder.mkdir(parents=True)
    (data / "rows.csv").touch()
    (conf / "mine.jinja").write_text("{{ messages }}")
    plain = minimal(
        data={"source": "../data/rows.csv", "prompts": str(data / "rows.csv")},
        model={"chat_template": "mine.jinja"},
        objectives=[*minimal()["objectives"][:1], {"name": "b", "model": str(conf / "reward")}],
    )
    settings = load(write(conf, plain))
    assert Path(settings.data.source).samefile(data / "rows.csv")
    shown = written(settings)
    assert shown["data"]["source"] == shown["data"]["prompts"] == "../data/rows.csv"
    assert shown["model"]["chat_template"] == "mine.jinja"
    assert shown["objectives"][1]["model"] == "./reward"
    assert str(tmp_path) not in json.dumps(shown)
    # What is written is a configuration again, beside the files.
    again = load(write(conf, shown))
    assert written(again) == shown


@pytest.fixture(scope="module")
def moved(parts, tmp_path_factory):
    """A run by a YAML file, and the lines of the same where all of it lies in another place."""
    before, after = (tmp_path_factory.mktemp(name) for name in ("before", "after"))
    for name in ("model", "kind", "brief"):
        shutil.copytree(parts / name, before / name)
    shutil.copy(parts / "data.parquet", before)
    shutil.copy(before / "model" / "chat_template.jinja", before / "chat.jinja")
    plain = mapping(Path("."), "out", stages=1, preferences=[[1, 0], [0, 1]])
    plain["model"] = {"name": "./model", "chat_template": "chat.jinja"}
    plain["data"]["source"] = "data.parquet"
    for objective in plain["objectives"]:
        objective["model"] = f"./{objective['name']}"
    (before / "it.yaml").write_text(yaml.safe_dump(plain))
    here = os.getcwd()
    lines = []
    try:
        for folder in (before, after):
            if folder is after:
                for path in before.iterdir():
                    shutil.move(path, after / path.name)
            os.chdir(folder)
            lines.append(do(load(folder / "it.yaml")))
    finally:
        os.chdir(here)
    return after, lines[1], [before, after, parts, Path.home()]


def test_a_run_that_is_moved_with_its_files_goes_on(moved):
    _, lines, _ = moved
    stages = [
        line for line in lines if line.startswith(("data", "stage1/", "answers/", "evaluate/"))
    ]
    assert len(stages) > 8
    assert [line for line in stages if "done before" not in line] == []
    assert not any("settings changed" in line for line in lines)


def test_a_run_folder_names_no_place_of_the_machine(moved):
    folder, _, places = moved
    texts = 0
    for path in (folder / "out").rglob("*"):
        if path.suffix in (".json", ".yaml", ".html", ".txt", ".csv", ".md") and path.is_file():
            text = path.read_text()
            texts += 1
            assert [p for p in places if str(p) in text and len(p.parts) > 1] == [], path
    assert texts > 20
    saved = json.loads((folder / "out/stage1/fit/00/adapter/adapter_config.json").read_text())
    assert saved["base_model_name_or_path"] == "model"


def test_pages_of_older_folders_show_neither(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    make_run(run, *GRIDS["two-3"])
    old = {"run": "/srv/runs/x", "data": {"source": "/home/someone/rows.csv"}}
    old["train"] = {"hub_token": PASSWORD, "run_name": HF}
    (run / "config.yaml").write_text(yaml.safe_dump(old))
    page = write_report(run, tmp_path / "page.html").read_text()
    assert "hub_token: &lt;redacted&gt;" in page
    assert "source: rows.csv" in page
    for text in (PASSWORD, HF, "/home/someone", "/srv/runs"):
        assert text not in page


def test_small_files_and_manifests(tmp_path):
    folder = RunFolder(tmp_path / "run")

    def work(out):
        (out / "x").write_text("x")
        return {"train": {"hub_token": PASSWORD}, "source": f"s3://me:{PASSWORD}@bucket/x"}

    before = folder.stage("a", work, settings={"password": PASSWORD}, inputs={"model": HF})
    folder.write_json("x.json", {"note": [OPENAI]})
    folder.close()
    again = RunFolder(tmp_path / "run")
    after = again.stage("a", work, settings={"password": PASSWORD}, inputs={"model": HF})
    again.close()
    assert before.manifest.key == after.manifest.key
    text = (tmp_path / "run/a/manifest.json").read_text() + (tmp_path / "run/x.json").read_text()
    assert text.count(REDACTED) == 4
    assert not [secret for secret in SECRETS if secret in text]


def test_an_error_is_described_without(monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["paretohqd", "--set", f"train.hub_token={PASSWORD}"])
    try:
        raise ValueError(f"{SIGNED} with {HF} in {Path.home()}/x")
    except ValueError as error:
        text = failures.described(error)
    assert f"hub_token={REDACTED}" in text
    assert "ValueError: https://bucket.example/rows.csv" in text
    assert not [secret for secret in SECRETS if secret in text]


def test_remembered_hashes_name_no_other_folder(tmp_path):
    folder, other = tmp_path / "run", tmp_path / "other"
    for each in (folder, other):
        each.mkdir()
        (each / "x").write_text("x")
        os.utime(each / "x", (1, 1))
    hashes = Hashes(folder)
    content = hashes.path(other / "x")
    assert hashes.path(folder / "x") == content
    assert str(tmp_path) not in hashes.text()
    again = Hashes(folder, [hashes.text(), json.dumps({str(other / "x"): [1, 1, 1, 1, "y"]})])
    assert again.path(other / "x") == content
    assert str(tmp_path) not in again.text()


@pytest.mark.parametrize(
    "url", [SIGNED, f"https://me:{PASSWORD}@host.invalid/x.parquet", f"s3://me:{PASSWORD}@b/x.foo"]
)
def test_a_url_that_cannot_be_read_is_named_without_its_permission(url, monkeypatch):
    def unreachable(*_, **__):
        raise pl.exceptions.ComputeError(f"error sending request for url ({url})")

    monkeypatch.setattr("paretohqd.frames.reading.opening.scan", unreachable)
    with pytest.raises((ValueError, pl.exceptions.PolarsError)) as refused:
        Source.of(url)
    assert not [secret for secret in SECRETS if secret in without_secrets(str(refused.value))]


def test_a_url_that_is_read_is_remembered_without_its_permission(monkeypatch):
    monkeypatch.setattr(
        "paretohqd.frames.reading.opening.scan", lambda *_, **__: pl.LazyFrame({"a": [1]})
    )
    assert Source.of(SIGNED).pattern == "https://bucket.example/rows.csv"


def test_what_an_adapter_says_of_its_base():
    commit = "f" * 40
    place = f"/cache/hub/models--some--tiny--model/snapshots/{commit}"
    of_hub = {"base_model_name_or_path": "some/tiny--model", "revision": commit}
    assert named_base(place, None) == of_hub
    assert named_base("some/tiny", commit)["revision"] == commit
    assert named_base("/home/me/models/tiny", None)["base_model_name_or_path"] == "tiny"

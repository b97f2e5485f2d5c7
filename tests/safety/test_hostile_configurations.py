"""A stranger's configuration ends in a refusal that shows nothing of what it must not."""

import re
import time

import pytest

from helpers.small_configs import load, minimal, write
from paretohqd.cli.main import main
from paretohqd.safety.printing import printable
from safety.hostile import ALL, MARK, SECRETS, Hostile, lay_out


@pytest.fixture
def folder(tmp_path):
    return lay_out(tmp_path)


def written(folder, hostile: Hostile):
    path = folder / "config.yaml"
    text = hostile.text
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_table_is_long():
    assert len(ALL) >= 100


def test_what_is_not_hostile_is_read(folder):
    (folder / "fine.jinja").write_text("{{ messages }}")
    (folder / "sub" / "fine.txt").write_text("{{ messages }}")
    for name in ("fine.jinja", "sub/fine.txt", "./fine.jinja", "{{ messages }}"):
        mapping = minimal(
            model={"chat_template": name},
            train={"eos_token": "<end>", "max_steps": 3, "run_name": "sk-learn-and-hf_models"},
            preferences={"token": [1, 0], "secret": [0, 1]},
        )
        load(write(folder, mapping))
    load(write(folder, minimal(data={"source": "hub:some/rows", "revision": "a" * 40})))


@pytest.mark.parametrize("hostile", ALL.values(), ids=ALL)
def test_it_is_refused(folder, hostile):
    start = time.process_time()
    with pytest.raises(ValueError, match=hostile.refusal) as refused:
        load(written(folder, hostile))
    assert time.process_time() - start < 5
    message = str(refused.value)
    assert len(message) < 1_000
    assert MARK not in message
    assert not [secret for secret in SECRETS if secret.lower() in message.lower()]


@pytest.mark.parametrize("hostile", ALL.values(), ids=ALL)
def test_the_command_says_it_in_one_printable_line(folder, hostile, capsys):
    assert main(["run", str(written(folder, hostile))]) == 1
    said = capsys.readouterr().err
    assert said.startswith("paretohqd: error: ")
    assert said.count("\n") == 1
    assert printable(said) == said
    assert re.search(hostile.refusal, said)
    assert MARK not in said
    assert not [secret for secret in SECRETS if secret.lower() in said.lower()]


def test_what_is_set_by_hand_is_held_to_the_same(folder, capsys):
    path = str(write(folder, minimal()))
    for value, refusal in {
        "train.hub_token=correcthorse9": "put it into the environment",
        "train={<<: {a: 1}}": "merge key",
        "seed=&a [*a]": "alias",
        "model.chat_template=../outside/notes.txt": "below the configuration's folder",
    }.items():
        assert main(["run", path, "--set", value]) == 1
        said = capsys.readouterr().err
        assert refusal in said
        assert "correcthorse9" not in said

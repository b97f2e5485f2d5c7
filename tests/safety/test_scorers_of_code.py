"""A configuration runs no code of its own: whoever starts the run names the scorer."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from paretohqd.models.consent import consenting
from paretohqd.rewards import code
from paretohqd.rewards.named_functions import named_callable
from paretohqd.rewards.scoring import make_reward
from paretohqd.safety.places import FoundPath

BRIEF = """
from pathlib import Path

Path(__file__).with_name("it-ran").touch()


def brief(completions, most=3):
    return [float(len(text) <= most) for text in completions]


def at_most(limit):
    def short(completions, **more):
        return [float(len(text) <= limit) for text in completions]
    return short


def with_column(completions, solution):
    return [0.0] * len(completions)

NUMBER = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(BRIEF)
    return tmp_path


def found(folder: Path, scorer: str) -> str:
    there = code.located(scorer, folder, "objectives[0].scorer")
    assert there is not None
    return there


def test_code_runs_only_where_it_is_named(folder: Path) -> None:
    scorer = found(folder, "mine.py:brief")
    assert isinstance(scorer, FoundPath)
    assert scorer.shown == "mine.py:brief"
    message = r"^reward 'x': scorer mine.py:brief: is code, .*--allow-code mine.py:brief on the"
    with pytest.raises(ValueError, match=message):
        make_reward(name="x", scorer=scorer)
    for other in ("mine.py:at_most", "mine.py", "*", "other/mine.py:brief"):
        with consenting(allow_code=[other]), pytest.raises(ValueError, match="is code"):
            make_reward(name="x", scorer=scorer)
    assert not (folder / "it-ran").exists()
    with consenting(allow_code=["mine.py:brief"]):
        reward = make_reward(name="x", scorer=scorer)
    assert (folder / "it-ran").exists()
    assert reward.score(["a"] * 2, ["abc", "abcd"]).tolist() == [1.0, 0.0]


def test_a_module_is_not_imported_before_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("this", "antigravity"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        with pytest.raises(ValueError, match=f"--allow-code {name}:s on the command line"):
            make_reward(name="x", scorer=f"{name}:s")
        assert name not in sys.modules


def test_names_that_a_shell_would_read_are_quoted(tmp_path: Path) -> None:
    (tmp_path / "a b;c.py").write_text(BRIEF)
    with pytest.raises(ValueError, match=r"--allow-code 'a b;c.py:brief' on"):
        make_reward(name="x", scorer=found(tmp_path, "a b;c.py:brief"))


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        ("/etc/mine.py:brief", "a file of code lies below the configuration's folder"),
        ("../mine.py:brief", "a file of code lies below the configuration's folder"),
        ("~/mine.py:brief", "a file of code lies below the configuration's folder"),
        ("other.py:brief", "no file other.py in "),
        ("linked.py:brief", "a link leads out of the configuration's folder"),
    ],
)
def test_files_lie_below_the_configuration(folder: Path, scorer: str, message: str) -> None:
    inside = folder / "inside"
    inside.mkdir()
    os.symlink(folder / "mine.py", inside / "linked.py")
    with pytest.raises(ValueError, match=rf"^objectives\[0\].scorer: {scorer}: {message}"):
        found(inside, scorer)
    assert found(folder, "inside/linked.py:brief").startswith(str(folder.resolve()))


def test_a_configuration_in_a_run_folder_names_no_file_of_code(folder: Path) -> None:
    (folder / "run.json").write_text("{}")
    with pytest.raises(ValueError, match="a configuration in a run folder runs no code"):
        found(folder, "mine.py:brief")


def test_modules_of_the_working_folder_are_not_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    before = ["", str(folder), ".", *sys.path]
    monkeypatch.setattr(sys, "path", before[:])
    with (
        consenting(allow_code=["mine:brief"]),
        pytest.raises(ValueError, match=r"no module 'mine' is installed; a file beside .*file.py:"),
    ):
        named_callable(name="x", scorer="mine:brief")
    assert sys.path == before
    assert not (folder / "it-ran").exists()


def test_what_lies_beside_a_file_is_not_found(folder: Path) -> None:
    (folder / "two.py").write_text("import mine\n")
    with (
        consenting(allow_code=["two.py:f"]),
        pytest.raises(ValueError, match=r"two.py:f: cannot be loaded: ModuleNotFound.*lies beside"),
    ):
        named_callable(name="x", scorer=found(folder, "two.py:f"))
    assert not (folder / "it-ran").exists()


def loaded(folder: Path, scorer: str, **options: object) -> code.Code:
    with consenting(allow_code=[scorer]):
        return code.load(found(folder, scorer))


def test_the_hash_is_that_of_what_ran(folder: Path) -> None:
    first = loaded(folder, "mine.py:brief")
    assert first.sha256 == loaded(folder, "mine.py:at_most").sha256
    assert first.function is loaded(folder, "mine.py:brief").function, "loaded once"
    (folder / "mine.py").write_text(BRIEF.replace("most=3", "most=4"))
    second = loaded(folder, "mine.py:brief")
    assert second.sha256 != first.sha256
    assert second.function(["abcd"]) == [1.0]
    assert first.function(["abcd"]) == [0.0]
    assert not list(folder.rglob("*.pyc")), "nothing is written beside it"


def test_a_module_has_the_version_of_its_package_and_the_hash_of_its_files() -> None:
    pytest.importorskip("trl")
    with consenting(allow_code=["trl.rewards:think_format_reward", "json:dumps"]):
        one = code.load("trl.rewards:think_format_reward")
        two = code.load("json:dumps")
    assert set(one.packages) == {"trl"}
    assert two.packages == {}
    assert len({one.sha256, two.sha256}) == 2


@pytest.mark.parametrize(
    ("text", "scorer", "message"),
    [
        ("def f(:", "mine.py:f", "cannot be loaded: SyntaxError"),
        ("1 / 0", "mine.py:f", "cannot be loaded: ZeroDivisionError: division by zero"),
        ("", "mine.py:f", "nothing there is called 'f'"),
        (BRIEF, "mine.py:breif", "nothing there is called 'breif'; did you mean 'brief'"),
        (BRIEF, "mine.py:NUMBER", "is int, and no function"),
    ],
)
def test_code_that_cannot_be_used(folder: Path, text: str, scorer: str, message: str) -> None:
    (folder / "mine.py").write_text(text)
    with pytest.raises(ValueError, match=rf"^scorer {scorer}: {message}"):
        loaded(folder, scorer)
    assert not any(
        str(folder) in str(getattr(m, "__file__", "")) and "def f(:" in text
        for m in list(sys.modules.values())
    )


def made(folder: Path, scorer: str, **options: object) -> object:
    with consenting(allow_code=[scorer]):
        return make_reward(name="x", scorer=found(folder, scorer), **options)


def test_options_are_given_to_the_function_or_make_it(folder: Path) -> None:
    reward = make = made(folder, "mine.py:brief", options={"most": 4})
    assert reward.score(["a"], ["abcd"]).tolist() == [1.0]  # type: ignore[attr-defined]
    make = made(folder, "mine.py:at_most", options={"limit": 2})
    assert make.score(["a"] * 2, ["ab", "abc"]).tolist() == [1.0, 0.0]  # type: ignore[attr-defined]
    assert make.manifest()["options"] == {"limit": 2}  # type: ignore[attr-defined]
    assert make.manifest()["function"] == "mine.py:at_most"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("scorer", "options", "message"),
    [
        ("mine.py:brief", {"options": {"mots": 4}}, "options: brief does not take mots"),
        ("mine.py:brief", {"options": {"completions": []}}, "completions is given to it anyway"),
        ("mine.py:at_most", {}, "at_most makes a function and needs options: limit"),
        ("mine.py:at_most", {"options": {"limit": 1, "x": 2}}, "at_most does not take x"),
        (
            "mine.py:with_column",
            {"columns": []},
            r"with_column needs solution: .*columns: \[solution\]",
        ),
        ("mine.py:brief", {"columns": ["most"], "options": {"most": 1}}, "most is given to it"),
        ("mine.py:brief", {"template": "chat"}, "template go with model:"),
        ("mine.py:brief", {"output": 1}, "output go with model:"),
    ],
)
def test_settings_that_do_not_fit(
    folder: Path, scorer: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=rf"^reward 'x': .*{message}"):
        made(folder, scorer, **options)


def test_leave_for_no_scorer_of_the_run() -> None:
    with consenting(allow_code=["mine.py:breif"]) as allowed:
        with pytest.raises(ValueError, match=r"--allow-code mine.py:breif: no scorer .*mine.py:b"):
            allowed.check_scorers(["mine.py:brief"])
        with pytest.raises(ValueError, match="it has none that is code"):
            allowed.check_scorers([])
    with pytest.raises(ValueError, match="expected a list"), consenting(allow_code="mine.py:f"):
        pass

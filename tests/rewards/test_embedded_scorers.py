"""The scorers that come inside packages."""

import importlib.util
import logging
import os
import subprocess
import sys

import numpy as np
import pytest

from paretohqd.models.embedded import conversations
from paretohqd.rewards import embedded

NEEDED = ("profanity_check", "vaderSentiment", "wordllama", "chitchat_dataset")
if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
    pytest.skip(f"not installed: {', '.join(missing)}", allow_module_level=True)


@pytest.fixture(scope="module")
def pairs():
    frame = conversations().sample(300, seed=1)
    return frame["prompt"].to_list(), frame["response"].to_list()


@pytest.mark.parametrize("package", ["profanity", "vader", "wordllama"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, package):
    load = getattr(embedded, f"_{package}").__wrapped__
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'paretohqd\[demo\]'") as caught:
        load()
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("kind", embedded.SCORERS)
def test_scores_do_not_depend_on_the_batch_by_a_single_bit(kind, pairs):
    prompts, responses = pairs
    # one text far longer than the rest stretches the padding of whatever shares its batch
    prompts, responses = [*prompts, "tea"], [*responses, "tea and cake " * 300]
    reward = embedded.scorer(kind)
    together = reward.score(prompts, responses)
    assert together.dtype == np.float64
    assert together.shape == (301,)
    assert np.isfinite(together).all()
    assert len(np.unique(together)) > 100
    for size in (1, 7, 64):
        parts = [
            reward.score(prompts[i : i + size], responses[i : i + size])
            for i in range(0, len(prompts), size)
        ]
        assert np.concatenate(parts).tobytes() == together.tobytes()
    order = np.random.default_rng(0).permutation(len(prompts))
    shuffled = reward.score([prompts[i] for i in order], [responses[i] for i in order])
    assert shuffled.tobytes() == together[order].tobytes()


@pytest.mark.parametrize("kind", embedded.SCORERS)
def test_no_pairs_and_empty_texts_have_scores(kind):
    reward = embedded.scorer(kind)
    assert reward.score([], []).shape == (0,)
    assert np.isfinite(reward.score(["", "Hello"], ["", ""])).all()


def test_each_scorer_prefers_what_its_name_says():
    prompt = ["What do you like to drink in the evening?"] * 2
    better = {
        "harmless": ("You are very kind.", "You are a fucking idiot."),
        "positivity": ("I love that, it is wonderful!", "I hate that, it is terrible."),
        "relevance": ("In the evening I like to drink tea.", "Bob drove his car to Ohio."),
        "informativeness": ("Chamomile infusions with cinnamon and honey.", "I like to drink."),
    }
    assert set(better) == set(embedded.SCORERS)
    for kind, answers in better.items():
        good, bad = embedded.scorer(kind).score(prompt, answers)
        assert good > bad, kind


def test_informativeness_counts_new_words_once():
    score = embedded.Informativeness().score
    assert score(["do you like tea"], ["Do you like TEA?"]).tolist() == [0]
    once, often = score(["hello"] * 2, ["cinnamon", "cinnamon, Cinnamon cinnamon"])
    assert once == often > 0
    rare, common = score(["hello"] * 2, ["cinnamon", "yeah"])
    assert rare > common


def test_informativeness_does_not_depend_on_the_order_of_sets():
    """Sets of strings iterate in another order in every process; the sums must not."""
    code = (
        "import sys, hashlib\n"
        "from paretohqd.models.embedded import conversations\n"
        "from paretohqd.rewards.embedded import Informativeness\n"
        "f = conversations().head(2000)\n"
        "s = Informativeness().score(f['prompt'].to_list(), f['response'].to_list())\n"
        "print(hashlib.sha256(s.tobytes()).hexdigest(), 'torch' in sys.modules)"
    )
    path = os.pathsep.join(sys.path)
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert runs[0][1] == "False"


def test_scorers_need_no_network_no_torch_and_leave_logging_alone():
    code = (
        "import logging, socket, sys\n"
        "def refuse(*a, **k): raise OSError('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from paretohqd.rewards import embedded, scoring\n"
        "for kind in embedded.SCORERS:\n"
        "    embedded.scorer(kind).score(['Hi there'], ['Good tea!'])\n"
        "root = logging.getLogger()\n"
        "print(root.level, len(root.handlers), 'torch' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == [str(logging.WARNING), "0", "False"]


@pytest.mark.parametrize("kind", embedded.SCORERS)
def test_manifest_names_kind_versions_and_constants(kind):
    manifest = embedded.scorer(kind, name="mine").manifest()
    assert manifest["name"] == "mine"
    assert manifest["kind"] == f"embedded:{kind}"
    assert all(v[0].isdigit() for v in manifest["packages"].values())
    assert manifest["packages"]
    assert len(manifest) > 3


def test_an_unknown_scorer_is_answered_with_a_guess_and_the_list():
    with pytest.raises(ValueError, match=r"did you mean 'harmless'.*informativeness, positivity"):
        embedded.scorer("harmles")
    with pytest.raises(ValueError, match=r"'xyz'\. There are"):
        embedded.scorer("xyz")

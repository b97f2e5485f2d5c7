"""Scores of the command `score`, kept beside the output while they come: a kill costs a minute."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from paretohqd.frames.hashes import hash_frame, hash_json, hash_path
from paretohqd.frames.new_files import write_new
from paretohqd.plots.progress import Screen
from paretohqd.rewards import scoring
from paretohqd.rewards.callables import CallableReward, is_conversation

if TYPE_CHECKING:
    from paretohqd.rewards.protocols import Reward

KEY = "key"
"""File with the hash of what the scores are of."""
FOUND = ("commit", "device", "limit", "truncated", "cut_answers", "asked", "reported_model")
"""What a reward's manifest says of its work, and not of what it is."""


def score_and_keep(
    frame: pl.DataFrame, rewards: Sequence[Reward], place: Path, *, prompt: str, response: str
) -> pl.DataFrame:
    """`scoring.score`, with what an earlier attempt left in a folder.

    The folder stays: the caller removes it once the scores are written.

    Args:
        frame: One row per answer.
        rewards: What to score by.
        place: The folder; it is emptied if it holds scores of other rows or by other rewards.
        prompt: Column of the prompts.
        response: Column of the answers.

    Raises:
        ValueError: As `scoring.score`, or another process uses the folder.
    """
    from paretohqd.runs.scoring import blocks_of, score_in_parts

    names = [reward.name for reward in rewards]
    scoring.check_names(frame, names)
    texts = scoring.read_texts(frame, prompt=prompt, response=response, allow_empty=False)
    # Under the texts' names there are the texts that are scored, for functions as well.
    others = frame.drop(prompt, response, *texts.columns, strict=False)
    conversations = any(map(is_conversation, texts["prompt"]))
    for reward in rewards:
        if isinstance(reward, CallableReward) and reward.messages is None:
            reward.messages = conversations
    rows = pl.concat([texts, others], how="horizontal")
    key = hash_json([hash_frame(rows), list(map(_identity, rewards))])
    with ExitStack() as stack:
        stack.enter_context(_held(place, key))
        # A bare installation has neither bars nor locks.
        bar = Screen().bar(f"score {len(rows)} answers") if find_spec("rich") else nullcontext()
        progress = stack.enter_context(bar)
        scores = score_in_parts(blocks_of(rows), len(rows), rewards, place, progress=progress)
    return pl.concat([frame, scores], how="horizontal")


@contextmanager
def _held(place: Path, key: str) -> Iterator[None]:
    """The folder, for this process alone, with what is kept under this key."""
    from paretohqd.runs.trusted import make_folders

    make_folders(place.parent, place)
    lock = None
    if find_spec("filelock"):
        from paretohqd.runs.locking import lock_folder

        lock = lock_folder(place)
    try:
        mark = place / KEY
        if not mark.is_file() or mark.read_text("utf-8") != key:
            for folder in place.glob("parts-*"):
                shutil.rmtree(folder)
            mark.unlink(missing_ok=True)
            write_new(mark, key)
        yield
    finally:
        if lock is not None:
            lock.release()


def _identity(reward: Reward) -> dict[str, Any]:
    """What the scores of a reward depend on."""
    facts = {name: value for name, value in reward.manifest().items() if name not in FOUND}
    model = facts.get("model")
    if isinstance(reward, scoring.ClassifierReward) and Path(str(model)).is_dir():
        facts["content"] = hash_path(Path(str(model)))
    return facts

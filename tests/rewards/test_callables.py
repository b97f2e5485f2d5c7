"""Functions as rewards, called as TRL's trainers call reward functions."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import numpy as np
import polars as pl
import pytest

import paretohqd as pq
from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.rewards.callables import CallableReward
from paretohqd.rewards.embedded import Positivity
from paretohqd.rewards.signatures import parameters

FRAME = pl.DataFrame(
    {
        "id": range(3),
        "prompt": ["Two?", "Three?", "Four?"],
        "response": ["It is 2.", "3", "five"],
        "solution": ["2", "3", "4"],
        "model": ["a", "b", "a"],
    }
)
TALK = write_prompt(
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Two?"}]
)


def seen_by(function: Callable[..., Any]) -> list[dict[str, Any]]:
    """A list that fills with what the function, which takes everything, is given."""
    return function.seen  # type: ignore[attr-defined, no-any-return]


def recorder() -> Callable[..., Any]:
    def record(prompts: Any, completions: Any, **more: Any) -> list[float]:
        record.seen.append({"prompts": prompts, "completions": completions, **more})  # type: ignore[attr-defined]
        return [1.0] * len(completions)

    record.seen = []  # type: ignore[attr-defined]
    return record


def test_a_function_gets_texts_and_the_other_columns() -> None:
    function = recorder()
    scored = pq.score(FRAME, {"mine": function})
    assert scored.columns == [*FRAME.columns, "mine"]
    assert scored.schema["mine"] == pl.Float64
    [given] = seen_by(function)
    assert given["prompts"] == FRAME["prompt"].to_list()
    assert given["completions"] == FRAME["response"].to_list()
    assert {k: given[k] for k in ("id", "solution", "model")} == {
        name: FRAME[name].to_list() for name in ("id", "solution", "model")
    }
    assert given["log_extra"]("a", []) is given["log_metric"]("a", 1.0) is None
    assert set(given) == {
        *("prompts", "completions", "id", "solution", "model", "log_extra", "log_metric")
    }


def test_a_function_gets_what_it_names_alone() -> None:
    def right(completions: list[str], solution: list[str]) -> list[float]:
        return [float(b in a) for a, b in zip(completions, solution, strict=True)]

    assert pq.score(FRAME, [right])["right"].to_list() == [1.0, 1.0, 0.0]
    assert pq.score(FRAME, {"x": right, "y": Positivity()}).columns[-2:] == ["x", "y"]
    with pytest.raises(ValueError, match=r"reward 'right': right needs solution: columns of the"):
        pq.score(FRAME.drop("solution"), [right])


def test_names_of_columns_are_the_keys_of_a_mapping() -> None:
    scored = pq.score(FRAME, {"tone": Positivity(), "calm": Positivity()})
    assert scored["tone"].equals(scored["calm"])
    with pytest.raises(ValueError, match=r"reward 'x': int is neither a function nor an object"):
        pq.score(FRAME, {"x": 3})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match=r"<lambda> has no name: pass"):
        pq.score(FRAME, [lambda completions: [0.0] * len(completions)])


@pytest.mark.parametrize(
    ("prompts", "wish", "messages"),
    [
        (["Two?", "Three?", "Four?"], None, False),
        (["Two?", TALK, "Four?"], None, True),
        (["Two?", TALK, "Four?"], False, False),
        (["Two?", "Three?", "Four?"], True, True),
    ],
)
def test_messages_are_given_where_a_prompt_is_a_conversation(
    prompts: list[str], wish: bool | None, messages: bool
) -> None:
    function = recorder()
    reward = CallableReward(name="r", function=function, messages=wish, batch_size=1)
    reward.score(prompts, ["a", "b", "c"])
    given = seen_by(function)
    assert len(given) == 3, "one row at a time, and yet one form for all"
    if messages:
        assert given[0]["prompts"] == [[{"role": "user", "content": "Two?"}]]
        assert given[0]["completions"] == [[{"role": "assistant", "content": "a"}]]
        assert [len(one["prompts"][0]) for one in given] == [1, 2 if TALK in prompts else 1, 1]
    else:
        assert [one["prompts"][0] for one in given] == prompts
        assert [one["completions"][0] for one in given] == ["a", "b", "c"]


def test_functions_of_trl_take_messages() -> None:
    rewards = pytest.importorskip("trl.rewards")
    texts = ["<think>\nTwo.\n</think>\nIt is 2.", "It is 2."]
    frame = pl.DataFrame({"prompt": ["Two?"] * 2, "response": texts})
    scored = pq.score(frame, [rewards.think_format_reward])
    assert scored["think_format_reward"].to_list() == [1.0, 0.0]
    penalty = rewards.get_soft_overlong_punishment(max_completion_len=10, soft_punish_cache=5)
    counted = CallableReward(
        name="long",
        function=penalty,
        tokenize=lambda texts: [list(text.encode()) for text in texts],
    )
    assert pq.score(frame, [counted])["long"].to_list() == [-1.0, (5 - 8) / 5]
    with pytest.raises(ValueError, match=r"overlong\w+ needs completion_ids"):
        pq.score(frame, {"long": penalty})


def test_rows_are_given_in_parts_and_progress_is_told() -> None:
    sizes, told = [], []

    def size(completions: list[str]) -> np.ndarray:
        sizes.append(len(completions))
        return np.arange(len(completions), dtype=np.float32)

    frame = pl.DataFrame({"prompt": ["Hi"] * 2500, "response": ["x"] * 2500})
    scored = pq.score(frame, [size], progress=lambda done, total: told.append((done, total)))
    assert sizes == [1024, 1024, 452]
    assert told == [(1024, 2500), (2048, 2500), (2500, 2500)]
    assert scored["size"].to_list() == [*range(1024), *range(1024), *range(452)]


def test_async_functions_are_awaited() -> None:
    async def later(completions: list[str]) -> list[float]:
        await asyncio.sleep(0)
        return [float(len(text)) for text in completions]

    expected = [8.0, 1.0, 4.0]
    assert pq.score(FRAME, [later])["later"].to_list() == expected

    async def in_a_loop() -> list[float]:
        return pq.score(FRAME, [later])["later"].to_list()

    assert asyncio.run(in_a_loop()) == expected


def test_async_functions_share_a_loop_for_the_life_of_the_process() -> None:
    """What belongs to a loop, such as a semaphore that was waited for, serves every piece."""
    few = asyncio.Semaphore(2)
    loops = set()

    async def one(text: str) -> float:
        async with few:
            loops.add(asyncio.get_running_loop())
            await asyncio.sleep(0)
        return float(len(text))

    async def limited(completions: list[str]) -> list[float]:
        return list(await asyncio.gather(*map(one, completions)))

    reward = CallableReward(name="limited", function=limited, batch_size=3)
    texts = ["a" * i for i in range(10)]
    expected = [float(i) for i in range(10)]
    assert reward.score(["Hi"] * 10, texts).tolist() == expected

    async def in_a_loop() -> list[float]:
        return list(reward.score(["Hi"] * 10, texts))

    assert asyncio.run(in_a_loop()) == expected
    with ThreadPoolExecutor(2) as threads:
        scored = [threads.submit(reward.score, ["Hi"] * 10, texts) for _ in range(4)]
    assert all(each.result().tolist() == expected for each in scored)
    assert len(loops) == 1


def test_an_async_function_may_score_by_another() -> None:
    async def inner(completions: list[str]) -> list[float]:
        await asyncio.sleep(0)
        return [1.0] * len(completions)

    async def outer(prompts: list[str], completions: list[str]) -> list[float]:
        made = CallableReward(name="inner", function=inner).score(prompts, completions)
        return [2 * score for score in made]

    reward = CallableReward(name="outer", function=outer)
    assert reward.score(["Hi"], ["a"]).tolist() == [2.0]


def test_async_functions_see_the_context_and_pass_on_what_they_raise() -> None:
    seen = ContextVar("seen", default=0)
    seen.set(3)

    async def fails(completions: list[str]) -> list[float]:
        await asyncio.sleep(0)
        if completions == ["ends"]:
            raise SystemExit(seen.get())
        raise KeyError("boom")

    reward = CallableReward(name="fails", function=fails)
    for _ in range(2):
        with pytest.raises(
            ValueError, match=r"failed on the 1 rows from row 0 on: KeyError: 'boom"
        ):
            reward.score(["Hi"], ["a"])
        with pytest.raises(SystemExit) as ended:
            reward.score(["Hi"], ["ends"])
        assert ended.value.code == 3


INTERRUPTED = """
import asyncio, os, signal, threading
from paretohqd.rewards.callables import CallableReward

async def slow(completions):
    try:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        await asyncio.sleep(600)
    finally:
        print("cleaned up")

async def quick(completions):
    return [1.0] * len(completions)

def forked():
    print(CallableReward(name="quick", function=quick).score(["Hi"], ["a"]))

try:
    CallableReward(name="slow", function=slow).score(["Hi"], ["a"])
except KeyboardInterrupt:
    print("interrupted", flush=True)
child = os.fork()
forked()
if child:
    print(os.waitpid(child, 0)[1])
"""


def test_ctrl_c_ends_what_is_awaited_and_a_forked_child_has_a_loop_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60, check=True
    )
    lines = ["cleaned up", "interrupted", "[1.]", "[1.]", "0"]
    assert (sorted(done.stdout.splitlines()), done.stderr) == (sorted(lines), "")


class Doubled:
    """An object that can be called."""

    def __call__(self, completions: list[str]) -> Any:
        return pl.Series([2.0 * len(text) for text in completions])


def test_objects_and_columns_of_polars() -> None:
    assert pq.score(FRAME, {"double": Doubled()})["double"].to_list() == [16.0, 2.0, 8.0]


def test_tensors_and_lists_of_them() -> None:
    torch = pytest.importorskip("torch")

    def whole(completions: list[str]) -> Any:
        return torch.ones(len(completions), dtype=torch.bfloat16)

    def each(completions: list[str]) -> Any:
        return [torch.tensor(2.5) for _ in completions]

    scored = pq.score(FRAME, [whole, each])
    assert scored["whole"].to_list() == [1.0] * 3
    assert scored["each"].to_list() == [2.5] * 3
    for returned, message in {
        "several": ([torch.ones(2)] * 3, r"returned tensor\(\[1., 1.\]\) \(Tensor\) for row 0"),
        "sparse": (torch.eye(3).to_sparse(), "returned Tensor, not a list of numbers"),
    }.values():
        with pytest.raises(ValueError, match=rf"^reward 'x': .*{message}"):
            pq.score(FRAME, {"x": lambda completions, returned=returned: returned})


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ([1.0, 2.0], r"odd returned 2 scores for the 3 rows from row 0 on"),
        (1.0, r"odd returned float, not a list of numbers"),
        ("abc", r"odd returned str, not a list"),
        ({"a": 1}, r"odd returned dict, not a list"),
        (None, r"odd returned NoneType, not a list"),
        ([1.0, None, 2.0], r"returned None for row 1: TRL would leave such a row out"),
        ([1.0, 2.0, math.nan], r"returned nan for row 2: scores must be finite"),
        ([-math.inf, 2.0, 1.0], r"returned -inf for row 0"),
        ([10**400, 2.0, 1.0], r"returned inf for row 0"),
        ([1.0, True, 0.0], r"returned True \(bool\) for row 1, not a number: use float"),
        ([1.0, np.True_, 0.0], r"returned True \(bool\) for row 1"),
        ([1.0, "2", 0.0], r"returned '2' \(str\) for row 1, not a number"),
        ([1.0, [2.0], 0.0], r"returned \[2.0\] \(list\) for row 1"),
        (np.zeros((3, 1)), r"returned \[0.0\] \(list\) for row 0"),
        (
            [1.0, np.ones(2), 0.0],
            r"returned array\(\[1., 1.\]\) \(ndarray\) for row 1, not a number",
        ),
        ([1.0, 2.0, np.ones(0)], r"\(ndarray\) for row 2"),
        (
            [1.0, np.eye(2), 0.0],
            r"returned array\(\[\[1., 0.\], \[0., 1.\]\]\) \(ndarray\) for row 1",
        ),
        ([1.0, pl.Series([1, 2]), 0.0], r"\(Series\) for row 1"),
        ([1.0, 1j, 0.0], r"returned 1j \(complex\) for row 1"),
    ],
)
def test_what_is_no_score_is_refused_with_its_row(returned: Any, message: str) -> None:
    def odd(completions: list[str]) -> Any:
        return returned

    with pytest.raises(ValueError, match=rf"^reward 'x': .*{message}"):
        pq.score(FRAME, {"x": odd})


def test_rows_are_counted_through_all_parts() -> None:
    def odd(completions: list[str]) -> list[Any]:
        return [None if text == "bad" else 1.0 for text in completions]

    texts = ["fine"] * 1500 + ["bad"]
    frame = pl.DataFrame({"prompt": ["Hi"] * 1501, "response": texts})
    with pytest.raises(ValueError, match="None for row 1500"):
        pq.score(frame, [odd])


def test_an_error_names_function_and_rows_and_is_kept() -> None:
    def breaks(completions: list[str]) -> list[float]:
        raise KeyError("what")

    with pytest.raises(
        ValueError,
        match=r"^reward 'x': breaks failed on the 3 rows from row 0 on: "
        r"KeyError: 'what'",
    ) as caught:
        pq.score(FRAME, {"x": breaks})
    assert isinstance(caught.value.__cause__, KeyError)

    def stops(completions: list[str]) -> list[float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pq.score(FRAME, {"x": stops})


def nothing(x: int = 1) -> list[float]:
    return []


def placed(completions: list[str], /) -> list[float]:
    return []


def trained(completions: list[str], trainer_state: Any) -> list[float]:
    return []


def fine(completions: list[str], solution: list[str], trainer_state: Any = None) -> list[float]:
    return [0.0] * len(completions)


@pytest.mark.parametrize(
    ("function", "columns", "message"),
    [
        (nothing, None, "nothing takes x, and none of prompts, completions"),
        (placed, None, "placed takes completions by place, and not by name"),
        (trained, None, "trained needs trainer_state, which only a trainer has"),
        (fine, [], r"fine needs solution: .*given none \(in a configuration: columns: \[solution"),
        (fine, ["solution", "source"], "fine does not take 'source': it takes completions, sol"),
        (fine, ["solution", "prompts"], "'prompts' is what a function is given anyway"),
    ],
)
def test_functions_that_could_not_be_called(
    function: Callable[..., Any], columns: list[str] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        CallableReward(name="x", function=function, columns=columns)


def test_named_columns_alone_are_given() -> None:
    function = recorder()
    pq.score(FRAME, [CallableReward(name="x", function=function, columns=["model"])])
    assert {"solution", "id"}.isdisjoint(seen_by(function)[0])
    assert seen_by(function)[0]["model"] == ["a", "b", "a"]
    with pytest.raises(ValueError, match=r"reads the column\(s\) source, which the frame has not"):
        pq.score(FRAME, [CallableReward(name="x", function=function, columns=["source"])])


def test_the_manifest_names_the_function() -> None:
    manifest = CallableReward(name="x", function=fine, columns=["solution"]).manifest()
    assert manifest["kind"] == "callable"
    assert manifest["function"].endswith(":fine")
    assert manifest["columns"] == ["solution"]


def test_what_a_function_takes() -> None:
    assert parameters(fine).needed == ("completions", "solution")
    assert not parameters(fine).all
    assert parameters(recorder()).all

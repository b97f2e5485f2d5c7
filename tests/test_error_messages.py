"""What bad calls of everything public say, beside what was recorded (see `helpers.error_calls`)."""

import pytest

from helpers.error_calls import CHANGES, HEAVY, LIGHT, RECORD, messages, read

CHANGED: dict[str, str] = {
    "command: bench: no task": "tasks were added",
    "choose: keys: objects": "it was Polars' own error, which names no column",
    "layers: keys: objects": "it was Polars' own error, which names no column",
    "command: run: train.report_to": "other trackers take a word of the starter",
    "command: run: train.push_to_hub": "it says what lets the key pass",
    "command: run: train: a tracker that is none": "other trackers take a word of the starter",
    "command: run: train_stage2.push_to_hub": "it says what lets the key pass",
    "command: run: lora.layers_pattern": "patterns that take too long are refused too",
    "command: run: lora.alpha_pattern": "patterns that take too long are refused too",
    "command: compare: reinforcement.log_completions": "it says what lets the key pass",
    "command: compare: train.push_to_hub": "it says what lets the key pass",
    "command: run: no YAML": "it quoted the line, in which there may be a secret",
    "command: run: train.hub_token": "no secret stands in a configuration, whatever its key does",
    "command: run: --set: no YAML": "it quoted the line, in which there may be a secret",
    "command: run: a scorer without embedded": "there are rules and functions too",
    "choose: bounds": "two points may be given",
    "choose: bounds of None": "two points may be given",
    "choose: lazy: bounds": "two points may be given",
    "choose: lazy: bounds of None": "two points may be given",
    "choose: distinct: a list": "several columns may be given",
    "choose: lazy: distinct: a list": "several columns may be given",
    "choose: distinct with by": "quotas hold within groups too",
    "choose: lazy: distinct with by": "quotas hold within groups too",
    "command: select: --distinct with --by": "quotas hold within groups too",
    "choose_from: bounds": "two points may be given",
    "command: select: --bounds": "two points may be given",
    "command: run: an unknown key like none": "train_together was added",
    "command: run: a number for a key": "train_together was added",
    "command: compare: budgets: unknown": "budgets of cost were added",
    "command: compare: methods: an unknown budget": "budgets of cost were added",
    "command: compare: methods: a method like none": "methods were added",
    "command: compare: methods: soups: corners": "corners of pairs were added",
    "command: an unknown option": "no command is no error any more: it prints the help",
    "command: an unknown command": "commands on finished runs were added",
    "choose: preferences: true": "what is no number is named",
    "choose: preferences: text": "what is no number is named",
    "choose: preferences: words": "what is no number is named",
    "choose: a memory limit that is too small": "it spoke of None layers",
    "Selection.to_dataset: two that could hold answers": "renaming the other column helps too",
}
"""Calls whose message was changed on purpose, and why; CHANGES has what they say now."""


def test_all_calls_and_no_others_are_recorded():
    assert set(read(RECORD)) == {*LIGHT, *HEAVY}


def test_what_was_changed_on_purpose_is_listed_and_differs():
    before, now = read(RECORD), read(CHANGES)
    assert set(now) == set(CHANGED) <= set(before)
    assert not [name for name in now if now[name] == before[name]]
    assert all(reason.strip() for reason in CHANGED.values())


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_messages(threads):
    assert differing(messages(LIGHT, threads)) == {}


def test_messages_of_what_loads_torch():
    assert differing(messages(HEAVY)) == {}


def differing(result):
    """What is said, and what should be, where these differ."""
    expected = {**read(RECORD), **read(CHANGES)}
    return {
        name: {"recorded": expected.get(name), "now": said}
        for name, said in result.items()
        if said != expected.get(name)
    }

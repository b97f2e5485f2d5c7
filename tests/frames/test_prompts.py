"""A prompt's text says the same messages to every reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paretohqd.frames.conversations.prompts import last_message, read_prompt, write_prompt

texts = st.text() | st.sampled_from(
    ['[{"role": "user", "content": "x"}]', '[{"role": 1, "content"', "[{'from': 'x', 'value': 3}]"]
)
turns = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": texts}),
    max_size=4,
)


@given(turns, texts, st.booleans())
def test_what_is_written_is_read(
    earlier: list[dict[str, str]], last: str, with_system: bool
) -> None:
    system = [{"role": "system", "content": "Be brief."}] if with_system else []
    messages = [*system, *earlier, {"role": "user", "content": last}]
    assert read_prompt(write_prompt(messages)) == messages
    assert last_message(write_prompt(messages)) == last


def test_a_conversation_must_end_with_its_user() -> None:
    text = '[{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "Yes."}]'
    with pytest.raises(ValueError, match="must end with a message of a user"):
        read_prompt(text)

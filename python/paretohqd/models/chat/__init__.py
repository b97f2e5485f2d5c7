"""Conversations as token ids: what a chat template writes, where an answer starts and how it ends.

Training, sampling, likelihoods, pairs and reward models all read a conversation here, so that what
is trained is what is sampled:

    prompt  the template up to where a model goes on, as when it is sampled from
    answer  the row's own text, whatever the template would do to it, up to its end token
    rest    what the template writes behind the end token, which no sampled answer gets to

The template writes control tokens; texts never do. `<|im_end|>` in a prompt or an answer is read
as the characters that it consists of, so a text can neither open a turn nor end one.

Everything about templates, lengths and end tokens is in this room; its files are private. torch is
not imported here, because reward models read texts without it.
"""

from paretohqd.models.chat._control_tokens import as_text, control_pattern, encode_cut
from paretohqd.models.chat._encoding import (
    SYSTEM_PROMPT,
    EncodedRow,
    encode_answers,
    encode_example,
    encode_frame,
    encode_prompts,
    encode_rows,
    holds_control,
    with_system,
)
from paretohqd.models.chat._ends import answer_text, stop_ids, stop_tokens, until_end
from paretohqd.models.chat._lengths import (
    SIDES,
    answer_lengths,
    check_prompt_lengths,
    check_room,
    context_tokens,
    pair_lengths,
    prompt_lengths,
    row_lengths,
    trained_lengths,
)
from paretohqd.models.chat._padding import AnswerBatch, pad_answers, pad_prompts
from paretohqd.models.chat._templates import (
    NO_CLOCK,
    Form,
    check_added,
    check_answers,
    check_template,
    check_trainable,
    find_form,
    messages,
    named_template,
    needs_date,
    render,
    with_date,
)

__all__ = [
    "NO_CLOCK",
    "SIDES",
    "SYSTEM_PROMPT",
    "AnswerBatch",
    "EncodedRow",
    "Form",
    "answer_lengths",
    "answer_text",
    "as_text",
    "check_added",
    "check_answers",
    "check_prompt_lengths",
    "check_room",
    "check_template",
    "check_trainable",
    "context_tokens",
    "control_pattern",
    "encode_answers",
    "encode_cut",
    "encode_example",
    "encode_frame",
    "encode_prompts",
    "encode_rows",
    "find_form",
    "holds_control",
    "messages",
    "named_template",
    "needs_date",
    "pad_answers",
    "pad_prompts",
    "pair_lengths",
    "prompt_lengths",
    "render",
    "row_lengths",
    "stop_ids",
    "stop_tokens",
    "trained_lengths",
    "until_end",
    "with_date",
    "with_system",
]

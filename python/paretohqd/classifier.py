"""Reward models: sequence classifiers from the Hugging Face hub or a folder.

torch and transformers are loaded when a `ClassifierReward` first scores.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from string import Formatter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paretohqd.control_tokens import as_text, control_pattern, encode_cut
from paretohqd.loading import quiet, told
from paretohqd.templates import NO_CLOCK, check_added, named_template, with_date

Scores = NDArray[np.float64]


def refuse_blank(column: str, values: Sequence[str | None], *, empty: bool) -> None:
    """Refuse nulls, and blank texts unless `empty` allows them."""
    bad = [i for i, v in enumerate(values) if v is None or not (empty or v.strip())]
    if bad:
        what = "null" if empty else "null or empty"
        raise ValueError(
            f"{len(bad)} {what} text(s) in {column!r}, the first in row {bad[0]}: drop those rows "
            "before scoring, since no score of theirs would mean anything"
        )


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    """A model ready to score, with what was found out while loading it."""

    tokenizer: Any
    control: re.Pattern[str]
    network: Any
    device: str
    limit: int
    output: int
    commit: str | None


@dataclass(kw_only=True)
class ClassifierReward:
    """A reward model: any sequence classifier that transformers can load.

    Rows of one token length are scored together and nothing is ever padded, so a score depends
    neither on padding nor on what else is in the batch, except for the order in which the hardware
    adds floats: about 1e-6 of the score's size in float32, more in bfloat16. Equal texts within a
    call get equal scores, bit for bit; with `batch_size=1` so do equal texts of any two calls.

    Since nothing is padded, no token is taken for padding either: decoder models, which read the
    score at the last token that is not padding, read it at the text's last token even where pad and
    eos are the same and the text ends in eos.

    Attributes:
        name: Column of the scores.
        model: Name on the Hugging Face hub, or a folder.
        revision: Branch, tag or commit on the hub.
        template: How a pair becomes one text: "chat" for the tokenizer's chat template over a user
            and an assistant message, or a format string with `{prompt}` and `{response}`, to which
            the tokenizer adds its special tokens.
        output: Which output of a head with several to read.
        batch_size: Rows per forward pass.
        max_length: Tokens beyond which a text loses its beginning, so that the answer, which stands
            at the end, is kept; lowered to what the model can take. `truncated` counts such rows.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", ...
        dtype: Floating-point type of the weights.

    Raises:
        ValueError: A template without `{response}`, a batch or length below 1, an unknown dtype.

    Example:
        >>> ClassifierReward(name="helpful", model="folder", template="{prompt} [SEP] {reply}")
        Traceback (most recent call last):
        ValueError: template needs the fields {prompt} and {response}; found prompt, reply
    """

    name: str
    model: str
    revision: str | None = None
    template: str = "chat"
    output: int | None = None
    batch_size: int = 16
    max_length: int = 1024
    device: str = "auto"
    dtype: str = "float32"
    truncated: int = field(default=0, init=False)
    _loaded: _Loaded | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse settings that could only fail after the model was loaded."""
        if self.template != "chat":
            found = {part[1] for part in Formatter().parse(self.template) if part[1] is not None}
            if found != {"prompt", "response"}:
                raise ValueError(
                    "template needs the fields {prompt} and {response}; found "
                    f"{', '.join(sorted(found)) or 'none'}"
                )
        if self.batch_size < 1 or self.max_length < 1:
            raise ValueError("batch_size and max_length must be at least 1")
        if self.dtype not in ("float32", "bfloat16", "float16"):
            raise ValueError(f"dtype must be float32, bfloat16 or float16, not {self.dtype!r}")

    def load(self) -> _Loaded:
        """Load the model once, which scoring does by itself; call it to fail early.

        Raises:
            ValueError: The checkpoint lacks weights of the classifier (as a language model does,
                whose score head would be random), several outputs and none chosen, no such output,
                no chat template, or a template with tokens that the tokenizer adds itself.
        """
        if self._loaded is not None:
            return self._loaded
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        model, revision = str(self.model), self.revision
        with told(model), quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                model, revision=revision, truncation_side="left"
            )
            network, report = AutoModelForSequenceClassification.from_pretrained(
                model,
                revision=revision,
                dtype=getattr(torch, self.dtype),
                output_loading_info=True,
            )
        if self.template == "chat" and not tokenizer.chat_template:
            raise ValueError(
                f"{model} has no chat template: pass template= as a format string with "
                "{prompt} and {response}, as its model card shows it"
            )
        if self.template == "chat":
            template = named_template(tokenizer.chat_template)
            tokenizer.chat_template = with_date(template, NO_CLOCK)
        else:
            check_added(tokenizer, self.template)
        if report["missing_keys"]:
            raise ValueError(
                f"{model} is no trained classifier: its checkpoint lacks "
                f"{', '.join(sorted(report['missing_keys']))}, which would be random. Pass a "
                "reward model, not a language model"
            )
        text = network.config.get_text_config()
        if hasattr(network, "score"):
            # Heads of this name read the last token that is not pad_token_id: let none be that.
            text.pad_token_id = -1
        positions = getattr(text, "max_position_embeddings", None) or self.max_length
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._loaded = _Loaded(
            tokenizer=tokenizer,
            control=control_pattern(tokenizer),
            network=network.to(device).eval(),
            device=device,
            limit=int(min(self.max_length, tokenizer.model_max_length, positions)),
            output=self._choose_output(network.config),
            commit=_commit(model, revision),
        )
        return self._loaded

    def unload(self) -> None:
        """Give the model's memory back; scoring again loads it again."""
        self._loaded = None

    def _choose_output(self, config: Any) -> int:
        labels = ", ".join(f"{i} ({label})" for i, label in sorted(config.id2label.items()))
        if self.output is None and config.num_labels > 1:
            raise ValueError(f"{self.model} has several outputs; choose one with output=: {labels}")
        output = self.output or 0
        if not 0 <= output < config.num_labels:
            raise ValueError(f"{self.model} has no output {output}; it has: {labels}")
        return output

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Scores:
        """Score n pairs.

        Raises:
            ValueError: Null texts, or a model that `load` refuses.
        """
        import torch

        refuse_blank("prompt", prompts, empty=True)
        refuse_blank("response", responses, empty=True)
        if not len(responses):
            return np.zeros(0)
        loaded = self.load()
        texts = [self._text(loaded, p, r) for p, r in zip(prompts, responses, strict=True)]
        distinct = list(dict.fromkeys(texts))
        scores: dict[str, float] = {}
        for batch, inputs in self._batches(loaded, distinct, texts):
            tensors = {k: torch.tensor(v, device=loaded.device) for k, v in inputs.items()}
            with torch.inference_mode():
                logits = loaded.network(**tensors).logits[:, loaded.output]
            scores.update(zip(batch, logits.float().tolist(), strict=True))
        return np.array([scores[text] for text in texts], dtype=np.float64)

    def _text(self, loaded: _Loaded, prompt: str, response: str) -> str:
        # Control tokens are the template's; texts hold none.
        prompt, response = (as_text(loaded.control, text) for text in (prompt, response))
        if self.template != "chat":
            return self.template.format(prompt=prompt, response=response)
        messages = [
            {"role": "user", "content": prompt},
            {"role": "assistant", "content": response},
        ]
        return str(loaded.tokenizer.apply_chat_template(messages, tokenize=False))

    def _batches(
        self, loaded: _Loaded, distinct: list[str], texts: list[str]
    ) -> Iterator[tuple[list[str], dict[str, list[list[int]]]]]:
        """Texts of one token length with their model inputs, shortest first."""
        # A chat template writes the special tokens itself.
        special = self.template != "chat"
        tokens = encode_cut(loaded.tokenizer, distinct, add_special_tokens=special, verbose=False)
        long = [i for i, ids in enumerate(tokens["input_ids"]) if len(ids) > loaded.limit]
        if long:
            cut = encode_cut(
                loaded.tokenizer,
                [distinct[i] for i in long],
                add_special_tokens=special,
                truncation=True,
                max_length=loaded.limit,
            )
            for key, rows in tokens.items():
                for i, row in zip(long, cut[key], strict=True):
                    rows[i] = row
            self._note_truncated({distinct[i] for i in long}, texts, loaded.limit)

        def length(i: int) -> int:
            return len(tokens["input_ids"][i])

        for _, group in groupby(sorted(range(len(distinct)), key=length), key=length):
            same = list(group)
            for start in range(0, len(same), self.batch_size):
                part = same[start : start + self.batch_size]
                inputs = {key: [rows[i] for i in part] for key, rows in tokens.items()}
                yield [distinct[i] for i in part], inputs

    def _note_truncated(self, long: set[str], texts: list[str], limit: int) -> None:
        if not self.truncated:
            warnings.warn(
                f"{self.name}: texts of more than {limit} tokens lose their beginning; their count "
                "is kept in the manifest",
                stacklevel=4,
            )
        self.truncated += sum(text in long for text in texts)

    def manifest(self) -> dict[str, Any]:
        """Where the scores come from; complete once the reward has scored.

        `commit`, `device` and `limit` (the length in force) are None while no model is loaded;
        `truncated` counts the over-long rows of all calls so far.
        """
        keys = ("name", "model", "revision", "template", "output", "max_length", "dtype")
        loaded = self._loaded
        return {
            "kind": "classifier",
            **{key: getattr(self, key) for key in keys},
            "commit": loaded and loaded.commit,
            "device": loaded and loaded.device,
            "limit": loaded and loaded.limit,
            "truncated": self.truncated,
            "packages": {name: version(name) for name in ("torch", "transformers")},
        }


def _commit(model: str, revision: str | None) -> str | None:
    """The commit that a hub model was loaded at; None for a folder."""
    from huggingface_hub import try_to_load_from_cache

    if Path(model).is_dir():
        return None
    cached = try_to_load_from_cache(model, "config.json", revision=revision)
    return Path(cached).parent.name if isinstance(cached, str) else None

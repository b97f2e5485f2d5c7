"""Reward models: sequence classifiers from the Hugging Face hub or a folder.

torch and transformers are loaded when a `ClassifierReward` first scores.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paretohqd.models import hub
from paretohqd.models.chat import (
    NO_CLOCK,
    check_added,
    context_tokens,
    control_pattern,
    named_template,
    with_date,
)
from paretohqd.models.checkpoints import check_head, check_plain, check_vocabulary, check_weights
from paretohqd.models.names import is_local
from paretohqd.rewards.inputs import (
    Parts,
    RewardInputs,
    Tokens,
    check_fields,
    choose_form,
    refuse_blank,
    type_options,
)

Scores = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    """A model ready to score, with what was found out while loading it."""

    inputs: RewardInputs
    network: Any
    device: str
    output: int
    origin: hub.Origin


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
        model: Name on the Hugging Face hub, or a folder: its path begins with ./, ../, ~/ or /.
        revision: Branch, tag or commit on the hub; what it is when it is first loaded is kept.
        template: How prompt and answer become one text: "chat" for the tokenizer's chat template
            over a user and an assistant message, or a format string with `{prompt}` and
            `{response}`, to which the tokenizer adds its special tokens. Where it is not given, a
            model that tells the two texts of a pair apart is given a pair, others a chat.
        pair: Give the model a pair of texts, as the tokenizer joins them, or (False) one text. None
            finds out, and refuses a template for a model that tells the two apart.
        output: Which output of a head with several to read: the logit itself.
        batch_size: Rows per forward pass.
        max_length: Tokens beyond which a text loses its beginning, so that the answer, which stands
            at the end, is kept; lowered to what the model can take. `truncated` counts such rows,
            and `cut_answers` those of them whose answer is too long even without its prompt.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", ...
        dtype: Floating-point type of the weights.

    Raises:
        ValueError: A template without `{response}` or for a pair, a batch or length below 1, an
            unknown dtype.

    Example:
        >>> ClassifierReward(name="helpful", model="./folder", template="{prompt} [SEP] {reply}")
        Traceback (most recent call last):
        ValueError: template needs the fields {prompt} and {response}; found prompt, reply
    """

    name: str
    model: str
    revision: str | None = None
    template: str | None = None
    pair: bool | None = None
    output: int | None = None
    batch_size: int = 16
    max_length: int = 1024
    device: str = "auto"
    dtype: str = "float32"
    truncated: int = field(default=0, init=False)
    cut_answers: int = field(default=0, init=False)
    _loaded: _Loaded | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse settings that could only fail after the model was loaded."""
        if self.template not in (None, "chat"):
            check_fields(str(self.template))
        if self.pair and self.template is not None:
            raise ValueError(
                "pair=True gives the model two texts, template makes one: leave one out"
            )
        if self.batch_size < 1 or self.max_length < 1:
            raise ValueError("batch_size and max_length must be at least 1")
        if self.dtype not in ("float32", "bfloat16", "float16"):
            raise ValueError(f"dtype must be float32, bfloat16 or float16, not {self.dtype!r}")

    def load(self) -> _Loaded:
        """Load the model once, which scoring does by itself; call it to fail early.

        Raises:
            ValueError: What `hub.find` refuses; the checkpoint lacks weights of the classifier (as
                a language model does, whose score head would be random) or is of something else,
                tokens without embeddings, several outputs and none chosen, no such output, no chat
                template, a template with tokens that the tokenizer adds itself, or one text for a
                model of pairs.
        """
        if self._loaded is not None:
            return self._loaded
        import torch
        from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

        model = str(self.model)
        origin = hub.find(model, self.revision)
        with hub.loading(model):
            config = AutoConfig.from_pretrained(origin.place, **origin.code)
        check_plain(model, config)
        with hub.loading(model):
            tokenizer = AutoTokenizer.from_pretrained(
                origin.place, truncation_side="left", **origin.code
            )
            network, report = AutoModelForSequenceClassification.from_pretrained(
                origin.place,
                dtype=getattr(torch, self.dtype),
                output_loading_info=True,
                **origin.weights,
            )
        check_weights(model, network, report)
        check_head(model, network.config, "SequenceClassification")
        check_vocabulary(model, tokenizer, network, ())
        network.eval()
        form = choose_form(model, tokenizer, network, template=self.template, pair=self.pair)
        if form == "chat":
            template = named_template(tokenizer.chat_template)
            tokenizer.chat_template = with_date(template, NO_CLOCK)
        elif form != "pair":
            check_added(tokenizer, form)
        text = network.config.get_text_config()
        if hasattr(network, "score"):
            # Heads of this name read the last token that is not pad_token_id: let none be that.
            text.pad_token_id = -1
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._loaded = _Loaded(
            inputs=RewardInputs(
                tokenizer=tokenizer,
                control=control_pattern(tokenizer),
                form=form,
                types=type_options(network.config),
                limit=min(self.max_length, tokenizer.model_max_length, _positions(network, text)),
            ),
            network=network.to(device),
            device=device,
            output=self._choose_output(network.config),
            origin=origin,
        )
        return self._loaded

    def pin(self) -> None:
        """Write the commit into `revision`, so that copies load what this would load now."""
        if not is_local(str(self.model)):
            self.revision = hub.find_commit(str(self.model), self.revision)

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
        parts = [loaded.inputs.parts(p, r) for p, r in zip(prompts, responses, strict=True)]
        answers = dict(zip(parts, responses, strict=True))
        scores: dict[Parts, float] = {}
        for batch, inputs in self._batches(loaded, answers, parts):
            tensors = {k: torch.tensor(v, device=loaded.device) for k, v in inputs.items()}
            with torch.inference_mode():
                logits = loaded.network(**tensors).logits[:, loaded.output]
            scores.update(zip(batch, logits.float().tolist(), strict=True))
        return np.array([scores[row] for row in parts], dtype=np.float64)

    def _batches(
        self, loaded: _Loaded, answers: Mapping[Parts, str], rows: Sequence[Parts]
    ) -> Iterator[tuple[list[Parts], Tokens]]:
        """Distinct rows of one token length with their model inputs, shortest first."""
        distinct = list(answers)
        tokens = loaded.inputs.encode(distinct)
        limit = loaded.inputs.limit
        long = [i for i, ids in enumerate(tokens["input_ids"]) if len(ids) > limit]
        if long:
            cut = loaded.inputs.cut([distinct[i] for i in long])
            for key, values in tokens.items():
                for i, value in zip(long, cut[key], strict=True):
                    values[i] = value
            self._note_truncated({distinct[i]: answers[distinct[i]] for i in long}, rows, loaded)

        def length(i: int) -> int:
            return len(tokens["input_ids"][i])

        for _, group in groupby(sorted(range(len(distinct)), key=length), key=length):
            same = list(group)
            for start in range(0, len(same), self.batch_size):
                part = same[start : start + self.batch_size]
                inputs = {key: [values[i] for i in part] for key, values in tokens.items()}
                yield [distinct[i] for i in part], inputs

    def _note_truncated(
        self, long: Mapping[Parts, str], rows: Sequence[Parts], loaded: _Loaded
    ) -> None:
        """Count over-long rows, and those of them whose answer is cut; say so once."""
        cut = {row for row, answer in long.items() if loaded.inputs.cuts_answer(answer)}
        if not self.truncated or (cut and not self.cut_answers):
            which = ", some of them within the answer" if cut else ""
            warnings.warn(
                f"{self.name}: texts of more than {loaded.inputs.limit} tokens lose their "
                f"beginning{which}; their count is kept in the manifest",
                stacklevel=4,
            )
        self.truncated += sum(row in long for row in rows)
        self.cut_answers += sum(row in cut for row in rows)

    def manifest(self) -> dict[str, Any]:
        """Where the scores come from; complete once the reward has scored.

        `commit`, `device` and `limit` (the length in force) are None while no model is loaded;
        `truncated` counts the over-long rows of all calls so far; `template` is "pair" once a
        loaded model is given pairs.
        """
        keys = ("name", "model", "revision", "output", "max_length", "dtype")
        loaded = self._loaded
        return {
            "kind": "classifier",
            **{key: getattr(self, key) for key in keys},
            "template": loaded.inputs.form if loaded else self.template,
            "commit": loaded and loaded.origin.commit,
            **({"own_code": True} if loaded and loaded.origin.trusted else {}),
            "device": loaded and loaded.device,
            "limit": loaded and loaded.inputs.limit,
            "truncated": self.truncated,
            "cut_answers": self.cut_answers,
            "packages": {name: version(name) for name in ("torch", "transformers")},
        }


def _positions(network: Any, config: Any) -> int:
    """Tokens that a network has positions for; very many where nothing limits them."""
    room = context_tokens(config)
    for name, module in network.named_modules():
        # Positions of RoBERTa and its kin begin after the padding token's number.
        if (
            name.endswith(".position_embeddings")
            and getattr(module, "padding_idx", None) is not None
        ):
            room = min(room, module.num_embeddings - module.padding_idx - 1)
    return room

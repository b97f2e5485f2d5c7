"""Reward models: sequence classifiers from the Hugging Face hub or a folder.

torch and transformers are loaded when a `ClassifierReward` first scores.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from paretohqd.models import hub
from paretohqd.models.names import is_local
from paretohqd.rewards.batches import encode_rows, plan
from paretohqd.rewards.inputs import Parts, check_fields, refuse_blank
from paretohqd.rewards.networks import Network, fast_products, load_network
from paretohqd.safety.places import shown_name

if TYPE_CHECKING:
    from paretohqd.models.memory import Room

Scores = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(kw_only=True)
class ClassifierReward:
    """A reward model: any sequence classifier that transformers can load.

    Rows of one token length are scored together and nothing is ever padded, so a score depends
    neither on padding nor on what else is in the batch, except for the order in which the hardware
    adds floats: about 1e-6 of the score's size in float32, more in bfloat16. On a GPU float32 is
    multiplied as TF32, which rounds to about 1e-3. Equal texts within a
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
        output: Which output of a head with several to read: the logit itself. Rewards of one head
            that differ in name and output alone share its network and its passes in `score`.
        batch_size: Rows per forward pass at most.
        batch_tokens: Tokens per forward pass at most; one row may have more. A pass that memory
            does not hold is done in halves.
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
    batch_size: int = 64
    batch_tokens: int = 16_384
    max_length: int = 1024
    device: str = "auto"
    dtype: str = "float32"
    truncated: int = field(default=0, init=False)
    cut_answers: int = field(default=0, init=False)
    size: int | None = field(default=None, init=False, repr=False, compare=False)
    """Bytes of the weights, once they were loaded."""
    _loaded: Network | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse settings that could only fail after the model was loaded."""
        if self.template not in (None, "chat"):
            check_fields(str(self.template))
        if self.pair and self.template is not None:
            raise ValueError(
                "pair=True gives the model two texts, template makes one: leave one out"
            )
        if min(self.batch_size, self.batch_tokens, self.max_length) < 1:
            raise ValueError("batch_size, batch_tokens and max_length must be at least 1")
        if self.dtype not in ("float32", "bfloat16", "float16"):
            raise ValueError(f"dtype must be float32, bfloat16 or float16, not {self.dtype!r}")

    def load(self) -> Network:
        """Load the model once, which scoring does by itself; call it to fail early.

        Raises:
            ValueError: What `hub.find` refuses; the checkpoint lacks weights of the classifier (as
                a language model does, whose score head would be random) or is of something else,
                tokens without embeddings, several outputs and none chosen, no such output, no chat
                template, a template with tokens that the tokenizer adds itself, or one text for a
                model of pairs.
        """
        return load_together([self])

    def pin(self) -> None:
        """Write the commit into `revision`, so that copies load what this would load now."""
        if not is_local(str(self.model)):
            self.revision = hub.find_commit(str(self.model), self.revision)

    def unload(self) -> None:
        """Give the model's memory back; scoring again loads it again."""
        self._loaded = None

    def is_loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._loaded is not None

    def network_key(self) -> tuple[object, ...]:
        """What rewards that share one network have in common: all but the name and the output."""
        keys = "model revision template pair max_length device dtype batch_size batch_tokens"
        return tuple(getattr(self, key) for key in keys.split())

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Scores:
        """Score n pairs.

        Raises:
            ValueError: Null texts, or a model that `load` refuses.
        """
        return score_together([self], prompts, responses)[0]

    def choose_output(self, config: Any) -> int:
        """The number of the output to read.

        Raises:
            ValueError: Several outputs and none chosen, or no such output.
        """
        labels = ", ".join(f"{i} ({label})" for i, label in sorted(config.id2label.items()))
        if self.output is None and config.num_labels > 1:
            raise ValueError(f"{self.model} has several outputs; choose one with output=: {labels}")
        output = self.output or 0
        if not 0 <= output < config.num_labels:
            raise ValueError(f"{self.model} has no output {output}; it has: {labels}")
        return output

    def note_truncated(
        self, long: Mapping[Parts, str], rows: Sequence[Parts], network: Network
    ) -> None:
        """Count over-long rows, and those of them whose answer is cut; say so once."""
        cut = {row for row, answer in long.items() if network.inputs.cuts_answer(answer)}
        if not self.truncated or (cut and not self.cut_answers):
            which = ", some of them within the answer" if cut else ""
            warnings.warn(
                f"{self.name}: texts of more than {network.inputs.limit} tokens lose their "
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


def grouped(rewards: Sequence[ClassifierReward]) -> list[list[ClassifierReward]]:
    """Rewards that are outputs of one network, together, each group where its first one stood.

    Raises:
        ValueError: Two that read the same output.
    """
    groups: dict[tuple[object, ...], list[ClassifierReward]] = {}
    for reward in rewards:
        group = groups.setdefault(reward.network_key(), [])
        for other in group:
            if (other.output or 0) == (reward.output or 0):
                raise ValueError(
                    f"rewards {other.name!r} and {reward.name!r} are the same output of "
                    f"{shown_name(str(reward.model))}: they would have the same scores; give each "
                    "its own output"
                )
        group.append(reward)
    return list(groups.values())


def load_together(rewards: Sequence[ClassifierReward]) -> Network:
    """Load the network of a group once for all of it.

    Raises:
        ValueError: As `ClassifierReward.load`.
    """
    network = next((each._loaded for each in rewards if each._loaded is not None), None)
    if network is None:
        one = rewards[0]
        network = load_network(
            str(one.model),
            one.revision,
            template=one.template,
            pair=one.pair,
            max_length=one.max_length,
            device=one.device,
            dtype=one.dtype,
        )
    for reward in rewards:
        reward.choose_output(network.network.config)
    for reward in rewards:
        reward._loaded, reward.size = network, network.size
    return network


def score_together(
    rewards: Sequence[ClassifierReward],
    prompts: Sequence[str],
    responses: Sequence[str],
    progress: Callable[[int], None] | None = None,
) -> list[Scores]:
    """Scores of n pairs by each reward of a group, all from the same forward passes.

    Args:
        rewards: A group of `grouped`.
        prompts: n prompts.
        responses: n answers.
        progress: Called with the number of scores that a pass has given.

    Returns:
        (n,) scores for each reward, the same that it gives alone.

    Raises:
        ValueError: Null texts, or a model that `load` refuses.
    """
    scores = np.zeros((len(rewards), len(responses)))
    for rows, made in score_batches(rewards, prompts, responses):
        scores[:, rows] = made.T
        if progress is not None:
            progress(made.size)
    return list(scores)


def score_batches(
    rewards: Sequence[ClassifierReward],
    prompts: Sequence[str],
    responses: Sequence[str],
    *,
    left: Callable[[Rows], NDArray[np.bool_]] = lambda rows: np.ones(len(rows), dtype=np.bool_),
) -> Iterator[tuple[Rows, Scores]]:
    """The same, a forward pass at a time: batches of one token length, the shortest first.

    The batches are those of all n pairs, whichever are left out, so that a score has the same bits
    in a work that was stopped and goes on. Where batches had another size before, what is left of
    one is scored alone.

    Args:
        rewards: A group of `grouped`.
        prompts: n prompts.
        responses: n answers.
        left: Asked for the rows of each batch in turn: which of them are to be scored.

    Yields:
        The numbers of the rows that a pass has scored, equal texts with each other, and their
        scores, (rows, rewards).

    Raises:
        ValueError: As `score_together`.
    """
    refuse_blank("prompt", prompts, empty=True)
    refuse_blank("response", responses, empty=True)
    if not len(responses):
        return
    network, one = load_together(rewards), rewards[0]
    outputs = [reward.choose_output(network.network.config) for reward in rewards]
    rows = [network.inputs.parts(p, r) for p, r in zip(prompts, responses, strict=True)]
    numbers: dict[Parts, int] = {}
    number = np.array([numbers.setdefault(row, len(numbers)) for row in rows])
    distinct, copies = list(numbers), np.bincount(number)
    tokens, long = encode_rows(network.inputs, distinct)
    if long:
        answers = dict(zip(rows, responses, strict=True))
        over = {distinct[i]: answers[distinct[i]] for i in long}
        for reward in rewards:
            reward.note_truncated(over, rows, network)
    # Rows of one text lie together in this order.
    order, ends = np.argsort(number, kind="stable"), np.cumsum(copies)
    room = _room(network.device)
    batches = plan(tokens.lengths, batch_size=one.batch_size, batch_tokens=one.batch_tokens)
    for batch in batches:
        same = np.concatenate([order[ends[i] - copies[i] : ends[i]] for i in batch])
        wanted, whose = left(same), np.repeat(batch, copies[batch])
        if not len(texts := np.array([i for i in batch if wanted[whose == i].any()], dtype=int)):
            continue
        length = int(tokens.lengths[texts[0]])
        with fast_products(network.device):
            made = room.pieces(texts, length, lambda rows: network.logits(tokens.batch(rows)))
            logits = np.concatenate(list(made))[:, outputs]
        place = {text: number for number, text in enumerate(texts.tolist())}
        yield same[wanted], logits[[place[text] for text in whose[wanted].tolist()]]


def _room(device: str) -> Room:
    """What halves a batch that memory does not hold; it needs torch, which this module does not."""
    import torch

    from paretohqd.models.memory import Room

    return Room(torch.device(device))

"""NP-DPO: one model for users who are known by a few labelled pairs, not by weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from paretohqd.compare.method import Count, Method, MethodOptions, Positive, Steps
from paretohqd.compare.methods._dpo import PASSES, pair_settings
from paretohqd.compare.methods._groups import answer_groups
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench, batch_size
from paretohqd.kernels.rays import preference_grid
from paretohqd.models import chat
from paretohqd.selection.pairs import standardise
from paretohqd.selection.preferences import format_weights
from paretohqd.trainers import users


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `npdpo`."""

    shown: Count = 10
    """Labelled pairs by which a user is known."""
    adapters: Count | None = None
    """K; one for each objective if not given."""
    beta: Positive = 0.1
    """How much a difference of log-probabilities counts."""
    steps: Steps | None = None
    """Usual steps; pairs.max_steps or else train.max_steps for each preference if not given."""
    learning_rate: Positive | None = None
    """In place of the settings' own; 1e-4 without any."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One policy per preference: what is inferred from pairs that it labels.

    Raises:
        ValueError: Too few prompts with answers that a preference tells apart, or a budget too
            small for one step.
    """
    names, count = bench.names, options.adapters or len(bench.names)
    frame = answer_groups(bench)
    z, constants = standardise(frame, names)
    bench.notes["constants"] = constants
    settings, usual = bench.settings.pairs, bench.train_settings()
    train = pair_settings(bench)
    if options.learning_rate is not None:
        train["learning_rate"] = options.learning_rate
    users.KIND.check_all(settings, bench.settings.lora, "pairs")
    rng = np.random.default_rng([bench.seed, 20])
    drawn = _pairs(frame, rng)
    each = batch_size(train)
    scores = z.select(names).to_numpy()
    lattice = preference_grid(len(names), 10 if len(names) == 2 else 4)
    # Before a user's pairs come again, as many are learned as there are prompts.
    plans = [
        _step(drawn, scores, lattice[number % len(lattice)], options.shown, each, rng)
        for number in range(max(2 * len(lattice), -(-len(drawn) // each)))
    ]
    lengths = chat.trained_lengths(bench.tokenizer(), frame, train["max_length"])
    tokens, shown = (
        [int(sum(lengths[row] for pair in part for row in pair)) for part in parts]
        for parts in ([plan.learned for plan in plans], [plan.shown for plan in plans])
    )
    # The reference reads what is learned, the base what is shown, each without a gradient.
    passes = PASSES + sum(shown) / sum(tokens)
    steps = options.steps or len(bench.weights) * (settings.get("max_steps") or usual["max_steps"])
    order = bench.order(tokens, batch=1, share=1.0, steps=steps, passes=passes)
    train["max_steps"] = len(order)
    asked = [_labelled(drawn, scores, np.array(w), options.shown) for w in bench.preferences]
    rows = frame.select("prompt", "response")
    made = bench.train(
        "users",
        lambda base, tokenizer, **common: users.fit_users(
            base,
            tokenizer,
            rows,
            [plans[at] for at in order],
            asked,
            count=count,
            train=train,
            lora=bench.settings.lora,
            beta=options.beta,
            **common,
        ),
        label="users known by pairs",
        per="once",
        passes=passes,
        settings={
            "train": train,
            "lora": bench.settings.lora,
            "beta": options.beta,
            "count": count,
            "shown": options.shown,
            "plans": len(plans),
            "preferences": bench.preferences,
        },
        inputs={"answers": bench.context.folder.hash_frame(frame)},
    )
    bench.notes["coefficients"] = {
        ", ".join(f"{x:.3g}" for x in w): np.round(found, 3).tolist()
        for w, found in zip(bench.preferences, made.notes["coefficients"], strict=True)
    }
    return [
        Policy(
            weights=w,
            adapters=tuple((made.path / f"adapter-{k}", x) for k, x in enumerate(found)),
        )
        for w, found in zip(bench.preferences, made.notes["coefficients"], strict=True)
    ]


def _pairs(frame: pl.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """(prompts, 2) rows of two different answers to each prompt, drawn, the prompts shuffled."""
    texts = frame["response"].to_list()
    drawn = []
    for _, rows in frame.with_row_index("row").group_by("prompt", maintain_order=True):
        own = rng.permutation(rows["row"].to_numpy())
        other = next((row for row in own[1:] if texts[row] != texts[own[0]]), None)
        if other is not None:
            drawn.append((own[0], other))
    return rng.permutation(np.array(drawn, dtype=np.int64).reshape(-1, 2))


def _labelled(drawn: np.ndarray, scores: np.ndarray, w: np.ndarray, count: int) -> list[users.Pair]:
    """The first `count` pairs that w can label, with the answer first of the larger weighted sum.

    Raises:
        ValueError: Fewer pairs have two different sums.
    """
    sums = scores[drawn] @ w
    able = (sums[:, 0] != sums[:, 1]).nonzero()[0][:count]
    if len(able) < count:
        raise ValueError(
            f"preference {format_weights(w.tolist())} tells the answers of {len(able)} prompts "
            f"apart; a step needs {count} pairs to show and to learn: lower shown, or score more "
            "answers"
        )
    better = sums[able].argmax(axis=1)
    pairs = zip(drawn[able, better], drawn[able, 1 - better], strict=True)
    return [(int(a), int(b)) for a, b in pairs]


def _step(
    drawn: np.ndarray,
    scores: np.ndarray,
    w: np.ndarray,
    shown: int,
    learned: int,
    rng: np.random.Generator,
) -> users.Step:
    """Pairs of a user that are shown and others that are learned: no prompt is in both."""
    pairs = _labelled(drawn[rng.permutation(len(drawn))], scores, w, shown + learned)
    return users.Step(pairs[:shown], pairs[shown:])


METHOD = Method(
    run=policies,
    options=Options,
    family="pairs",
    about="Adapters whose coefficients are inferred from ten pairs that a user has labelled; no "
    "weights are told.",
    source='After "Few-shot Steerable Alignment" (NP-DPO, arXiv 2412.13998), and its public code.',
    exact="a user's labelled pairs are encoded one by one, averaged and turned into what steers "
    "the model, and DPO on other pairs of the same user trains both, against the base.",
    ours="a user is a preference w and a label the larger w . z; what is inferred are the "
    "coefficients of K adapters, where the code modulates every block; pairs are differences of "
    "the base's mean hidden states, without attention among them; the pairs shown and learned in a "
    "step share no prompt (in the code they may), and two answers of equal w . z are no pair. A "
    "preference of the comparison is known by pairs of training prompts that it labels, and by "
    "nothing else.",
)

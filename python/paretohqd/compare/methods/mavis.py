"""MAVIS: a value model that reads along with the base, and tilts each token by w."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from paretohqd.compare.method import Amount, Method, MethodOptions, Positive, Range, Steps
from paretohqd.compare.methods._constants import center_and_spread, standardised
from paretohqd.compare.policy import Guidance, Policy
from paretohqd.compare.workbench import Workbench, batch_size
from paretohqd.models import chat
from paretohqd.models.guide import Tilt
from paretohqd.trainers import values


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `mavis`."""

    head: Literal["value", "action"] = "value"
    """What the value model takes: the state after each candidate, which is exact and reads each of
    them, or the state before and the candidates' embeddings, which reads none."""
    strength: Amount = 1.0
    """beta, in nats for a deviation of w . V; 0 samples from the candidates as they are."""
    candidates: Annotated[int, Range(2, 1000)] = 8
    """The base's most likely tokens that are looked at; no other is sampled."""
    steps: Steps | None = None
    """Usual steps; as many as all preferences' models have if not given."""
    learning_rate: Positive | None = None
    """In place of the settings' own."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """The base with one value model, whose objectives are weighted for each preference."""
    frame, names = bench.scored(), bench.names
    mean, deviation = center_and_spread(frame, names)
    rows = frame.select("prompt", "response").with_columns(
        **dict(zip(names, standardised(frame, names, mean, deviation).T, strict=True))
    )
    settings, lora = bench.settings.train, bench.settings.lora
    values.KIND.check_all(settings, lora, "train")
    train = bench.train_settings()
    if options.learning_rate is not None:
        train["learning_rate"] = options.learning_rate
    lengths = chat.trained_lengths(bench.tokenizer(), rows, train["max_length"])
    course = bench.course(
        rows,
        lengths,
        batch=batch_size(train),
        share=1.0,
        steps=options.steps or len(bench.weights) * train["max_steps"],
    )
    train["max_steps"] = course.steps
    made = bench.train(
        "values",
        lambda base, tokenizer, **common: values.fit_values(
            base,
            tokenizer,
            course.rows,
            names,
            head=options.head,
            train=train,
            lora=lora,
            **common,
        ),
        label="value model",
        per="once",
        settings={"train": train, "lora": lora, "head": options.head, "names": names},
        inputs={"rows": bench.hash_rows(course.rows)},
        course=course,
    )
    bench.notes["value model's loss, 1 for knowing nothing"] = made.notes["loss"]
    return [
        Policy(
            weights=weights,
            guidance=Guidance(
                folder=made.path,
                tilt=Tilt(
                    weights=weights, strength=options.strength, candidates=options.candidates
                ),
                action=options.head == "action",
            ),
        )
        for weights in bench.preferences
    ]


METHOD = Method(
    run=policies,
    options=Options,
    family="values",
    about="A value model for all objectives reads along with the base and makes tokens more likely "
    "by exp(beta w . V).",
    source='"MAVIS: Multi-Objective Alignment via Value-Guided Inference-Time Search" (arXiv '
    "2508.13415, and its public code).",
    exact="of the base's most likely tokens each is weighted by exp(z / T + beta w . V), V being "
    "the expected scores of the answer if it comes next; V is fitted to the base's own answers by "
    "least squares.",
    ours="one value model with an output per objective (the paper's distilled form), an adapter on "
    "the base itself, fitted at every token of the offline answers to their standardised scores, "
    "where the paper samples trees and then values policies that are tilted already; 8 candidates, "
    'not 40; with "action" a head of low rank that tells all tokens at once, which is not the '
    "paper's. Where the data are not the base's own answers, V is of whoever wrote them.",
)

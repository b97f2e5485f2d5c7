"""The models of a finished run for any preference, ready to answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import copy_context
from dataclasses import dataclass
from math import inf
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

import numpy as np
import polars as pl

from paretohqd.models import base, chat
from paretohqd.models.adapters import load_mixture
from paretohqd.models.machine import find_machine
from paretohqd.models.spec import Model
from paretohqd.policies.asking import Talk, Weights, prompt_of, settle
from paretohqd.policies.cells import Parts, parts_of
from paretohqd.policies.finished import FinishedRun, find_base, open_run
from paretohqd.policies.replies import Reply, Request, reply
from paretohqd.runs.metrics import SampleMean
from paretohqd.runs.verdicts import mean_and_error
from paretohqd.selection.preferences import TOLERANCE, format_weights


def load(
    run: str | Path, *, stage: int | None = None, model: str | None = None, device: str = "auto"
) -> Run:
    """Open a finished run for any preference; see `paretohqd.load`."""
    finished = open_run(run, stage=stage)
    return Run(finished, find_base(finished, model), device=device)


class Run:
    """A finished run, its base shared by all its policies."""

    def __init__(self, finished: FinishedRun, spec: Model, *, device: str = "auto") -> None:
        """Take a run that was opened, and its base."""
        self.finished, self.spec, self.device = finished, spec, device
        self.lock = Lock()
        """Held while a policy answers: all share one base."""
        self._base: tuple[Any, Any] | None = None
        self._on: Parts | None = None

    @property
    def objectives(self) -> tuple[str, ...]:
        """Their names, in the order of weights."""
        return self.finished.objectives

    @property
    def preferences(self) -> dict[str, tuple[float, ...]]:
        """The trained preferences, by name, or by weights where they have no names."""
        return dict(zip(self.labels, self.finished.preferences, strict=True))

    @property
    def labels(self) -> tuple[str, ...]:
        """What each trained preference is called, all different."""
        rows = self.finished.preferences
        labels = self.finished.names or tuple(map(format_weights, rows))
        return labels if len(set(labels)) == len(labels) else tuple(map(str, rows))

    def policy(self, weights: Weights) -> Policy:
        """The policy for a preference.

        The adapter of that preference where there is one, else the exact sum of the updates of its
        neighbours' adapters: those of the cell that the preference lies in, see `cells.parts_of`.

        Args:
            weights: A trained preference's name; or weights, at least 0, by the objectives' names
                or in their order. They are divided by their sum.

        Raises:
            ValueError: Another number of weights, a name that nobody has, or weights that are
                negative, NaN, infinite or all 0.
        """
        asked, note = settle(weights, self.objectives, self.preferences)
        return Policy(
            run=self, asked=asked, parts=parts_of(asked, self.finished.preferences), note=note
        )

    def model(self, parts: Parts | None) -> tuple[Any, Any]:
        """The base with these adapters on it, and its tokenizer; the base alone for None."""
        if self._base is None:
            # The run's own number format: in another one answers are others.
            machine = find_machine(self.device, self.finished.precision)
            self._base = base.load_base(self.spec, device=machine.device, dtype=machine.dtype)
        model, tokenizer = self._base
        if parts is None and self._on is not None:
            self._base, self._on = (model.unload(), tokenizer), None
            return self._base
        if parts is not None and parts != self._on:
            adapters = [
                (self.finished.adapters[place], share)
                for place, share in zip(parts.places, parts.shares, strict=True)
            ]
            try:
                model = load_mixture(model, adapters)
            except BaseException:
                # What is on by now, nobody knows.
                self._base, self._on = None, None
                raise
            self._base, self._on = (model, tokenizer), parts
        return model, tokenizer


@dataclass(frozen=True, eq=False, kw_only=True)
class Policy:
    """The model of a run for one preference.

    Attributes:
        run: The run.
        asked: The preference, M weights that sum to 1.
        parts: The trained preferences whose adapters it is the sum of.
        note: What was made of the weights that were given; empty if nothing.
    """

    run: Run
    asked: tuple[float, ...]
    parts: Parts
    note: str = ""

    def __str__(self) -> str:
        """Which adapters it is made of."""
        names = self.run.labels
        if self.parts.exact:
            text = f"the model trained for {names[self.parts.places[0]]}"
        else:
            text = "the sum of " + " and ".join(
                f"{share:.3g} of {names[place]}"
                for place, share in zip(self.parts.places, self.parts.shares, strict=True)
            )
        if not np.allclose(self.parts.weights, self.asked, atol=TOLERANCE):
            text += f", the nearest that there is: for {format_weights(self.parts.weights)}"
        return text

    @property
    def predicted(self) -> dict[str, SampleMean]:
        """Expected rewards, with standard errors over the held-out prompts.

        Of a trained preference what was measured; else the mean of the neighbours' rewards, prompt
        by prompt, by their shares: that a sum of models lies between them is an assumption, which
        `paretohqd eval RUN --weights ..` tests.
        """
        rewards = np.tensordot(
            self.parts.shares, self.run.finished.rewards[list(self.parts.places)], axes=1
        )
        return {
            name: mean_and_error(pl.Series(rewards[:, place]))
            for place, name in enumerate(self.run.objectives)
        }

    def generate(
        self,
        messages: Talk,
        *,
        seed: int = 0,
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
    ) -> str:
        """An answer, whole.

        Args:
            messages: What a user says, or a conversation (role and content) that ends with the
                user.
            seed: The same seed gives the same answer.
            max_new_tokens: The longest answer; the run's own if not given, as the others.
            temperature: 0 takes the likeliest token.
            top_p: The share of probability that may be drawn from.

        Raises:
            ValueError: A conversation that does not end with the user or that the template does not
                take, or one that leaves no room for an answer.
        """
        prompt = prompt_of(messages)
        return self._reply(prompt, seed, max_new_tokens, temperature, top_p).text

    def stream(
        self,
        messages: Talk,
        *,
        seed: int = 0,
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
    ) -> Iterator[str]:
        """The same answer piece by piece; who stops listening stops it.

        Args:
            messages: As for `generate`, as are the others.
            seed: Likewise.
            max_new_tokens: Likewise.
            temperature: Likewise.
            top_p: Likewise.
        """
        prompt = prompt_of(messages)
        pieces: SimpleQueue[str | BaseException | None] = SimpleQueue()
        left = Event()

        def work() -> None:
            try:
                heard = {"said": pieces.put, "cancelled": left.is_set}
                self._reply(prompt, seed, max_new_tokens, temperature, top_p, **heard)
                pieces.put(None)
            except BaseException as error:
                pieces.put(error)

        # The base may be loaded there: by the trust that whoever calls has given.
        worker = Thread(target=copy_context().run, args=(work,), daemon=True)
        worker.start()
        try:
            while (piece := pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            left.set()
            worker.join()

    def _reply(
        self,
        prompt: str,
        seed: int,
        max_new_tokens: int | None,
        temperature: float | None,
        top_p: float | None,
        **heard: Any,
    ) -> Reply:
        usual = self.run.finished.generation
        temperature = usual.temperature if temperature is None else temperature
        top_p = usual.top_p if top_p is None else top_p
        longest = usual.max_new_tokens if max_new_tokens is None else max_new_tokens
        if isinstance(longest, bool) or not isinstance(longest, int) or longest < 1:
            raise ValueError(f"max_new_tokens: expected a whole number from 1 on, got {longest!r}")
        if not 0 <= temperature < inf:
            raise ValueError(f"temperature: expected a number of at least 0, got {temperature!r}")
        if not 0 < top_p <= 1:
            raise ValueError(f"top_p: expected a number above 0 and up to 1, got {top_p!r}")
        with self.run.lock:
            model, tokenizer = self.run.model(self.parts)
            (ids,) = chat.encode_prompts(tokenizer, [prompt])
            (answer,) = reply(
                model,
                tokenizer,
                [Request(ids=ids, max_tokens=longest, seed=seed, **heard)],
                temperature=temperature,
                top_p=top_p,
            )
        return answer

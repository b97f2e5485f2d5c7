"""The models of a finished run for any preference, ready to answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

import numpy as np
import polars as pl

from paretohqd.exceptions import unknown_word
from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.models import base, chat
from paretohqd.models.adapters import load_mixture
from paretohqd.models.machine import find_machine
from paretohqd.models.spec import Model
from paretohqd.policies.cells import Parts, parts_of
from paretohqd.policies.finished import FinishedRun, find_base, open_run
from paretohqd.policies.replies import Reply, Request, reply
from paretohqd.runs.metrics import SampleMean
from paretohqd.runs.verdicts import mean_and_error
from paretohqd.selection.preferences import TOLERANCE, format_weights

Weights = str | Mapping[str, float] | Sequence[float]
"""A preference: its name in the run, weights by the objectives' names, or in their order."""

Talk = str | Sequence[Mapping[str, Any]]
"""What a user says, or a conversation that ends with the user."""


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
        rows = self.finished.preferences
        names = self.finished.names or tuple(map(format_weights, rows))
        return dict(zip(names, rows, strict=True))

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
        asked, note = settle(weights, self)
        return Policy(
            run=self, asked=asked, parts=parts_of(asked, self.finished.preferences), note=note
        )

    def model(self, parts: Parts | None) -> tuple[Any, Any]:
        """The base with these adapters on it, and its tokenizer; the base alone for None."""
        if self._base is None:
            machine = find_machine(self.device)
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
            model = load_mixture(model, adapters)
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
        names = list(self.run.preferences)
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

        worker = Thread(target=work, daemon=True)
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
        with self.run.lock:
            model, tokenizer = self.run.model(self.parts)
            (ids,) = chat.encode_prompts(tokenizer, [prompt])
            longest = max_new_tokens or usual.max_new_tokens
            (answer,) = reply(
                model,
                tokenizer,
                [Request(ids=ids, max_tokens=longest, seed=seed, **heard)],
                temperature=usual.temperature if temperature is None else temperature,
                top_p=usual.top_p if top_p is None else top_p,
            )
        return answer


def prompt_of(messages: Talk) -> str:
    """A conversation as a prompt's text.

    Raises:
        ValueError: It does not end with the user.
    """
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not messages or messages[-1].get("role") != "user":
        raise ValueError("messages: a conversation must end with the user")
    return write_prompt(messages)


def settle(weights: Weights, run: Run) -> tuple[tuple[float, ...], str]:
    """A preference as M numbers that sum to 1, and a note where that changed them.

    Raises:
        ValueError: See `Run.policy`.
    """
    names = run.objectives
    if isinstance(weights, str):
        known = run.preferences
        if weights not in known:
            raise unknown_word("no preference of this run", weights, known)
        return known[weights], ""
    if isinstance(weights, Mapping):
        for name in weights:
            if name not in names:
                raise unknown_word("weights: no objective", str(name), names)
        weights = [weights.get(name, 0.0) for name in names]
    try:
        given = np.array(list(weights), dtype=np.float64)
    except (TypeError, ValueError):
        given = np.empty(0)
    if given.shape != (len(names),):
        raise ValueError(
            f"weights: expected {len(names)} numbers, for {', '.join(names)}, got {weights!r}"
        )
    if not np.isfinite(given).all() or (given < 0).any() or not given.sum() > 0:
        raise ValueError(
            f"weights: expected numbers of at least 0, not all 0, got {given.tolist()}"
        )
    total = float(given.sum())
    settled = tuple((given / total + 0.0).tolist())
    if abs(total - 1) <= TOLERANCE:
        return settled, ""
    return settled, f"weights that sum to {total:g} were divided by that: {format_weights(settled)}"


def in_words(words: Sequence[str]) -> Weights:
    """What `Run.policy` takes, of words that somebody typed.

    Example:
        >>> in_words([".7", ".3"]), in_words(["very", "brief"])
        ([0.7, 0.3], 'very brief')
    """
    try:
        return [float(word) for word in words]
    except ValueError:
        return " ".join(words)

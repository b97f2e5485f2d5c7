"""Calls of other libraries: without their bars, with their warnings kept and errors in a line."""

from __future__ import annotations

import contextlib
import logging as python_logging
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from paretohqd.exceptions import first_line
from paretohqd.frames.new_files import write_new
from paretohqd.safety.secrets import redacted
from paretohqd.selection.same_rows import SameRowsWarning

LIBRARIES = ("transformers", "trl", "peft", "accelerate", "datasets", "huggingface_hub", "torch")

KNOWN = ("`is_gradient_checkpointing` is deprecated",)
"""What one library says of another's names at every load: nothing that a user could change."""

_keeping: list[Counter[str]] = []
"""What warnings go into now; the outermost of several calls of `kept` keeps them."""


@contextlib.contextmanager
def without_bars() -> Iterator[None]:
    """Keep libraries' loading bars off the screen; ours say what goes on."""
    import datasets
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    no_data_bars = datasets.are_progress_bars_disabled()
    logging.disable_progress_bar()
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            for text in KNOWN:
                warnings.filterwarnings("ignore", message=re.escape(text))
            yield
    finally:
        if not no_data_bars:
            datasets.enable_progress_bars()
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def without_tqdm() -> Iterator[None]:
    """Keep bars off the screen that no argument of the library turns off."""
    given = os.environ.get("TQDM_DISABLE")
    os.environ["TQDM_DISABLE"] = "1"
    try:
        yield
    finally:
        if given is None:
            del os.environ["TQDM_DISABLE"]
        else:
            os.environ["TQDM_DISABLE"] = given


@contextlib.contextmanager
def kept(file: Path | None) -> Iterator[Counter[str]]:
    """Keep what libraries warn of in a file instead of on the screen: each text once, counted.

    That all preferences get the same rows is no library's remark, and stays on the screen.

    Args:
        file: Written at the end, errors included, if there was a warning; None for no file.

    Yields:
        The warnings so far and how often each came.
    """
    if _keeping:
        yield _keeping[0]
        return
    texts: Counter[str] = Counter()
    handler = _Keeper(texts)
    loggers = [python_logging.getLogger(name) for name in LIBRARIES]
    settings = [(logger, logger.handlers, logger.propagate, logger.level) for logger in loggers]
    _keeping.append(texts)
    try:
        for logger in loggers:
            logger.handlers, logger.propagate = [handler], False
            logger.setLevel(python_logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            for kind in (DeprecationWarning, PendingDeprecationWarning, ResourceWarning):
                warnings.simplefilter("ignore", kind)  # for the libraries' own developers
            shown = warnings.showwarning

            def keep(
                message: Warning | str, category: type[Warning], *where: Any, **more: Any
            ) -> None:
                if issubclass(category, SameRowsWarning):
                    shown(message, category, *where, **more)
                else:
                    handler.add(category.__name__, str(message))

            warnings.showwarning = keep
            yield texts
    finally:
        _keeping.clear()
        for logger, handlers, propagate, level in settings:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
        if file is not None:
            _write(file, texts)


class _Keeper(python_logging.Handler):
    """Counts what is logged."""

    def __init__(self, texts: Counter[str]) -> None:
        super().__init__(python_logging.WARNING)
        self.texts = texts

    def emit(self, record: python_logging.LogRecord) -> None:
        self.add(record.name, record.getMessage())

    def add(self, source: str, text: Any) -> None:
        """One more of this text, which may have several lines."""
        self.texts[f"{source}: {' '.join(str(text).split())}"] += 1


def _write(file: Path, texts: Counter[str]) -> None:
    if texts:
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{count} x {redacted(text)}\n" for text, count in texts.items()]
        write_new(file, "".join(lines))
    else:
        file.unlink(missing_ok=True)  # an earlier attempt's


@contextlib.contextmanager
def one_line_errors(
    name: str | Path, words: Callable[[BaseException], str | None] = lambda error: None
) -> Iterator[None]:
    """Say in one line which model could not be loaded.

    Args:
        name: The model's.
        words: Says an error in our own words, or None for the library's.

    Raises:
        ValueError: Whatever was raised inside, because a damaged file fails in whatever library
            reads it.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            raise  # not the model's fault, and has a remedy of its own
        reason = words(error) or first_line(error)
        raise ValueError(f"model {name}: cannot be loaded: {reason}") from error


@contextlib.contextmanager
def tied_on_purpose() -> Iterator[None]:
    """Without PEFT's warning of an adapter on a head whose weights are the embedding's.

    Its update is added to the head's product, and never to the weights that the two share.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Model has `tie_word_embeddings=True`")
        yield

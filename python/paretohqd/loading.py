"""Loading models of others' libraries: quietly, and with errors that fit into one line."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep libraries' loading bars and warnings off the screen; ours say what goes on."""
    import datasets
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    no_data_bars = datasets.are_progress_bars_disabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if not no_data_bars:
            datasets.enable_progress_bars()
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def told(name: str | Path) -> Iterator[None]:
    """Say in one line which model could not be loaded.

    Raises:
        ValueError: whatever was raised inside, for a damaged file fails in whatever library reads
            it.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            raise  # not the model's fault, and has a remedy of its own
        reason = (str(error).splitlines() or [""])[0].strip()
        raise ValueError(
            f"model {name}: cannot be loaded: {reason or type(error).__name__}"
        ) from error

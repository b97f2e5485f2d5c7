"""Sources of answers in files, and their split, for the tests of a run's data."""

from dataclasses import dataclass

import polars as pl

from paretohqd.frames.writing import write_frame
from paretohqd.runs import sections
from paretohqd.runs.data import source_blocks
from paretohqd.runs.split import split_data

HH = "\n\nHuman: {}\n\nAssistant: {}"
"""A dialogue of two turns as hh-rlhf writes it."""
PAIRS = pl.DataFrame(
    {
        "chosen": [HH.format(f"Hi {i}", f"good {i}") for i in range(90)],
        "rejected": [HH.format(f"Hi {i}", f"bad {i}") for i in range(90)],
    }
)


def characters(frame):
    """Stands in for the tokens of a prompt."""
    return frame["prompt"].str.len_chars()


def split(spec, *, seed=0, limit=1000, columns=()):
    return Parts.of(spec, seed=seed, prompt_lengths=characters, limit=limit, columns=columns)


@dataclass(frozen=True)
class Parts:
    """What a split writes into files."""

    pool: pl.DataFrame
    prompts: pl.DataFrame
    held_out: pl.DataFrame
    dropped: dict[str, int]

    @classmethod
    def of(cls, spec, *, seed=0, **more):
        made = split_data(spec, source_blocks(spec, seed), seed=seed, **more)
        rows = {"pool": [], "prompts": [], "held_out": []}
        for part, block in made.rows():
            rows[part].append(block)
        whole = {part: pl.concat(blocks) for part, blocks in rows.items()}
        return cls(**whole, dropped=made.dropped)


def answers(n=40, per_conversation=4):
    return pl.DataFrame(
        {
            "prompt": [f"question {i}" for i in range(n)],
            "response": [f"answer {i}" for i in range(n)],
            "conversation": [i // per_conversation for i in range(n)],
            "score": [i / 10 for i in range(n)],
        }
    )


def source_in(folder):
    """Writes a frame to a file of the folder and returns the settings that name it."""

    def make(frame, *, ending=".parquet", **more):
        path = folder / f"source{ending}"
        write_frame(frame, path)
        return sections.Data(source=str(path), **{"held_out": 3, **more})

    return make

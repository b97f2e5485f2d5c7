"""Polars expressions within groups: `.over`, `.agg` and `by=` beside `frame.pareto.layers(by=)`.

    python benches/expressions.py [--rows 1000000] [--out benches/results]

The rows lie in 10, 1,000 and 100,000 groups in random order; every way gives the same layers, which
is asserted first. Two more lines tell what `.over` takes without any layers: with a Python function
that hands a column back, and, where there is a C compiler, with a plugin in C that does the same:
the least that any plugin through Polars' C interface takes.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from polars.plugins import register_plugin_function

import paretohqd as pq
from paretohqd.bench.record import place, write

NAMES = ["a", "b", "c"]
GROUPS = (10, 1_000, 100_000)

PLUGIN = r"""
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The structs of Arrow's C data interface, and of columns as Polars exports them. */
struct schema {
  const char *format, *name, *metadata;
  int64_t flags, n_children;
  struct schema **children, *dictionary;
  void (*release)(struct schema *);
  void *private_data;
};
struct array {
  int64_t length, null_count, offset, n_buffers, n_children;
  const void **buffers;
  struct array **children, *dictionary;
  void (*release)(struct array *);
  void *private_data;
};
struct series {
  struct schema *field;
  struct array **arrays;
  size_t len;
  void (*release)(struct series *);
  void *private_data;
};

static void released(struct schema *it) { it->release = NULL; }
uint32_t _polars_plugin_get_version(void) { return 1; }
const char *_polars_plugin_get_last_error_message(void) { return "no error"; }

void _polars_plugin_field_first(const struct schema *in, size_t n, struct schema *out) {
  memset(out, 0, sizeof *out);
  out->format = "g";
  out->name = "first";
  out->flags = 2;
  out->release = released;
  out->private_data = out;
}

void _polars_plugin_first(struct series *in, size_t n, const uint8_t *kwargs, size_t size,
                          struct series *out, void *context) {
  for (size_t i = 1; i < n; i++) {
    for (size_t j = 0; j < in[i].len; j++)
      if (in[i].arrays[j]->release) in[i].arrays[j]->release(in[i].arrays[j]);
    in[i].release(&in[i]);
  }
  *out = in[0];
}
"""


def plugin(folder: Path) -> pl.Expr | None:
    """A plugin that hands its first column back; None without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    source, library = folder / "first.c", folder / "first.so"
    source.write_text(PLUGIN)
    subprocess.check_call([compiler, "-O2", "-shared", "-fPIC", "-o", library, source])
    return register_plugin_function(
        plugin_path=library, function_name="first", args=NAMES, use_abs_path=True
    )


def listed(frame: pl.DataFrame) -> pl.DataFrame:
    """The layers of each group in a list, as `.agg` gives them."""
    return frame.group_by("g", maintain_order=True).agg("layer")


def in_groups(rows: int, groups: int, empty: pl.Expr | None) -> list[dict[str, Any]]:
    """Every way to the same layers, beside the function on frames."""
    rng = np.random.default_rng(groups)
    frame = pl.DataFrame(rng.random((rows, 3)), schema=NAMES)
    frame = frame.with_columns(g=pl.Series(rng.permutation(rows) % groups))
    layer, within = pq.layer_expr(NAMES), pq.layer_expr(NAMES, by="g")
    python = pl.map_batches(NAMES, lambda columns: columns[0], return_dtype=pl.Float64)
    ways: dict[str, Callable[[], pl.DataFrame]] = {
        "frame.pareto.layers(by=)": lambda: frame.pareto.layers(NAMES, by="g"),
        "layer_expr(by=)": lambda: frame.with_columns(within),
        "layer_expr().over()": lambda: frame.with_columns(layer.over("g")),
        ".agg(layer_expr())": lambda: frame.group_by("g", maintain_order=True).agg(layer),
    }
    expected = pq.layers(frame, NAMES, by="g")
    for way, call in ways.items():
        assert call().equals(listed(expected) if "agg" in way else expected), way
    ways["a Python function that does nothing, .over()"] = lambda: frame.with_columns(
        python.over("g")
    )
    if empty is not None:
        assert frame.select(empty.over("g")).to_series().equals(frame["a"])
        ways["a plugin in C that does nothing, .over()"] = lambda: frame.with_columns(
            empty.over("g")
        )
    # In turn: what else the machine does meets all of them.
    seconds = dict.fromkeys(ways, np.inf)
    for _ in range(3):
        for way, call in ways.items():
            start = time.perf_counter()
            call()
            seconds[way] = min(seconds[way], time.perf_counter() - start)
    first = seconds["frame.pareto.layers(by=)"]
    return [
        {
            "way": way,
            "rows": rows,
            "groups": groups,
            "seconds": f"{each:.3g}",
            "ratio": f"{each / first:.2f}",
            "us_per_group": f"{each / groups * 1e6:.3g}",
        }
        for way, each in seconds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=Path("benches/results"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        empty = plugin(Path(folder))
        table = [line for groups in GROUPS for line in in_groups(given.rows, groups, empty)]
    path = place(given.out, "expressions")
    write(table, path, list(table[0]))
    for line in table:
        print(
            f"{line['way']:46} {line['groups']:>8,} groups {line['seconds']:>8} s = "
            f"{line['ratio']:>7} x, {line['us_per_group']:>8} us a group"
        )
    print(f"written: {path}")


if __name__ == "__main__":
    main()

"""Polars in, Polars out: from files to the first Pareto layers of their rows.

- `sources` and `reading/`: files, folders and tables of other libraries as frames.
- `batches`: rows of lazy frames in batches, and by their numbers.
- `objectives`, `keys`, `common_types`, `bad_rows`: the columns, their types, and bad values.
- `screen`, `kept_layers`, `first_layers`, `streaming`: the first layers of rows in parts.
- `functions`, `volumes`, `near_rows`: the kernels' functions for frames and files.
- `writing`, `hashes`: files written whole, and hashes of files and frames.
- `conversations/`, `text_metrics`: prompts and answers as messages, and measures of texts.
- `notebooks`: how objects show themselves.
"""

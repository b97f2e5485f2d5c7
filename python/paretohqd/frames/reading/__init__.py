"""Files and tables of other libraries as Polars frames.

From the name of a file to its rows, in this order:

- `formats`: the kinds of files, told apart by their endings.
- `paths`: which files a path, a folder or a pattern means.
- `text_lines`, `csv_files`, `json_files`, `json_records`: what Polars would read wrongly or refuse.
- `schemas`: the type that two columns have in common.
- `sizes`: what would not fit in memory.
- `table_files`: one file, its columns and its scan.
- `shared_columns`: the columns that several files share.
- `hive_folders`: columns in the names of folders.
- `opening`: all the files as one LazyFrame.
- `other_libraries`: no files, but tables of pandas, Arrow, DuckDB and datasets.

A new file format goes into `formats.py` (a `Kind`) and `table_files.py` (`scan`).
"""

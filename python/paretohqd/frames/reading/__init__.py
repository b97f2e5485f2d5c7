"""Files and tables of other libraries as Polars frames.

From the name of a file to its rows, in order: `formats` (the kinds of files, by their endings),
`paths` (which files a path, a folder or a pattern means), `text_lines`, `csv_files` and
`json_files` (what Polars would read wrongly or refuse), `schemas` (the common type of two columns),
`table_files` (one file: its columns and its scan), `shared_columns` (the columns that several files
share), `hive_folders` (columns in the names of folders), `opening` (all of them as one LazyFrame).
`other_libraries` reads no files: it turns pandas, Arrow, DuckDB and datasets' tables into frames.

A new file format goes into `formats.py` (a `Kind`) and `table_files.py` (`scan`).
"""

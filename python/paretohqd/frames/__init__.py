"""Polars in, Polars out: sources of rows, files, columns of scores, first layers."""

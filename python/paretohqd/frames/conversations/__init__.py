"""Rows of a frame as conversations and their answers.

- `messages`: one value of a column as a list of messages.
- `rows`: a row as a conversation and its answer, given its columns.
- `layouts`: which columns of a frame hold what.
- `texts`: prompts and answers as plain texts.
- `known_sets`, `trees`: data sets that are known by their columns.
- `refused`: rows that cannot be read.
"""

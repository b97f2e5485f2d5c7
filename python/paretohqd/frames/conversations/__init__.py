"""Rows of a frame as conversations and their answers.

In order: `messages` (one value as a list of messages), `rows` (a row as a conversation, given its
columns), `layouts` (which columns hold what), `texts` (prompts and answers as plain texts).
"""

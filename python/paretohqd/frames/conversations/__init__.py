"""A row as a conversation and its answer: messages, layouts of columns, plain texts."""

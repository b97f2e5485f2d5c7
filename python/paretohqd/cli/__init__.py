"""The command line: what arguments mean, and a file per group of commands."""

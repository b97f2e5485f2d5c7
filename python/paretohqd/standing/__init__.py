"""Where methods stand: every run and over seeds, with what can be told of both, as tables and as text."""

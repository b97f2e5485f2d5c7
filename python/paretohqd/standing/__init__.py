"""Where methods stand: every run and over seeds, by bootstrap, as tables and as text."""

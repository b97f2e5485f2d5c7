"""Where methods stand: every run and over seeds, with what both can tell; as tables and text."""

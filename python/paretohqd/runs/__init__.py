"""One run: its configuration, its resumable folder, its stages, what it measures and says."""

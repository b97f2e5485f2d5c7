"""Methods of multi-objective alignment side by side."""

"""A finished run in use: the model for any preference, its predicted rewards, and what it says."""

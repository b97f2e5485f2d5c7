"""Base models, chat templates, adapters, sampling and likelihood."""

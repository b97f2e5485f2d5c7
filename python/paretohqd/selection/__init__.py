"""Which rows train a preference's model: preferences, the pool, the rows nearest to each ray."""

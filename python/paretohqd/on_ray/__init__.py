"""What runs in Ray's workers: parts, merges, and actors that score and sample."""

"""Which rows can be chosen: the first layers of a frame, of batches, of parts added over days."""

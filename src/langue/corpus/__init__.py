"""Documents: read, normalise, deduplicate, split; the embedded sample."""

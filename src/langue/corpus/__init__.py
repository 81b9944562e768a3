"""Documents: read, normalize, deduplicate, split; the embedded sample."""

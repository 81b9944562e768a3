"""Several models, one table."""

"""Neural networks that read from left to right."""

"""Sampling and streaming text from any causal model."""

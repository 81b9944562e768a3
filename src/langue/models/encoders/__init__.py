"""Encoders, which read in both directions, and what is made of them."""

"""Layers shared by the neural families."""

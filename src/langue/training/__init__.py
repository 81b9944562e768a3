"""Recipes, the training loop, optimiser, schedule, checkpoints."""

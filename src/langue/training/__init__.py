"""Recipes, the training loop, optimizer, schedule, checkpoints."""

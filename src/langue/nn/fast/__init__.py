"""Fast forms of layers, and what decides where they are taken."""

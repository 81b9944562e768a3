"""Models of hidden states."""

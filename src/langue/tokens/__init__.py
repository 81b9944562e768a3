"""Tokenizers, the token store, batches."""

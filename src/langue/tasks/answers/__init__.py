"""Answering questions by a sentence of a text, from the words of both: no network, no download."""

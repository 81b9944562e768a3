"""Passages of texts, and which of them are about a query: by the words they share (BM25), or by vectors."""

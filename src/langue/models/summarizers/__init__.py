"""What of a document says most of it: sentences weighed by counts, by graphs, and by a trained ranker."""

"""Models that count: n-grams and their kin."""

"""The yardstick: bits per byte, perplexity, bootstrap, self-tests of scores."""

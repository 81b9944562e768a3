"""Others' formats and habits: ARPA files, and the Python surface that users of KenLM know."""

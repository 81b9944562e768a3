"""The families of models, one file or folder each."""

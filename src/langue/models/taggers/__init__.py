"""Taggers: the tags of a sentence, given all of its words."""

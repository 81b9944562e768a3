"""The task `pair`: how do two texts relate?"""

from langue.tasks.classify import classification

TASK = classification("pair", "how do two texts relate?", 2)

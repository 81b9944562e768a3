"""Numbers with bounds, for the settings of a `Config` and whatever else is read from a file."""

from typing import Annotated

import msgspec

NonNegativeInt = Annotated[int, msgspec.Meta(ge=0)]
PositiveInt = Annotated[int, msgspec.Meta(ge=1)]
Tokens = Annotated[int, msgspec.Meta(ge=0, le=1 << 24)]  # seen at once: more would not fit any memory
Layers = Annotated[int, msgspec.Meta(ge=0, le=1 << 10)]  # each is built before anything sees how many fit
NonNegativeFloat = Annotated[float, msgspec.Meta(ge=0.0)]
Finite = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0.0)]
Probability = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Fraction = Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)]  # a part of something, but not all of it

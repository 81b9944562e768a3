"""Whitening of vectors (Su et al. 2021): their mean becomes zero and their covariance the identity.

Vectors of an encoder lie in a narrow cone, so that all cosines are large and alike; whitened, they spread. It
learns nothing but the mean and the covariance of the vectors at hand.
"""

from typing import NamedTuple

import numpy as np

from langue.base.arrays import Floats
from langue.base.errors import LangueError

SMALLEST = 1e-6  # of the largest variance: what is below is rounding


class Whitening(NamedTuple):
    """What is taken from a vector, and what the rest is multiplied by."""

    mean: Floats  # (C,)
    matrix: Floats  # (C, directions)

    @classmethod
    def of(cls, vectors: Floats) -> "Whitening":
        """That of some vectors, `(texts, C)`; directions in which they do not vary are left out.

        Raises:
            LangueError: they do not vary at all.
        """
        mean = vectors.mean(0, dtype=np.float64)
        covariance = (
            np.cov(vectors.astype(np.float64), rowvar=False) if len(vectors) > 1 else np.zeros((1, 1))
        )
        variances, directions = np.linalg.eigh(np.atleast_2d(covariance))
        kept = variances > SMALLEST * max(float(variances[-1]), 0.0)
        if len(vectors) < 2 or not kept.any():
            raise LangueError("whitening needs vectors that differ; give more texts, or leave it out")
        return cls(mean, directions[:, kept] / np.sqrt(variances[kept]))

    def apply(self, vectors: Floats) -> Floats:
        """`(texts, C)` to `(texts, directions)`."""
        whitened: Floats = ((vectors - self.mean) @ self.matrix).astype(np.float32)
        return whitened

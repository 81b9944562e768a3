"""Classes of words with similar neighbors: where Baum–Welch may start from, as states that mean something.

Lloyd's algorithm on square roots of the shares of the commonest words among a word's left and right
neighbors. The other classes it may start from are those of `models/counts/exchange.py`.
"""

import numpy as np
import torch

from langue.base.arrays import Array

NEIGHBORS = 250  # commonest words that a word's neighbors are counted among
ROUNDS = 12  # of k-means


def fill_empty(classes: Array, counts: Array, K: int) -> Array:
    """The same with no class empty: each that is takes the rarest word of the largest one."""
    classes = classes.copy()
    for k in np.flatnonzero(np.bincount(classes, minlength=K) == 0):
        members = np.flatnonzero(classes == np.bincount(classes).argmax())
        classes[members[counts[members].argmin()]] = k
    return classes


def kmeans(tokens: Array, begins: Array, size: int, K: int, draw: np.random.Generator) -> Array:
    """Class of each word `(size,)` by its neighbors."""
    counts = np.bincount(tokens, minlength=size)
    common = np.argsort(-counts, kind="stable")[:NEIGHBORS]
    rank = np.full(size, len(common))
    rank[common] = np.arange(len(common))
    first, second = tokens[:-1][~begins[1:]], tokens[1:][~begins[1:]]
    width = len(common) + 1
    neighbors = np.zeros((size, 2 * width), np.float32)
    np.add.at(neighbors, (first, rank[second]), 1.0)
    np.add.at(neighbors, (second, width + rank[first]), 1.0)
    total = neighbors.sum(1, keepdims=True)
    points = torch.from_numpy(np.sqrt(neighbors / np.maximum(total, 1.0)))
    weights = torch.from_numpy(counts).float()
    seen = np.flatnonzero(counts)
    centers = points[torch.from_numpy(draw.permutation(seen)[np.arange(K) % len(seen)])].clone()
    classes = torch.zeros(size, dtype=torch.int64)
    for _ in range(ROUNDS):
        classes = (points @ centers.T - 0.5 * centers.square().sum(1)).argmax(1)
        mass = torch.zeros(K).index_add_(0, classes, weights)
        moved = torch.zeros_like(centers).index_add_(0, classes, points * weights[:, None])
        centers = torch.where(mass[:, None] > 0, moved / mass[:, None].clamp(min=1e-9), centers)
    labels: Array = classes.numpy()
    return labels

"""Exact inference on linear chains: one home for the HMM, the CRF and the CRF layer.

A chain of T positions has one of K states at each. A path y has the score

    start[y₁] + Σ unary[t, yₜ] + Σ transition[yₜ₋₁, yₜ] + end[y_T]

in natural logs; -inf forbids. An HMM is such a chain (unary = log emission), a CRF is one, and all
that either of them asks is a sum (`sumproduct`), a maximum (`maxproduct`) or the gradient of a sum
(`differentiable`) over paths. Sequences stand one after another in one array `(N, K)`, sequence s in
rows `offsets[s]` to `offsets[s + 1]`, with no padding. Letters: N positions of all sequences, S
sequences, T positions of one, K states.
"""

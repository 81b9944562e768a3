"""Rotary positions against complex numbers."""

import torch

from langue.nn.rope import rope_angles, rotate


def test_rotary_positions_are_complex_multiplication() -> None:
    torch.manual_seed(0)
    x, positions = torch.randn(2, 3, 7, 8), torch.randint(0, 1000, (2, 7))
    pairs = torch.complex(x[..., :4], x[..., 4:])
    angles = positions[:, None, :, None] * 10_000.0 ** -(torch.arange(4) / 4)
    expected = pairs * torch.exp(1j * angles)
    found = rotate(x, rope_angles(positions, 8))
    torch.testing.assert_close(found, torch.cat([expected.real, expected.imag], -1), rtol=1e-4, atol=1e-4)


def test_rotary_scores_depend_on_distance_alone() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    scores = [
        (
            rotate(q, rope_angles(torch.tensor([i]), 8)) * rotate(k, rope_angles(torch.tensor([i - 3]), 8))
        ).sum()
        for i in (3, 50, 200)
    ]
    torch.testing.assert_close(scores[1:], [scores[0]] * 2, rtol=1e-4, atol=1e-4)

"""What only a GPU can show: every network says there what it says on the processor.

`make gpu` runs these, and the tests of training and resuming, which take the GPU where there is one.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

import langue
from langue.models.folder import load

# LANGUE_TEST_DEVICE=cpu tries the tests themselves where there is no GPU.
DEVICE = os.environ.get("LANGUE_TEST_DEVICE", "cuda")
NEAR = 1e-4 if DEVICE == "cpu" else 2e-2  # nats; a GPU multiplies in TensorFloat-32 or bfloat16
pytestmark = pytest.mark.skipif(
    DEVICE == "cuda" and not torch.cuda.is_available(), reason="needs a GPU (make gpu)"
)
RUN = {"steps": 12, "batch_tokens": 512, "seed": 3}
SHAPE = {"layers": 2, "width": 32, "heads": 2, "context": 32}
CAUSAL = {
    "gpt2": SHAPE,
    "transformer": {**SHAPE, "context": 64},
    "rnn": {"layers": 1, "width": 32},
    "nplm": {"width": 32},
    "charcnn": {"size": "small"},
    "neural-hmm": {"states": 64, "clusters": 8},
}
MASKED = {name: {**SHAPE, "steps": 12} for name in ("bert", "albert", "electra")}


def trained(family: str, store: Path, folder: Path, **settings: object) -> Path:
    langue.train(family, store, folder, **{**RUN, **settings})
    return folder


@pytest.mark.parametrize("family", CAUSAL)
def test_a_causal_network_says_on_a_gpu_what_it_says_on_a_processor(
    family: str, small_store: Path, tmp_path: Path
) -> None:
    folder = trained(family, small_store, tmp_path / "model", **CAUSAL[family])
    here, there = (load(folder, device=device).model for device in ("cpu", DEVICE))
    texts = [np.arange(1, n, dtype=np.uint32) * 7 % here.vocabulary.size for n in (2, 30, 100)]
    for one, other in zip(here.log_probs(texts), there.log_probs(texts), strict=True):
        np.testing.assert_allclose(one, other, atol=NEAR)
    one, other = (model.decoder(texts) for model in (here, there))
    for id in (1, 2, 3):
        ids = np.full(len(texts), id, np.uint32)
        one.append(ids)
        other.append(ids)
    np.testing.assert_allclose(one.log_probs(), other.log_probs(), atol=NEAR)
    assert langue.evaluate(folder, small_store, check=True).passed


@pytest.mark.parametrize("family", MASKED)
def test_a_masked_network_says_on_a_gpu_what_it_says_on_a_processor(
    family: str, small_store: Path, tmp_path: Path
) -> None:
    folder = trained(family, small_store, tmp_path / "model", **MASKED[family])
    here, there = (load(folder, device=device).model for device in ("cpu", DEVICE))
    ids, masks = [np.arange(1, 20, dtype=np.uint32)], [np.array([3, 5])]
    for one, other in zip(here.masked_log_probs(ids, masks), there.masked_log_probs(ids, masks), strict=True):
        np.testing.assert_allclose(one, other, atol=NEAR)

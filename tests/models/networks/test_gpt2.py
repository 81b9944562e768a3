"""GPT-2 against Hugging Face's, and each option by the invariances every model must have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from langue.base.config import decode
from langue.base.errors import LangueError
from langue.evaluation.checks import check
from langue.interop.huggingface.gpt2 import from_hf, to_hf
from langue.models.networks.config import GPT2Config, qwen3
from langue.models.networks.gpt2 import GPT2, build, load
from langue.protocols import Vocabulary
from langue.tokens.batches import Batches
from langue.tokens.store import TokenStore

V = Vocabulary(50, 0)
SHAPE = {"layers": 2, "width": 32, "heads": 4, "context": 16}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"position": "rotary"},
    {"norm": "rms"},
    {"activation": "relu2"},
    {"activation": "swiglu"},
    {"qk_norm": True},
    {"key_value_heads": 2},
    {"tied": False},
    {"bias": False},
    {"norm_eps": 0.1, "qk_norm": True},
    {"position": "rotary", "rope_theta": 5.0},
    {"d_ff": 24, "activation": "swiglu"},
    {"position": "rotary", "norm": "rms", "activation": "swiglu", "qk_norm": True, "key_value_heads": 1},
]
every_option = pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options) or "plain")


def model_of(**options: Any) -> GPT2:
    """A small model whose weights are large enough that every part of it matters."""
    model = build(decode(GPT2Config, SHAPE | options, "model"), V, seed=1).eval()
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model


def texts(*lengths: int) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [np.append(draw.integers(1, 50, length), 0).astype(np.uint16) for length in lengths]


@pytest.fixture(scope="module")
def peer() -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(3)
    config = transformers.GPT2Config(vocab_size=50, n_positions=16, n_embd=32, n_layer=2, n_head=4)
    model = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model


def test_logits_are_hugging_faces_with_its_weights(peer: Any) -> None:
    model = from_hf(decode(GPT2Config, SHAPE, "model"), V, peer.state_dict()).eval()
    ids = torch.randint(50, (3, 16))
    with torch.no_grad():
        ours = model(ids, torch.arange(16), "causal") @ model.head.T
        torch.testing.assert_close(ours, peer(ids).logits, rtol=0, atol=1e-4)


def test_training_loss_and_gradients_are_hugging_faces(
    peer: Any, make_store: Callable[..., TokenStore]
) -> None:
    model = from_hf(decode(GPT2Config, SHAPE, "model"), V, peer.state_dict())
    store = make_store([list(range(1, 50)) * 3], vocabulary=50)
    batch = Batches(store.split("train"), rows=4, context=16, eos=0, seed=0).batch(0)
    model.loss(batch).backward()
    logits = peer(torch.from_numpy(batch.inputs)).logits
    targets = torch.from_numpy(batch.targets).flatten()
    peer.zero_grad()
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets, reduction="sum").backward()
    ours, theirs = model.h[1].mlp.c_fc.weight.grad, peer.transformer.h[1].mlp.c_fc.weight.grad
    assert ours is not None
    torch.testing.assert_close(ours.T, theirs, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(model.wte.weight.grad, peer.transformer.wte.weight.grad, rtol=1e-3, atol=1e-4)


def test_weights_go_to_hugging_face_and_back(peer: Any) -> None:
    model = model_of()
    peer.load_state_dict(to_hf(model))
    ids = torch.randint(50, (2, 16))
    with torch.no_grad():
        ours = model(ids, torch.arange(16), "causal") @ model.head.T
        torch.testing.assert_close(peer(ids).logits, ours, rtol=0, atol=1e-4)
    back = from_hf(model.config, V, to_hf(model))
    for name, tensor in back.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


def test_what_gpt2_had_not_is_refused() -> None:
    with pytest.raises(LangueError, match="GPT-2 has no norm = rms"):
        to_hf(model_of(norm="rms"))
    with pytest.raises(LangueError, match="not a multiple of key_value_heads 3"):
        decode(GPT2Config, SHAPE | {"key_value_heads": 3}, "model")


@every_option
def test_self_tests_pass(options: dict[str, Any]) -> None:
    for found in check(model_of(**options), texts(40, 1, 17, 16, 0, 70)):
        assert found.passed, found
        assert found.deviation < 1e-4, found


@every_option
def test_packed_documents_do_not_see_each_other(
    options: dict[str, Any], make_store: Callable[..., TokenStore]
) -> None:
    """The loss of rows full of documents is the sum of the losses of the documents alone."""
    model = model_of(**options)
    documents = [ids[:-1] for ids in texts(3, 5, 1, 4, 2, 6, 5)]
    store = make_store(documents, vocabulary=50)
    assert len(store.split("train").tokens) == 33
    row = Batches(store.split("train"), rows=1, context=16, eos=0, seed=0)._rows(np.array([0]))
    alone = model.log_probs([*store.split("train").documents()])
    with torch.no_grad():
        packed = float(model.loss(row))
    assert packed == pytest.approx(-float(np.concatenate(alone)[:16].sum()), rel=1e-5)


def test_a_padded_batch_scores_as_each_text_alone() -> None:
    model = model_of()
    some = texts(3, 9, 60, 16, 15)
    for one, other in zip(model.log_probs(some), (model.log_probs([ids])[0] for ids in some), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_window_moves_by_whole_strides() -> None:
    """A token past the first window is predicted from the window that `window_start` says."""
    model = model_of()
    ids = texts(50)[0]
    scores = model.log_probs([ids])[0]
    for place in (15, 16, 23, 24, 50):
        start = model.window_start(place)
        assert place - 16 < start <= place and start % 8 == 0
        window = np.r_[0, ids][start : place + 1].astype(np.int64)
        with torch.no_grad():
            hidden = model(torch.from_numpy(window)[None], torch.arange(len(window)), "causal")
            expected = torch.log_softmax(hidden[0, -1] @ model.head.T, -1)[ids[place]]
        assert scores[place] == pytest.approx(float(expected), abs=1e-5)


@every_option
def test_save_and_load_are_exact(options: dict[str, Any], tmp_path: Path) -> None:
    model = model_of(**options)
    model.save(tmp_path)
    loaded = load(tmp_path, model.config, V)
    some = texts(20, 3)
    for one, other in zip(model.log_probs(some), loaded.log_probs(some), strict=True):
        assert np.array_equal(one, other)
    with pytest.raises(LangueError, match=r"weights.safetensors does not fit the model"):
        load(tmp_path, decode(GPT2Config, SHAPE | {"width": 16}, "model"), V)


def test_every_norm_has_the_epsilon_that_is_set_and_else_those_of_before() -> None:
    def of(**options: Any) -> set[float | None]:
        model = model_of(norm="rms", qk_norm=True, **options)
        return {part.eps for part in model.modules() if isinstance(part, torch.nn.RMSNorm)}

    assert of(norm_eps=1e-6) == {1e-6}
    assert of() == {1e-5, torch.finfo(torch.float32).eps}  # torch's default


def test_without_biases_there_are_none() -> None:
    for norm in ("layer", "rms"):
        names = [name for name, _ in model_of(bias=False, norm=norm).named_parameters()]
        assert not [name for name in names if name.endswith("bias")]


def test_a_gated_mlp_is_as_large_as_another_unless_its_width_is_set() -> None:
    assert model_of(activation="swiglu", width=48).h[0].mlp.c_fc.out_features == 2 * 128
    assert model_of(activation="swiglu", d_ff=40).h[0].mlp.c_fc.out_features == 2 * 40
    assert model_of().h[0].mlp.c_fc.out_features == 4 * 32
    assert qwen3(4, 192, 6, 128)["d_ff"] == 512
    assert qwen3(4, 256, 4, 128)["d_ff"] == 704


def test_the_released_shape_has_124_million_parameters() -> None:
    with torch.device("meta"):
        model = GPT2(GPT2Config(size="base"), Vocabulary(50257, 50256))
    assert model.size() == {"parameters": 124_439_808}

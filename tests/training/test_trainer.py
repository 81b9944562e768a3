"""What a run by gradient promises: the same twice, and the best model seen."""

import json
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.conftest import SMALL
from torch.utils.flop_counter import FlopCounterMode

from langue.base.errors import LangueError, MissingExtra
from langue.models.folder import ModelFolder
from langue.protocols import Vocabulary
from langue.tokens.batch import Batch
from langue.tokens.batches import Batches
from langue.tokens.store import TokenStore
from langue.training import train
from langue.training.recipe import read_recipe
from langue.training.trainer import Trainer
from langue.training.validation import Best
from langue.training.world import World


def weights(loaded: ModelFolder) -> dict[str, torch.Tensor]:
    model: Any = loaded.model
    return dict(model.state_dict())


def same(one: ModelFolder, other: ModelFolder) -> bool:
    return all(torch.equal(tensor, weights(other)[name]) for name, tensor in weights(one).items())


def test_same_seed_same_weights_to_the_bit(trained: Callable[..., ModelFolder]) -> None:
    settings = ("steps=12", "dropout=0.1")
    first = trained(*settings, name="first")
    assert same(first, trained(*settings, name="second"))
    assert not same(first, trained(*settings, "seed=1", name="third"))


def test_learns(trained: Callable[..., ModelFolder]) -> None:
    curve = trained("steps=60", "learning_rate=0.02").description.measured["validation"]
    assert curve[-1]["loss"] < 0.7 * curve[0]["loss"]


def test_the_model_kept_is_the_best_on_the_validation_split(
    trained: Callable[..., ModelFolder], store: TokenStore
) -> None:
    """A rate that grows far too high: the curve goes down and up, and its lowest point is what is saved."""
    settings = ("learning_rate=1.0", "evaluations=15", "warmup=1.0", "precision=float32")
    loaded = trained("steps=30", *settings)
    losses = [point["loss"] for point in loaded.description.measured["validation"]]
    assert min(losses) < losses[-1]
    held_out = Batches(store.split("valid"), rows=1, context=16, eos=0, seed=0).first(512)
    model: Any = loaded.model
    with torch.no_grad():
        loss = float(model.loss(held_out)) / held_out.targets_count
    assert loss == pytest.approx(min(losses), abs=1e-5)


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "lamb", "sgd"])
def test_the_same_batch_in_pieces_gives_the_same_weights(
    trained: Callable[..., ModelFolder], optimizer: str
) -> None:
    """1 x 32 rows, 4 x 8, and pieces of unequal length: the loss is divided by all tokens once."""
    settings = (
        "steps=5", "batch_tokens=512", "learning_rate=0.01", f"optimizer={optimizer}", "precision=float32"
    )  # fmt: skip
    whole = trained(*settings, name="whole")
    for micro in (128, 80):
        pieces = trained(*settings, f"micro_batch_tokens={micro}", name=f"pieces-{micro}")
        for name, tensor in weights(whole).items():
            # Muon makes its steps orthogonal in bfloat16, which magnifies what float32 rounds.
            close = 2e-4 if optimizer == "muon" else 2e-5
            torch.testing.assert_close(weights(pieces)[name], tensor, rtol=2e-3, atol=close)


def trainer_of(store: TokenStore, *settings: str) -> Trainer:
    recipe = read_recipe("gpt2", [*SMALL, *settings])
    assert recipe.family.build is not None
    model = recipe.family.build(recipe.model, Vocabulary(31, 0), 0)
    return train.trainer_of(recipe, model, store, World())


def best_of(store: TokenStore, *settings: str) -> Best:
    trainer = trainer_of(store, *settings)
    recipe = read_recipe("gpt2", [*SMALL, *settings])
    return Best(trainer, train.validation_of(recipe, trainer.model, store))


def test_half_as_much_passes_at_a_time_when_memory_runs_out(
    store: TokenStore, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ("batch_tokens=128", "learning_rate=0.01", "precision=float32")
    plain, short = (trainer_of(store, *settings) for _ in range(2))
    loss = short.loss

    def hungry(batch: Batch) -> torch.Tensor:
        if batch.rows > 2:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate")
        return loss(batch)

    short.loss = hungry
    for _ in range(3):
        assert short.step().loss == pytest.approx(plain.step().loss, abs=1e-5)
    assert short.state.micro_batch_rows == 2
    assert caplog.text.count("out of memory") == 2
    torch.testing.assert_close(short.module.state_dict(), plain.module.state_dict())
    short.loss = lambda batch: hungry(batch._replace(inputs=batch.inputs.repeat(3, 0)))
    with pytest.raises(LangueError, match="not enough memory for one row of 16 tokens"):
        short.step()


def test_one_of_several_processes_says_what_to_set_when_memory_runs_out(store: TokenStore) -> None:
    """It cannot halve alone: the others are in the middle of an exchange."""
    trainer = trainer_of(store, "batch_tokens=128")

    def hungry(batch: Batch) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    trainer.loss, trainer.world.size = hungry, 2
    with pytest.raises(
        LangueError, match=r"process 0 .* 8 rows at once; set training.micro_batch_tokens to 64"
    ):
        trainer.step()


def test_another_error_is_not_taken_for_memory(store: TokenStore) -> None:
    trainer = trainer_of(store)
    trainer.loss = lambda batch: torch.ones(2) @ torch.ones(3)
    with pytest.raises(RuntimeError, match="size"):
        trainer.step()


def test_a_loss_that_is_no_number_stops_before_it_is_learnt(store: TokenStore) -> None:
    trainer = trainer_of(store)
    trainer.step()
    before = {name: tensor.clone() for name, tensor in trainer.module.state_dict().items()}
    loss = trainer.loss
    trainer.loss = lambda batch: loss(batch) * float("nan")
    with pytest.raises(LangueError, match=r"the loss is nan at step 1\. Try a lower learning_rate"):
        trainer.step()
    for name, tensor in trainer.module.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize("option", ["gradient_checkpointing=true", "compile=true"])
def test_another_way_to_compute_changes_no_result(
    trained: Callable[..., ModelFolder], option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The graph is captured and differentiated; making C++ of it takes a minute and is PyTorch's affair.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    plain, other = trained("steps=5", name="plain"), trained("steps=5", option, name="other")
    for name, tensor in weights(plain).items():
        torch.testing.assert_close(weights(other)[name], tensor, rtol=1e-3, atol=1e-5)


def test_where_nothing_compiles_it_says_so_and_goes_on(
    trained: Callable[..., ModelFolder], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class NoCompilerError(Exception):
        pass

    NoCompilerError.__module__ = "torch._dynamo.exc"

    def broken(*inputs: Any) -> Any:
        raise NoCompilerError

    monkeypatch.setattr(torch, "compile", lambda function: broken)
    plain = trained("steps=3", name="plain")
    assert same(plain, trained("steps=3", "compile=true", name="other"))
    assert caplog.text.count("cannot compile here") == 1


def test_a_step_is_as_long_as_schedule_and_clipping_say(store: TokenStore) -> None:
    """Of plain descent, whose steps are the rate times the clipped gradient; half-way through a warm-up."""
    settings = ("optimizer=sgd", "weight_decay=0", "learning_rate=8", "clip=1e-3", "warmup=1", "steps=2")
    trainer = trainer_of(store, *settings, "precision=float32")
    trainer.step()
    before = torch.cat([weight.detach().clone().flatten() for weight in trainer.module.parameters()])
    assert trainer.step().norm > 1e-3
    after = torch.cat([weight.detach().flatten() for weight in trainer.module.parameters()])
    assert float((after - before).norm()) == pytest.approx(4 * 1e-3, rel=1e-2)


@pytest.mark.parametrize(
    ("option", "runs"), [("gradient_checkpointing=false", 1), ("gradient_checkpointing=true", 2)]
)
def test_activations_are_made_again_where_it_is_asked_for(store: TokenStore, option: str, runs: int) -> None:
    trainer = trainer_of(store, option)
    seen = []
    trainer.model.h[0].ln_1.register_forward_hook(lambda *_: seen.append(1))
    trainer.step()
    assert len(seen) == runs


def test_dropout_is_drawn_anew_for_every_step_piece_and_process(store: TokenStore) -> None:
    trainer = trainer_of(store, "batch_tokens=64", "micro_batch_tokens=16")
    seeds = []
    loss = trainer.loss
    trainer.loss = lambda batch: (seeds.append(torch.initial_seed()), loss(batch))[1]
    for trainer.world.rank in (0, 1):
        for trainer.state.step in (0, 1):
            trainer.step()
    assert len(seeds) == len(set(seeds)) == 2 * 2 * 4


def test_the_average_is_what_is_measured_and_kept(store: TokenStore) -> None:
    best = best_of(store, "ema_decay=0.9", "learning_rate=0.05", "precision=float32")
    trainer, measure = best.trainer, best.validation.measure
    for _ in range(12):
        trainer.step()
    live = measure(1)
    assert trainer.average is not None
    averaged = {name: tensor.clone() for name, tensor in trainer.average.tensors.items()}
    loss = best.measure()
    assert measure(trainer.state.micro_batch_rows) == pytest.approx(live, rel=1e-6)
    assert abs(live - loss) > 1e-3
    best.restore()
    assert measure(trainer.state.micro_batch_rows) == loss
    torch.testing.assert_close(dict(trainer.module.state_dict()), averaged, rtol=0, atol=0)


def test_evaluation_leaves_no_trace(trained: Callable[..., ModelFolder]) -> None:
    """However often it is measured, the weights at the end are the same."""
    settings = ("steps=12", "dropout=0.2", "ema_decay=0.5")
    few, many = (trained(*settings, f"evaluations={n}", name=str(n)).description for n in (1, 12))
    ends = [described.measured["validation"][-1] for described in (few, many)]
    assert ends[0]["step"] == ends[1]["step"] == 12
    assert ends[0]["loss"] == ends[1]["loss"]


def test_validation_holds_no_more_in_memory_than_training(store: TokenStore) -> None:
    best = best_of(store, "batch_tokens=32")
    model: Any = best.trainer.model
    sizes = []
    loss = model.loss
    model.loss = lambda batch: (sizes.append(batch.targets_count), loss(batch))[1]
    measured = best.measure()
    batch = Batches(store.split("valid"), rows=1, context=16, eos=0, seed=0).first(512)
    assert sum(sizes) == batch.targets_count > 32 and max(sizes) <= 32
    with torch.no_grad():
        assert measured == pytest.approx(float(loss(batch)) / batch.targets_count, rel=1e-5)


def test_the_ledger_and_the_metrics(trained: Callable[..., ModelFolder], store: TokenStore) -> None:
    loaded = trained("steps=20", "log_every=5")
    measured = loaded.description.measured
    model: Any = loaded.model
    assert measured["tokens"] == 20 * 64 and measured["sessions"] == measured["devices"] == 1
    assert measured["flops"] == model.flops_per_token() * 20 * 64
    assert measured["device_seconds"] == measured["seconds"] > 0
    assert 2**20 < measured["peak_memory_bytes"] < 2**40 and 0 < measured["share_of_peak"] < 1
    lines = [json.loads(line) for line in (loaded.path / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    assert [line["step"] for line in steps] == [5, 10, 15, 20]
    assert set(steps[0]["gradient_norms"]) == {"wte", "wpe", "h.0", "ln_f"}
    total = sum(norm**2 for norm in steps[0]["gradient_norms"].values()) ** 0.5
    assert total == pytest.approx(steps[0]["gradient_norm"], rel=1e-4)
    validation = [line for line in lines if "validation" in line]
    train = store.manifest["splits"]["train"]
    bits = validation[0]["validation"] / math.log(2) * train["tokens"] / train["bytes"]
    assert validation[0]["validation_bits_per_byte"] == pytest.approx(bits)


def test_flops_are_those_pytorch_counts(store: TokenStore) -> None:
    """Matrix products of a step, counted as they run; attention counts only the half it sees."""
    trainer = trainer_of(store)
    counter = FlopCounterMode(display=False)
    batch = trainer.source.batch(0)
    with counter:
        trainer.loss(batch).backward()
    weights = 6 * batch.targets_count * (trainer.model.flops_per_token() / 6 - 16 * 16)
    products = [n for name, n in counter.get_flop_counts()["Global"].items() if "attention" not in str(name)]
    assert sum(products) == pytest.approx(weights, rel=0.05)


def test_tensorboard_is_an_extra(
    trained: Callable[..., ModelFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtra, match=r"pip install 'langue\[tensorboard\]'"):
        trained("steps=2", "tensorboard=true")


def test_tensorboard_shows_what_the_metrics_hold(trained: Callable[..., ModelFolder], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = trained("steps=4", "log_every=2", "tensorboard=true")
    assert not (tmp_path / "model.run").exists()
    board = EventAccumulator(str(model.path / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("loss")] == [2, 4]
    assert {"validation", "learning_rate", "gradient_norms/h.0"} <= set(board.Tags()["scalars"])

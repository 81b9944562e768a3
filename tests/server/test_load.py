"""1 to 64 clients at a time: no error, the text of a seed, flat memory. Figures: `make serve-proof`."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import resident


def texts(server: Any, model: str, seeds: range, clients: int) -> list[str]:
    """The completion of each seed, asked for by so many clients, each of which waits for its answer."""

    def ask(seed: int) -> str:
        body = {"model": model, "prompt": "The king", "max_tokens": 8, "seed": seed}
        answer = server.ask("/v1/completions", body)
        assert answer.status == 200, answer.error
        return str(answer.json["choices"][0]["text"])

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(ask, seeds))


@pytest.mark.parametrize("model", ["trigram", "gpt2"])
def test_a_text_does_not_hang_on_how_many_ask(server: Any, model: str) -> None:
    alone = texts(server, model, range(64), 1)
    assert len(set(alone)) > 32
    for clients in (4, 16, 64):
        assert texts(server, model, range(64), clients) == alone


def test_memory_stays_under_load(serve: Callable[..., Any], served_models: dict[str, Path]) -> None:
    with serve({"trigram": served_models["trigram"]}) as address:
        sizes = []
        for _ in range(4):
            texts(address, "trigram", range(200), 16)
            sizes.append(resident())
    assert sizes[-1] - sizes[1] < 16 << 20

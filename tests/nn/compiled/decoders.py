"""What holds of every compiled decoder."""

import numpy as np

from langue.nn.compiled.choice import choose
from langue.protocols.drawing import DrawingDecoder, Draws


def check_rows_alone_and_together(model, prompts, steps):
    """A row has the same bits alone, in a batch, and read a token at a time or several at once."""
    together = model.decoder(prompts)
    alone = [model.decoder([prompt]) for prompt in prompts]
    draw = np.random.default_rng(4)
    for step in range(steps):
        ids = [draw.integers(1, model.vocabulary.size, size=(row + step) % 4) for row in range(len(prompts))]
        every = together.extend(ids, every=True)
        for row, decoder in enumerate(alone):
            one_by_one = [
                decoder.extend([ids[row][at : at + 1]], every=True)[0] for at in range(len(ids[row]))
            ]
            np.testing.assert_array_equal(every[row], np.concatenate([every[row][:0], *one_by_one]))
            np.testing.assert_array_equal(together.log_probs()[row], decoder.log_probs()[0])


def check_drawn_as_chosen(model, prompts, calls=4, seed=5):
    """Rows drawn in one call are those whose tokens are chosen from their distributions, one by one, to the
    bit; whichever of them end on the way, and however many each may have."""
    draw, V = np.random.default_rng(seed), model.vocabulary.size
    rows, leads = len(prompts), np.zeros((1, V), np.uint8)
    decoder, others = model.decoder(prompts), [model.decoder([prompt]) for prompt in prompts]
    assert isinstance(decoder, DrawingDecoder) and decoder.work > 0
    settings = np.array([[row % 3 / 2, row % 4 * 5, 1 - row % 2 / 10, 0] for row in range(rows)], np.float64)
    ends = np.where(np.arange(rows) % 2, draw.integers(V, size=rows), -1)
    lasting = 0
    for _ in range(calls):
        most = min(decoder.most(), 7)
        numbers, counts = draw.random((rows, most)), draw.integers(0, most + 1, size=rows)
        counts[0] = most
        states = np.zeros(rows, np.int64)
        ids, log_probs = decoder.draw(Draws(numbers, counts, settings, leads, states, ends))
        on = []
        for row, other in enumerate(others):
            expected = []
            while len(expected) < counts[row] and ends[row] not in expected[-1:]:
                before = other.log_probs()[0]
                token = choose(before, leads[0], settings[row], numbers[row, len(expected)])
                assert log_probs[row][len(expected)] == before[token]
                expected.append(int(token))
                other.extend([np.array([token])])
            assert ids[row].tolist() == expected
            if ends[row] not in expected[-1:]:
                on.append(row)
                lasting += len(expected)
        decoder.select(on)
        others, settings, ends = [others[row] for row in on], settings[on], ends[on]
        rows = len(on)
        assert np.array_equal(decoder.log_probs(), np.concatenate([other.log_probs() for other in others]))
    assert lasting > 2 * calls

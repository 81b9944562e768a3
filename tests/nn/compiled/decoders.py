"""What holds of every compiled decoder."""

import numpy as np


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

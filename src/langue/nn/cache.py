"""Keys and values that attention has read, kept so that a text that grows is not read anew each time.

There is room from the start. Rows stand in slots, in some order: a new one takes that of one that ended.
Nothing is copied but where a row goes two ways, or where slots are to be the first ones.
Letters: B rows, G heads of keys and values, T tokens read, S positions, D head width.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from typing import Literal

import torch
from torch import Tensor, nn

KeysValues = tuple[Tensor, Tensor]  # `(B, G, S, D)` each


class Slots(ABC):
    """Where what rows have read is kept.

    Attributes:
        slots: of each row.
        first: whether these are always the first ones, so that all rows are one slice.
    """

    first = True

    def __init__(self) -> None:
        self.slots: list[int] = []

    @property
    def needed(self) -> int:
        """How many slots there must be room for."""
        return max(self.slots, default=-1) + 1

    def add(self, rows: int) -> None:
        self.slots += list(islice(_free(self.slots), rows))

    def select(self, rows: Sequence[int]) -> None:
        """Go on with these rows, in this order."""
        wanted = [self.slots[row] for row in rows]
        free = _free(wanted)
        self.slots.clear()
        leave, enter = [], []
        for slot in wanted:
            stays = (slot < len(wanted) or not self.first) and slot not in self.slots
            self.slots.append(slot if stays else next(free))
            if not stays:
                leave.append(slot)
                enter.append(self.slots[-1])
        if leave:
            self.copy(leave, enter)

    @abstractmethod
    def copy(self, leave: list[int], enter: list[int]) -> None:
        """Put into some slots what others have."""


def _free(slots: Sequence[int]) -> Iterator[int]:
    """Those that are none of these, the first ones first."""
    taken = set(slots)
    return (slot for slot in count() if slot not in taken)


class Cache(Slots):
    """Keys and values of each layer, `(slots, G, S, D)`.

    Args:
        capacity: positions that a row has room for; where it grows beyond, the room doubles.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.kept: dict[nn.Module, KeysValues] = {}
        self.used = 0  # positions that were ever written

    @torch.inference_mode()
    def copy(self, leave: list[int], enter: list[int]) -> None:
        for layer, parts in self.kept.items():
            self.kept[layer] = keys, values = self._make_room(parts, 0)
            for part in (keys, values):
                part[enter, :, : self.used] = part[leave, :, : self.used]

    def room(self, layer: nn.Module, k: Tensor, v: Tensor, positions: int) -> KeysValues:
        """Where keys and values like these are kept, with room for so many positions."""
        self.used = max(self.used, positions)
        if layer not in self.kept:
            S = max(self.capacity, positions)
            # Zeros, for what no one may look at is weighed by 0, which makes a number of numbers alone.
            keys, values = (x.new_zeros(len(self.slots), x.shape[1], S, x.shape[3]) for x in (k, v))
            self.kept[layer] = keys, values
        self.kept[layer] = self._make_room(self.kept[layer], positions)
        return self.kept[layer]

    def _make_room(self, parts: KeysValues, positions: int) -> KeysValues:
        slots, S = parts[0].shape[0], parts[0].shape[2]
        if len(self.slots) <= slots and positions <= S:
            return parts
        slots = slots if len(self.slots) <= slots else max(len(self.slots), 2 * slots)
        positions = S if positions <= S else max(positions, 2 * S)
        keys, values = (part.new_zeros(slots, part.shape[1], positions, part.shape[3]) for part in parts)
        keys[: parts[0].shape[0], :, :S], values[: parts[1].shape[0], :, :S] = parts
        return keys, values


class Past:
    """What some rows have read, for one pass over T tokens more of each, which are kept as well.

    Args:
        slots: of the rows, rising.
        begins: positions of each that were read before: 0 in all, or in none.
        T: tokens; rows that read fewer have others behind, which no one looks at and the next overwrites.
        memory: positions of the longest memory, of a decoder that looks at one.
    """

    def __init__(
        self,
        cache: Cache,
        slots: Sequence[int],
        begins: Sequence[int],
        T: int,
        device: torch.device,
        memory: int = 0,
    ) -> None:
        self.cache = cache
        self.memory = memory
        self.fresh = not any(begins)
        self.end = max(begins) + T
        whole = slots[-1] - slots[0] + 1 == len(slots)
        self.rows = slice(slots[0], slots[-1] + 1) if whole else torch.tensor(slots, device=device)
        self.slots = torch.tensor(slots, device=device)[:, None]  # (B, 1)
        self.together = min(begins) == max(begins)  # in one step all
        step = torch.arange(T, device=device)
        begin = begins[0] if self.together else torch.tensor(begins, device=device)[:, None]
        self.positions = step + begin  # (T,) or (B, T)
        self.mask: Tensor | Literal["causal"] | None = None
        if T > 1 and self.fresh:
            self.mask = "causal"
        elif T > 1 or not self.together:
            seen = torch.arange(self.end, device=device) <= self.positions[..., None]  # ([B,] T, S)
            self.mask = seen.view(-1, 1, T, self.end)

    def extend(self, layer: nn.Module, k: Tensor, v: Tensor) -> KeysValues:
        """Keep keys and values `(B, G, T, D)`: all there are now, `(B, G, S, D)`."""
        keys, values = self.cache.room(layer, k, v, self.end)
        for kept, new in ((keys, k), (values, v)):
            if self.together:
                kept[self.rows, :, self.end - new.shape[2] : self.end] = new
            else:
                kept[self.slots, :, self.positions] = new.transpose(1, 2)
        return (k, v) if self.fresh else (keys[self.rows, :, : self.end], values[self.rows, :, : self.end])

    def once(self, layer: nn.Module, make: Callable[[], KeysValues]) -> KeysValues:
        """Keys and values of the memory, made when the first tokens of a row are read, and kept."""
        if self.fresh:
            k, v = make()
            keys, values = self.cache.room(layer, k, v, self.memory)
            keys[self.rows, :, : self.memory], values[self.rows, :, : self.memory] = k, v
            return k, v
        keys, values = self.cache.kept[layer]
        return keys[self.rows, :, : self.memory], values[self.rows, :, : self.memory]

"""The hash table of a vocabulary: words by a 64-bit hash of their bytes, as KenLM knows them.

Among a million words, two are taken for one with a probability of 2e-7.
"""

import numpy as np

from langue.base.compiled import eight, njit

NOWHERE = np.zeros(256, bool)  # blanks where a word ends where it is said to
PRIME = np.uint64(0x9E3779B97F4A7C15)
ONES, TOPS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)  # a bit of each of eight bytes
ABOVE = np.uint64(33) * ONES  # every blank is below, and so are some letters that hardly occur
ONE, BYTE, ALL = np.uint64(1), np.uint64(8), np.uint64(0xFF)


@njit
def hashes_of(data, begins, sizes):
    hashes = np.empty(len(begins), np.uint64)
    for word in range(len(begins)):
        hashes[word], _ = hash_word(data, NOWHERE, begins[word], begins[word] + sizes[word])
    return hashes


@njit
def look_up(data, begin, end, slots):
    """The id of the word data[begin:end], or -1."""
    value, _ = hash_word(data, NOWHERE, begin, end)
    slot, known = slot_of(slots, value)
    return np.int64(id_in(slots, slot)) if known else np.int64(-1)


@njit(inline="always")
def slot_of(slots, value):
    """The slot of a word by its hash, and whether the word is there; if not, the slot is empty.

    A slot holds the id of a word, below half of the slots there are, in as many bits as that takes, and
    above them the same bits of the hash; those that are left out say where the search begins. 0 is empty.
    """
    mask, ids = np.uint64(len(slots) - 1), np.uint64(len(slots) // 2 - 1)
    slot = value & mask
    while slots[slot] and (slots[slot] ^ value) > ids:
        slot = (slot + ONE) & mask
    return slot, slots[slot] != 0


@njit(inline="always")
def id_in(slots, slot):
    """The id of the word in a slot."""
    return slots[slot] & np.uint64(len(slots) // 2 - 1)


@njit(inline="always")
def put(slots, slot, value, id):
    """Write a word into an empty slot."""
    slots[slot] = (value & ~np.uint64(len(slots) // 2 - 1)) | np.uint64(id)


@njit(inline="always")
def hash_word(data, blank, position, stop):
    """The hash of the word that begins at a position, and where it ends, at a blank or at `stop`: eight bytes
    at a time."""
    begin, value, inside = position, PRIME, True
    while inside:
        left = stop - position
        bytes = eight(data, position) if left >= 8 else _last(data, position, stop)
        size = min(left, 8)
        # The top bit of the first byte below ABOVE, and of some after it.
        low = (bytes - ABOVE) & ~bytes & TOPS
        if low:
            # As many bytes as there are before the first.
            size = min(np.int64((((low - ONE) & ~low & ONES) * ONES) >> np.uint64(56)) - 1, size)
            while size < min(left, 8) and not blank[(bytes >> (BYTE * np.uint64(size))) & ALL]:
                size += 1
        inside = size == 8
        if not inside:
            bytes &= (ONE << (BYTE * np.uint64(size))) - ONE
        value = (value ^ bytes) * PRIME
        value ^= value >> np.uint64(32)
        position += size
    return _mixed(value ^ np.uint64(position - begin)), position


@njit
def _last(data, position, stop):
    """The bytes from a position to `stop`, fewer than eight, as `eight` would read them."""
    bytes = np.uint64(0)
    for index in range(stop - position):
        bytes |= np.uint64(data[position + index]) << (BYTE * np.uint64(index))
    return bytes


@njit
def _mixed(value):
    """Spread over all bits, for the lower ones name the slot; never 0, which is an empty slot."""
    value = (value ^ (value >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    return (value ^ (value >> np.uint64(29))) | np.uint64(1) << np.uint64(63)


@njit
def slots_of(hashes, room):
    """The slots of all words, `room` times as many or more, and at least two for a word."""
    capacity = 1 << 14
    while capacity < room * len(hashes):
        capacity *= 2
    slots = np.zeros(capacity, np.uint64)
    for id in range(len(hashes)):
        slot, _ = slot_of(slots, hashes[id])
        put(slots, slot, hashes[id], id)
    return slots

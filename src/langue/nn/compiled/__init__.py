"""Networks read token by token in one compiled function: no Python and no dispatch between layers.

Every product is `panels.multiply` of a matrix laid out in panels; `numbers` has the functions of one number. A
figure never depends on what stands beside it: of the same bits alone, in a batch and in a prompt read at once.
"""

"""Networks read token by token in one compiled function: no Python and no dispatch between layers.

Every product is `panels.multiply` of a matrix laid out in panels; `rows` has what is done with a vector
between them, `numbers` the functions of one number; `shares` cuts the work of a Transformer for the threads
of a `crew`. A figure does not depend on what stands beside it: it has the same bits alone, in a batch, in a
prompt that is read at once, and on any number of threads.
"""

"""The Python API: the model a user holds, and the verbs as functions; `langue` itself lists their names."""

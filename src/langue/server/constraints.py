"""What a text has to be, as each interface asks for it: our own names, OpenAI's `response_format`, vLLM's."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from langue.server.errors import Refused
from langue.server.schema import JSONFormat, SamplingRequest, SchemaFormat, StructuredOutputs


class Constraint(NamedTuple):
    """As `Sampling` has it."""

    regex: str = ""
    json_schema: str = ""


def constraint_of(body: SamplingRequest) -> Constraint:
    """The one that a request asks for.

    Raises:
        Refused: it asks for several.
    """
    asked: dict[str, Constraint] = {}
    if body.regex:
        asked["regex"] = Constraint(regex=body.regex)
    if body.json_schema is not None:
        asked["json_schema"] = _schema(body.json_schema)
    if isinstance(body.response_format, JSONFormat):
        asked["response_format"] = _schema({"type": "object"})
    elif isinstance(body.response_format, SchemaFormat):
        asked["response_format"] = _schema(body.response_format.json_schema.schema)
    if body.structured_outputs is not None:
        asked |= _structured(body.structured_outputs)
    if len(asked) > 1:
        raise Refused(400, f"a text has one form: give one of {' and '.join(asked)}", param=[*asked][-1])
    return next(iter(asked.values()), Constraint())


def _structured(outputs: StructuredOutputs) -> dict[str, Constraint]:
    asked: dict[str, Constraint] = {}
    if outputs.json is not None:
        asked["structured_outputs.json"] = _schema(outputs.json)
    if outputs.regex:
        asked["structured_outputs.regex"] = Constraint(regex=outputs.regex)
    if outputs.choice is not None:
        any_of = "|".join(re.escape(text) for text in outputs.choice)
        asked["structured_outputs.choice"] = Constraint(regex=any_of)
    return asked


def _schema(schema: Mapping[str, Any] | str) -> Constraint:
    if isinstance(schema, str):
        try:
            schema = msgspec.json.decode(schema, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError) as error:  # brackets too deep
            raise Refused(
                400, f"structured_outputs.json is no schema: {error}", param="structured_outputs"
            ) from None
    return Constraint(json_schema=msgspec.json.encode(schema).decode())

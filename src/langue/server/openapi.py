"""The OpenAPI document, made from the types that read requests and write answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

import langue
from langue.server.routes import Route
from langue.server.schema import ErrorResponse

REF = "#/components/schemas/{name}"
EVENT = {"type": "object", "properties": {"data": {"type": "string"}}, "required": ["data"]}  # of a stream
ANY = {401: "no key, or a wrong one", 403: "from another site, or by another name", 503: "not now"}
OF_BODIES = {
    400: "not what it has to be, or not what this model can do",
    404: "no such model",
    408: "the body came too slowly",
    413: "the body is too large",
    429: "too many wait; Retry-After says when to ask again",
    500: "a bug of the server's",
    504: "it took too long",
}
OF_MODELS = {code: OF_BODIES[code] for code in (400, 404, 500, 504)}


def document_of(routes: Sequence[Route], base: str) -> dict[str, Any]:
    """OpenAPI 3.1 of some routes.

    Args:
        base: what stands before every path.
    """
    types = [one for route in routes for one in (route.body, route.answer) if one not in (None, str)]
    schemas, components = msgspec.json.schema_components([*types, ErrorResponse], ref_template=REF)
    by_type = dict(zip([*types, ErrorResponse], schemas, strict=True))
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "langue", "version": langue.__version__},
        "servers": [{"url": base or "/"}],
        "security": [{}, {"key": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, schemas: dict[Any, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": schemas.get(route.answer)}}
    if route.answer is str:
        content = {"text/plain": {"schema": {"type": "string"}}}
    if route.stream:
        content["text/event-stream"] = {"schema": EVENT}
    errors = ANY | (OF_BODIES if route.body is not None else OF_MODELS if route.of_model else {})
    error = {"application/json": {"schema": schemas[ErrorResponse]}}
    responses = {"200": {"description": route.summary, "content": content}}
    for code, what in sorted(errors.items()):
        responses[str(code)] = {"description": what, "content": error}
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "responses": responses,
    }
    if route.body is not None:
        body = {"application/json": {"schema": schemas[route.body]}}
        operation["requestBody"] = {"required": True, "content": body}
    if route.of_model:
        within = "{model}" in route.path
        where = {"in": "path", "required": True} if within else {"in": "query", "required": False}
        operation["parameters"] = [{"name": "model", "schema": {"type": "string"}, **where}]
    return operation

"""What requests and answers are made of: strict types; what is unknown or of another type is refused."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from langue.server import limits


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every body."""

    model: str | None = None  # left out: the first that can


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every answer."""


class ErrorBody(msgspec.Struct, frozen=True):
    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorResponse(msgspec.Struct, frozen=True):
    error: ErrorBody


Id = Annotated[int, Meta(ge=0, le=2**32 - 1)]
# A text, texts, the ids of one, or those of several: more than the type says is asked by `prompts.read`.
Prompt = Annotated[
    str | list[str | Id | list[Id]],
    Meta(
        extra_json_schema={
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": limits.PROMPTS},
                {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
                {
                    "type": "array",
                    "items": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
                    "minItems": 1,
                    "maxItems": limits.PROMPTS,
                },
            ]
        }
    ),
]
Texts = str | Annotated[list[str], Meta(min_length=1, max_length=limits.PROMPTS)]
Stop = Annotated[str, Meta(min_length=1, max_length=limits.STOP_LENGTH)]
Stops = Stop | Annotated[list[Stop], Meta(max_length=limits.STOPS)]
Seed = Annotated[int, Meta(ge=-limits.SEED, le=limits.SEED)]
Probability = Annotated[float, Meta(ge=0.0, le=1.0)]
Bias = dict[Annotated[str, Meta(pattern="^[0-9]+$")], Annotated[float, Meta(ge=-100, le=100)]]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
JSONObject = dict[str, Any]
Regex = Annotated[str, Meta(max_length=limits.REGEX)]
Choices = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=limits.STOP_LENGTH)]],
    Meta(min_length=1, max_length=limits.CHOICES),
]


class Usage(Answer, frozen=True, kw_only=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    include_usage: bool = False


class Format(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """Of what is written, as OpenAI's interface asks for it."""


class TextFormat(Format, frozen=True, kw_only=True, tag="text"):
    pass


class JSONFormat(Format, frozen=True, kw_only=True, tag="json_object"):
    pass


class NamedSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    schema: JSONObject
    description: str | None = None
    strict: bool | None = None  # it always is


class SchemaFormat(Format, frozen=True, kw_only=True, tag="json_schema"):
    json_schema: NamedSchema


class StructuredOutputs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same in vLLM's words; one of them."""

    json: JSONObject | str | None = None
    regex: Regex | None = None
    choice: Choices | None = None


class SamplingRequest(Request, frozen=True, kw_only=True):
    """What completions and chats ask of how a text is drawn."""

    temperature: Annotated[float, Meta(ge=0.0, le=100.0)] | None = 1.0
    top_p: Probability | None = 1.0
    top_k: Annotated[int, Meta(ge=-1, le=2**31)] | None = 0  # vLLM's -1 keeps all, too
    min_p: Probability | None = 0.0
    repetition_penalty: Annotated[float, Meta(ge=0.01, le=100.0)] | None = 1.0
    n: Annotated[int, Meta(ge=1, le=limits.TEXTS)] | None = 1
    stop: Stops | None = None
    seed: Seed | None = None
    logit_bias: Bias | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    presence_penalty: Penalty | None = 0.0
    frequency_penalty: Penalty | None = 0.0
    response_format: TextFormat | JSONFormat | SchemaFormat | None = None
    user: str | None = None  # no answer depends on it
    # vLLM's
    stop_token_ids: Annotated[list[Id], Meta(max_length=limits.STOPS)] | None = None
    ignore_eos: bool | None = False
    min_tokens: Annotated[int, Meta(ge=0, le=limits.PROMPT_TOKENS)] | None = 0
    bad_words: Annotated[list[Stop], Meta(max_length=limits.STOPS)] | None = None
    allowed_token_ids: Annotated[list[Id], Meta(min_length=1, max_length=limits.PROMPT_TOKENS)] | None = None
    structured_outputs: StructuredOutputs | None = None
    add_special_tokens: bool = True  # of a model of pairs: whether the source ends with the prompt
    # Our own
    regex: Regex | None = None
    json_schema: JSONObject | None = None


class CompletionRequest(SamplingRequest, frozen=True, kw_only=True):
    prompt: Prompt
    max_tokens: Annotated[int, Meta(ge=0)] | None = 16
    echo: bool | None = False
    logprobs: Annotated[int, Meta(ge=0, le=limits.LOGPROBS)] | None = None
    best_of: Annotated[int, Meta(ge=1, le=limits.TEXTS)] | None = None
    suffix: None = None


class Logprobs(Answer, frozen=True, kw_only=True):
    """Of tokens as they are read or written; the first of a prompt has none in OpenAI's list."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]
    token_ids: list[int]
    top_ids: list[list[int] | None] | None
    first_token_logprob: float | None = None  # of the first token of a text, whose beginning is an event here


class CompletionChoice(Answer, frozen=True, kw_only=True):
    index: int
    text: str
    finish_reason: str | None
    logprobs: Logprobs | None = None


class Completion(Answer, frozen=True, kw_only=True):
    id: str
    object: str
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | None = None


class TextPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: Literal["text"]
    text: str


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    role: Annotated[str, Meta(pattern="^(system|developer|user|assistant)$")]
    content: str | Annotated[list[TextPart], Meta(min_length=1, max_length=limits.PROMPTS)]
    name: str | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class ChatRequest(SamplingRequest, frozen=True, kw_only=True):
    messages: Annotated[list[Message], Meta(min_length=1, max_length=limits.PROMPTS)]
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    logprobs: bool | None = False
    top_logprobs: Annotated[int, Meta(ge=0, le=limits.LOGPROBS)] | None = None


class TopLogprob(Answer, frozen=True, kw_only=True):
    token: str
    logprob: float
    bytes: list[int]


class ChatLogprob(Answer, frozen=True, kw_only=True):
    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


class ChatLogprobs(Answer, frozen=True, kw_only=True):
    content: list[ChatLogprob]


class ChatMessage(Answer, frozen=True, kw_only=True):
    role: str
    content: str


class ChatChoice(Answer, frozen=True, kw_only=True):
    index: int
    message: ChatMessage
    finish_reason: str | None
    logprobs: ChatLogprobs | None = None


class ChatCompletion(Answer, frozen=True, kw_only=True):
    id: str
    object: str
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class Delta(Answer, frozen=True, kw_only=True, omit_defaults=True):
    role: str | None = None
    content: str | None = None


class ChatChunkChoice(Answer, frozen=True, kw_only=True):
    index: int
    delta: Delta
    finish_reason: str | None
    logprobs: ChatLogprobs | None = None


class ChatChunk(Answer, frozen=True, kw_only=True):
    id: str
    object: str
    created: int
    model: str
    choices: list[ChatChunkChoice]
    usage: Usage | None = None

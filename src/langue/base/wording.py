"""How things are said: numbers with what they count; an error in the words of whoever called."""

import re

_FUNCTIONS = {
    "import": "import_model",
    "export": "export_model",
    **{
        name: name
        for name in (
            "answer", "compare", "demo", "doctor", "evaluate", "families", "filter", "finetune", "gradients",
            "info", "prepare", "recipes", "score", "similar", "summarize", "train",
        )
    },
}  # fmt: skip
_METHODS = {  # of a loaded model
    "inspect": "weights",
    "next": "next_tokens",
    "states": "states_of",
    **{name: name for name in ("classify", "copied", "embed", "explain", "fill", "find", "generate", "tag")},
}
# A verb with what it is given, or an option that stands alone. A value that is a word in small letters, which
# might as well be the next word of the sentence, is written `--invalid=skip`.
_SPOKEN = re.compile(
    rf"\blangue (?P<verb>{'|'.join([*_FUNCTIONS, *_METHODS])})\b"
    r"(?P<given>(?: (?:-o [^\s;,)]+|--[a-z-]+(?:[ =][a-z0-9]+\b| [A-Z]+\b)?|[A-Z]+\b"
    r"|[a-z0-9-]+(?= (?:[A-Z]|-))|[^\s;,)]+(?= -)))*)"
    r"|(?<!\S)(?P<opening>[('`]*)(?:--set (?P<quote>'?)(?P<setting>[\w.]+)=(?P<to>\[[^]]*]|[\w.]+)(?P=quote)"
    r"|--(?P<option>[a-z][a-z-]*)(?:=(?P<word>[a-z]+)| (?P<value>[A-Z]+|\d+)\b)?)"
)
_SWITCHES = ("overwrite", "resume", "check")


def counted(number: int, what: str) -> str:
    """A number with what it counts, in the plural where it is to be: `1 document`, `2,000 documents`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def in_python(message: str) -> str:
    """A message with options and verbs as whoever calls langue from Python writes them."""
    return _SPOKEN.sub(lambda match: _call(match) if match["verb"] else _argument(match), message)


def in_requests(message: str) -> str:
    """A message with options as fields of a request; verbs stay, which are for whoever runs the server."""
    return _SPOKEN.sub(lambda match: match[0] if match["verb"] else _argument(match), message)


def _argument(match: re.Match[str]) -> str:
    if match["setting"]:  # a keyword; its section goes before it only where several have it
        spelled = f"{match['setting'].rpartition('.')[2]}={match['to']}"
    else:
        value = '"' + match["word"] + '"' if match["word"] else match["value"]
        value = "True" if match["option"] in _SWITCHES else value
        spelled = match["option"].replace("-", "_") + (f"={value}" if value else "")
    return match["opening"] + spelled


def _call(match: re.Match[str]) -> str:
    """A verb with what is given to it as a call; with nothing, the name alone."""
    arguments = []
    rest = iter(match["given"].split())
    for word in rest:
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            arguments.append(f'{name.replace("-", "_")}="{value or next(rest, "…")}"')
        else:
            value = next(rest) if word == "-o" else word
            arguments.append(f'"{value}"')
    if match["verb"] in _METHODS:
        model = arguments.pop(0) if arguments else "…"
        called = f"langue.load({model}).{_METHODS[match['verb']]}"
    else:
        called = f"langue.{_FUNCTIONS[match['verb']]}"
    return f"{called}({', '.join(arguments)})" if match["given"] else called

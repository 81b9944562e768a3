"""How things are said: numbers with what they count; an error to whoever typed it, spelled as Python does."""

import re

# A verb with what it is given, or an option that stands alone. A value that is a word in small letters, which
# might as well be the next word of the sentence, is written `--invalid=skip`.
_SPOKEN = re.compile(
    r"\blangue (?P<verb>train|prepare|finetune|evaluate)\b"
    r"(?P<given>(?: (?:-o [^\s;,)]+|--[a-z-]+(?: [a-z]+\b)?|[A-Z]+\b|[a-z0-9-]+(?= (?:[A-Z]|-))))*)"
    r"|(?<!\S)(?P<opening>[('`]*)(?:--set (?P<quote>'?)(?P<setting>[\w.]+)=(?P<to>\[[^]]*]|[\w.]+)(?P=quote)"
    r"|--(?P<option>[a-z][a-z-]*)(?:=(?P<word>[a-z]+)| (?P<value>[A-Z]+|\d+)\b)?)"
)
_SWITCHES = ("overwrite", "resume", "check")


def counted(number: int, what: str) -> str:
    """A number with what it counts, in the plural where it is to be: `1 document`, `2,000 documents`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def in_python(message: str) -> str:
    """A message with options and verbs as whoever calls langue from Python writes them."""
    return _SPOKEN.sub(_spell, message)


def _spell(match: re.Match[str]) -> str:
    if match["verb"]:
        return f"langue.{match['verb']}{_spell_call(match['given'].split())}"
    if match["setting"]:  # a keyword; its section goes before it only where several have it
        spelled = f"{match['setting'].rpartition('.')[2]}={match['to']}"
    else:
        value = '"' + match["word"] + '"' if match["word"] else match["value"]
        value = "True" if match["option"] in _SWITCHES else value
        spelled = match["option"].replace("-", "_") + (f"={value}" if value else "")
    return match["opening"] + spelled


def _spell_call(words: list[str]) -> str:
    """The words after a verb as the arguments of a call; with none, nothing."""
    arguments = []
    rest = iter(words)
    for word in rest:
        if word.startswith("--"):
            name, value = word[2:].replace("-", "_"), next(rest, "…")
            arguments.append(f'{name}="{value}"')
        else:
            value = next(rest) if word == "-o" else word
            arguments.append(f'"{value}"')
    return f"({', '.join(arguments)})" if words else ""

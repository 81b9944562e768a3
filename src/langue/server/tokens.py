"""Tokens as the interfaces of others spell them."""

from langue.tokens.tokenizer import EOS, Tokenizer


def api_token(tokenizer: Tokenizer, id: int) -> str:
    """A token as OpenAI's completions have it: its text, or `bytes:\\xe4…` of half a character."""
    if id == tokenizer.eos:
        return EOS
    spelled = tokenizer.token_bytes(id)
    try:
        return spelled.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in spelled)

"""Converts an answer to plain text: without LaTeX, Markdown and currency signs, with ASCII numerals."""

import re
import unicodedata

__all__ = ["plain"]

_DEEPEST_MARKUP = 8

_CHARACTERS = {
    **dict.fromkeys("−‐‑‒–", "-"),
    **dict.fromkeys("⁄∕", "/"),
    **dict.fromkeys("·⋅∙", "×"),
    **dict.fromkeys("“”„", '"'),
    **dict.fromkeys("‘’ʼ", "'"),
    "∶": ":",
    "∗": "*",
    "…": "...",
    "٫": ".",
    "٬": ",",
    "٪": "%",
}
_SUPERSCRIPTS = re.compile("[⁺⁻]?[⁰¹²³⁴-⁹]+")
_BEFORE_VULGAR_FRACTION = re.compile(r"(?<=\d)(?=[¼-¾⅐-⅞↉])")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")

_NUMBER_IN_BRACES = r"\{\s*([+-]?[\d.,]+)\s*\}"
_LATEX = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?<=\d)\s*(?=\\[dtc]?frac)", " "),
        (rf"\\[dtc]?frac\s*{_NUMBER_IN_BRACES}\s*{_NUMBER_IN_BRACES}", r"\1/\2"),
        (r"\\[dtc]?frac\s*(\d)\s*(\d)", r"\1/\2"),
        (r"\\(?:boxed|fbox|text(?:bf|it|rm)?|math(?:bf|it|rm)|mbox|operatorname)\s*\{([^{}]*)\}", r"\1"),
        (r"\^\s*\{\s*(st|nd|rd|th)\s*\}|\^(st|nd|rd|th)\b", r"\1\2"),
        (r"\^\s*\{\s*([+-]?\d+)\s*\}", r"^\1"),
        (r"\^\s*\{?\s*\\circ\s*\}?|\\degree", "°"),
        (r"\{,\}", ","),
        (r"\\!|\\left(?![a-z])|\\right(?![a-z])|\\displaystyle|\\[()\[\]]|\\?\$", ""),
        (r"\\[,;: ]|\\quad", " "),
        (r"\\times|\\cdot", "×"),
        (r"\\l?dots|\\cdots", "..."),
        (r"\\([%&#_])", r"\1"),
    )
)
_BOLD = re.compile(r"(?<!\w)\*\*([^*]+)\*\*")
_POWER = re.compile(r"(?<=[\w)])\*\*(?=[-+\w(])")
# Tokens that an engine may leave at the end, and closing hashes of a heading.
_SPECIAL_TOKENS = re.compile(r"(?:\s*(?:</?(?:s|[a-z_]{3,})>|<\|[^\s<>|]*\|>|(?<=\s)#+))+$")
_WRAPPERS = frozenset("\"'*_")


def plain(text: str) -> str:
    """`text` with each number and word as typed on a keyboard.

    Decimal digits of all scripts become ASCII, superscripts become powers, `½` becomes a fraction. Markup, currency
    signs, zero-width characters, special tokens (`</s>`) and a final full stop are removed; an ellipsis stays.
    """
    if not text.isascii():
        text = _SUPERSCRIPTS.sub(lambda match: f"^{unicodedata.normalize('NFKC', match[0])}", text)
        text = _BEFORE_VULGAR_FRACTION.sub(" ", unicodedata.normalize("NFC", text))
        text = _BEYOND_ASCII.sub(lambda match: _ascii(match[0]), text)
    if "\\" in text or "{" in text or "$" in text:
        text = _without_latex(text)
    text = _POWER.sub("^", _BOLD.sub(r"\1", text)).replace("**", "").replace("`", "")
    text = _unwrapped(_SPECIAL_TOKENS.sub("", text.strip()))
    return _unwrapped(text[:-1]) if text.endswith(".") and not text.endswith("..") else text


def _ascii(character: str) -> str:
    if character in _CHARACTERS:
        return _CHARACTERS[character]
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    category = unicodedata.category(character)
    if category == "Zs":
        return " "
    if category in ("Cf", "Sc"):
        return ""
    if unicodedata.decomposition(character).startswith(("<wide>", "<narrow>", "<small>", "<fraction>")):
        return unicodedata.normalize("NFKC", character).replace("⁄", "/")
    return character


def _without_latex(text: str) -> str:
    for _ in range(_DEEPEST_MARKUP):
        before = text
        for pattern, replacement in _LATEX:
            text = pattern.sub(replacement, text)
        if text == before:
            break
    return text


def _unwrapped(text: str) -> str:
    text = text.strip()
    while len(text) > 1 and text[0] == text[-1] and text[0] in _WRAPPERS:
        text = text[1:-1].strip()
    return text.lstrip(":=*_ ")

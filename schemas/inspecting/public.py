"""Run records for the public: without secrets, and without the places of files and servers."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["public_run", "public_text", "without_homes"]

# Stands for what is left out.
LEFT_OUT = "…"
_SECRET_NAME = re.compile(
    r"(?:api|access|private)[-_]?key|secret|passw|credential|authorization|header|cookie|(?:^|[-_])(?:token|auth)$",
    re.IGNORECASE,
)
# Keys in the forms of well-known services, and credentials in HTTP headers.
_SECRET = re.compile(r"\b(?:hf_|sk-|gsk_|ghp_|xai-)[\w-]{16,}|(?<=Bearer )[^\s\"']+")
_ASSIGNMENT = re.compile(r"(-*[A-Za-z][\w.-]*)=(.*)", re.DOTALL)
# An address with its credentials and its query, which may have keys.
_ADDRESS = re.compile(r"(\w+://)(?:[^/\s@]*@)?([^\s?#\"']*)(?:\?[^\s\"']*)?")
_OWN = Path("~").expanduser() if "HOME" in os.environ else Path("/")
_HOME = re.compile(
    r"(?<![\w.])(?:/(?:home|Users)/[^/\s\"']+|/root"
    + (f"|{re.escape(str(_OWN))}" if len(_OWN.parts) > 2 else "")
    + ")(?=/)"
)


def public_run(run: Mapping[str, Any]) -> dict[str, Any]:
    """A run record in which secrets and the addresses of servers are left out, and files have only their names.

    The text of a prompt is unchanged.
    """
    public = {name: _public(value, name) for name, value in run.items() if name != "folder"}
    if run.get("command"):
        public["command"] = list(_public_words(run["command"]))
    return public


def public_text(text: str) -> str:
    """A word of a command, or another value: a path that leads out of the working directory becomes its last name."""
    if assigned := _ASSIGNMENT.fullmatch(text):
        name, value = assigned.groups()
        return f"{name}={LEFT_OUT if _SECRET_NAME.search(name) else public_text(value)}"
    if "\n" not in text and text.startswith(("/", "~/", "../")) and (name := Path(text).name):
        return name
    return without_homes(_ADDRESS.sub(r"\1\2", text))


def without_homes(text: str) -> str:
    """Text of any kind in which home directories are `~` and the keys of services are left out."""
    return _HOME.sub("~", _SECRET.sub(LEFT_OUT, text))


def _public_words(words: Sequence[str]) -> Iterator[str]:
    option = ""
    for word in words:
        name, equals, _ = word.partition("=")
        if option == "--base-url":
            yield "URL"
        elif _SECRET_NAME.search(option):
            yield LEFT_OUT
        elif name == "--base-url" and equals:
            yield "--base-url=URL"
        else:
            yield public_text(word)
        option = word if word.startswith("--") else ""


def _public(value: Any, name: str) -> Any:
    if value is not None and _SECRET_NAME.search(name):
        return LEFT_OUT
    if isinstance(value, dict):
        is_prompt = "sha256" in value
        return {key: inner if is_prompt and key == "text" else _public(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_public(inner, name) for inner in value]
    return public_text(value) if isinstance(value, str) else value

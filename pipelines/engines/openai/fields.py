"""Fields of the request body that a user adds, changes or removes, and fields that a server refuses."""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

import orjson

from synth.pipelines.engines.openai.answers import token_count
from synth.schemas.errors import UsageError

__all__ = ["advice", "refused_field", "request_fields"]

# Fields that determine a row: changing them would contradict the record of the output.
_FIXED = {
    "model": "--model sets it",
    "messages": "--prompt FILE sets it",
    "prompt": "--prompt FILE sets it",
    "stop": "the step's prompt needs its own",
    "response_format": "the step's JSON schema sets it; --no-schema leaves it out where the step has it",
    "continue_final_message": "a prompt that ends in an assistant message needs it",
    "add_generation_prompt": "a prompt that ends in an assistant message needs it",
    "stream": "answers are read whole",
    "tools": "the step gives them where it has --native",
}
# A field that servers may refuse, and that only an option leaves out.
_BY_OPTION = {"seed": "--seed sets it; --no-seeds leaves it out"}
# Fields that other options set; they can only be removed, for servers that refuse them.
_REMOVABLE = {
    "n": "-n sets it; n=null asks for the samples one by one",
    "temperature": "--temperature sets it; temperature=null leaves it out",
    "max_tokens": "--max-tokens sets it; max_tokens=null leaves it out",
}
_COMPLAINT = re.compile(
    r"support|permit|allow|recogni[sz]|unknown|unexpected|extra|invalid|must be|only|not available|does not accept",
    re.IGNORECASE,
)


def request_fields(args: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that `args` add to each request or change; None removes one. Raises `UsageError`."""
    for name, value in args.items():
        set_elsewhere = _FIXED | _BY_OPTION | ({} if value is None else _REMOVABLE)
        if name in set_elsewhere:
            raise UsageError(f"--engine-arg {name}: {set_elsewhere[name]}")
        if name == "max_completion_tokens" and value is not None and not token_count(value):
            raise UsageError(f"--engine-arg {name}={value} is not a number of tokens")
        try:
            # Both, because each accepts something that the other refuses: NaN, integers beyond 64 bits.
            json.dumps(value, allow_nan=False)
            orjson.dumps(value)
        except (TypeError, ValueError) as error:
            raise UsageError(f"--engine-arg {name} cannot be sent as JSON ({error})") from error
    return dict(sorted(args.items()))


def refused_field(body: Any, words: str, sent: Collection[str]) -> str | None:
    """The field, of those `sent`, that a server's error says it refuses; None if there is none or it is needed."""
    fields = [name for name in sent if name not in _FIXED]
    named = _named(body)
    if named in fields:
        return named
    if not _COMPLAINT.search(words):
        return None
    return next((name for name in fields if re.search(_mention(name), words)), None)


def _mention(name: str) -> str:
    """A pattern for mentions of a field: its name may be an everyday word, and an error may quote the prompt."""
    word = re.escape(name)
    plain = rf"|(?<!\w){word}(?!\w)" if "_" in name else ""
    return rf"['\"`]{word}['\"`]|(argument|field|option|parameter|property|supplied)\W+{word}\b|\b{word} ?[:=<>]{plain}"


def advice(field: str, given: Collection[str]) -> str:
    """The flag to use if a server refuses `field`; `given` are the fields added by flags."""
    if field in given:
        return f"leave out --engine-arg {field}"
    if field == "seed":
        return "--no-seeds leaves it out"
    if field == "n":
        return "--engine-arg n=null asks for the samples one by one"
    if field == "max_tokens":
        return "--engine-arg max_completion_tokens=NUMBER takes its place, --engine-arg max_tokens=null leaves it out"
    return f"--engine-arg {field}=null leaves it out"


def _named(body: Any) -> str | None:
    """The field in the structure of an error: `param` in OpenAI's errors, `loc` in FastAPI's."""
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    details = body.get("detail")
    location = error.get("param") if isinstance(error, dict) else body.get("param")
    if isinstance(details, list) and details and isinstance(details[0], dict):
        location = details[0].get("loc")
    if isinstance(location, list):
        location = ".".join(part for part in location if isinstance(part, str))
    return location.removeprefix("body.") if isinstance(location, str) else None

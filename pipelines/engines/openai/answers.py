"""Parses the body of a server's answer, in any of the forms that servers use."""

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate, pairwise
from math import nan
from typing import Any

import orjson
from msgspec.structs import replace

from synth.pipelines.engines import Answer, Completion, EngineBusy, RequestFailed
from synth.pipelines.engines.openai.tool_calls import written_calls

__all__ = ["error_text", "parsed", "read_answer", "read_logprobs", "read_tokens", "shortened", "token_count"]

# Gateways pass on the finish reasons of the API behind them: Anthropic, Gemini, Bedrock, Cohere, Mistral, TGI, ...
_FINISHES = {
    "stop": "stop stopped eos eos_token stop_token stop_sequence end end_turn complete completed finished tool_calls"
    " tool_use function_call",
    "length": "length max_length max_tokens max_new_tokens max_output_tokens max_completion_tokens model_length"
    " context_length token_limit incomplete model_context_window_exceeded",
    "refused": "refusal refused content_filter content_filtered filtered safety image_safety sensitive moderation"
    " blocked blocklist prohibited_content recitation spii guardrail_intervened error_toxic",
}
_MEANING = {word: meaning for meaning, words in _FINISHES.items() for word in words.split()}
# The server aborted, so the text is not a sample of the model.
_ABORTED = frozenset({"error", "failed", "abort", "aborted", "cancelled", "canceled", "insufficient_system_resource"})
_MOST_TOKENS = 1 << 40
_SHOWN = 300


def parsed(raw: bytes) -> Any:
    """The JSON in `raw`; bytes that are not UTF-8 are read as U+FFFD. Raises `ValueError`."""
    try:
        return orjson.loads(raw)
    except ValueError:
        pass
    # The standard library accepts what orjson does not: lone surrogates, NaN, control characters in strings.
    try:
        return json.loads(raw.decode("utf-8-sig", errors="replace"), strict=False)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def error_text(body: Any) -> str:
    """The message in a body without a completion, on one line of any length."""
    message = body
    if isinstance(body, dict):
        message = body.get("error") or body.get("message") or body.get("detail") or body
    if isinstance(message, dict):
        message = message.get("message") or message.get("msg") or message
    if isinstance(message, list) and message and all(isinstance(part, dict) and "msg" in part for part in message):
        message = "; ".join(f"{_path(part.get('loc'))}{part['msg']}" for part in message)
    try:
        return " ".join(_clean(str(message)).split())
    except RecursionError:
        return "it is nested too deeply"


def _path(location: Any) -> str:
    return f"{'.'.join(map(str, location))}: " if isinstance(location, list) else ""


def shortened(words: str) -> str:
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"


def token_count(value: Any) -> int | None:
    """A number of tokens given as an integer of any JSON type; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 <= value < _MOST_TOKENS else None


def read_answer(body: Any, n: int, stops: Collection[str] = ()) -> Answer:
    """The completions in `body`, at most the `n` requested, whose stop strings were `stops`.

    Raises `EngineBusy` if there is none.

    An answer without choices refuses the prompt, and is read as `n` refused completions.

    Tokens are counted per choice if the server lists them. Otherwise only their total is known; it is split in
    proportion to the lengths of the texts.
    """
    choices = body.get("choices") if isinstance(body, dict) else None
    if not _looks_like_an_answer(body) or not isinstance(choices, list | None):
        raise _no_completion(body)
    usage = body.get("usage") if isinstance(body.get("usage"), dict) else {}
    # No prompt is empty: 0 means that the server does not count.
    prompt_tokens = token_count(usage.get("prompt_tokens")) or None
    if not choices:
        return Answer((Completion("", "refused", None),) * n, prompt_tokens)
    if not all(isinstance(choice, dict) for choice in choices):
        raise _no_completion(body)
    read = [_completion(choice, stops) for choice in _in_order(choices)]
    shares = _split(token_count(usage.get("completion_tokens")), [_length(completion) for completion in read])
    counted = [
        replace(completion, tokens=share) if completion.tokens is None else completion
        for completion, share in zip(read, shares, strict=True)
    ]
    return Answer(tuple(counted[:n]), prompt_tokens)


def read_tokens(body: Any) -> list[int]:
    """The tokens of a text. Raises `EngineBusy` if there are none in `body`."""
    tokens = body.get("tokens") if isinstance(body, dict) else None
    if not isinstance(tokens, list) or not all(type(token) is int for token in tokens):
        raise EngineBusy(f"the server's answer has no tokens: {shortened(error_text(body))}")
    return tokens


def read_logprobs(body: Any, prompts: int) -> list[list[float]]:
    """The log-probabilities of the tokens of each prompt, but the first one, in a body that repeats the prompts.

    Raises `RequestFailed` if they are not there; NaN stands for a null among them.
    """
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise _no_completion(body)
    found = [choice.get("logprobs") for choice in _in_order(choices)]
    of_tokens = [one.get("token_logprobs") if isinstance(one, dict) else None for one in found]
    if len(of_tokens) != prompts or not all(isinstance(one, list) and one for one in of_tokens):
        raise RequestFailed("the server gives no log-probabilities of a prompt (echo with logprobs)")
    return [[nan if value is None else float(value) for value in one[1:]] for one in of_tokens if one]


def _looks_like_an_answer(body: Any) -> bool:
    if not isinstance(body, dict):
        return False
    return "choices" in body or isinstance(body.get("usage"), dict) or "completion" in str(body.get("object"))


def _no_completion(body: Any) -> EngineBusy:
    return EngineBusy(f"the server's answer is not a completion: {shortened(error_text(body))}")


def _in_order(choices: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Sorted by index if every choice has a distinct one, else unchanged."""
    if len(choices) == 1:
        return choices
    indices = [token_count(choice.get("index")) for choice in choices]
    known = [index for index in indices if index is not None]
    if len(set(known)) < len(choices):
        return choices
    return [choice for _, choice in sorted(zip(known, choices, strict=True), key=lambda pair: pair[0])]


def _completion(choice: Mapping[str, Any], stops: Collection[str]) -> Completion:
    """One choice. Raises `EngineBusy` if it has neither a text nor a reason for having none."""
    finish = _finish_word(choice.get("finish_reason"))
    if choice.get("error") or finish in _ABORTED:
        raise EngineBusy(f"the server broke off its answer: {shortened(error_text(choice))}")
    message = choice.get("message")
    if isinstance(message, dict):
        content = message.get("content", choice.get("text"))
    elif "text" in choice or isinstance(message, str) or _MEANING.get(finish) == "refused":
        content, message = choice.get("text", message), choice
    else:
        raise _no_completion(choice)
    if isinstance(content, dict) and ("type" in content or "text" in content):
        content = [content]
    if not isinstance(content, str | list | None):
        raise _no_completion(choice)
    text, thoughts, refused = _parts(content)
    if isinstance(calls := message.get("tool_calls"), list):
        text = "\n".join(filter(None, (text, _clean(written_calls(calls)))))
    refusal = (_text(message.get("refusal")) or refused).strip()
    separate = [_text(message[name]) for name in _SEPARATE if message.get(name)]
    tokens = choice.get("token_ids")
    return Completion(
        "" if refusal else text,
        "refused" if refusal else _MEANING.get(finish),
        len(tokens) if isinstance(tokens, list) else None,
        next(filter(str.strip, separate), None) or thoughts or None,
        refusal or None,
        _matched(choice, stops) if stops else None,
    )


def _matched(choice: Mapping[str, Any], stops: Collection[str]) -> str | None:
    """The stop string that ended the text, which vLLM and SGLang name."""
    named = (choice.get("stop_reason"), choice.get("matched_stop"))
    return next((stop for stop in named if isinstance(stop, str) and stop in stops), None)


# Fields of a message with the reasoning.
_SEPARATE = ("reasoning", "reasoning_content", "thinking")
# Types of parts that are reasoning.
_THINKING = frozenset({"thinking", "reasoning", "thought", "reasoning_content"})


def _parts(content: str | list[Any] | None) -> tuple[str, str, str]:
    """The answer, the reasoning and the refusal in a content, which may be a string or a list of parts."""
    if not isinstance(content, list):
        return _clean(content or ""), "", ""
    text, thoughts, refusal = [], [], []
    for part in content:
        match _type_of(part):
            case "text" | "output_text":
                text.append(_text(part))
            case "refusal":
                refusal.append(_text(part))
            case kind if kind in _THINKING:
                thoughts.append(_text(part))
    return "".join(text), "\n\n".join(filter(None, thoughts)), "".join(refusal)


def _type_of(part: Any) -> str:
    named = part.get("type", "text") if isinstance(part, dict) else "text"
    return named if isinstance(named, str) else ""


def _text(value: Any, depth: int = 4) -> str:
    """The text of a part, which may be under the key of its type or in nested parts, up to `depth` levels deep."""
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, list) and depth:
        return "".join([_text(part, depth - 1) for part in value])
    if isinstance(value, dict) and depth:
        names = (_type_of(value), "text", "content", "value")
        return next((text for name in names if (text := _text(value.get(name), depth - 1))), "")
    return ""


def _finish_word(value: Any) -> str:
    if value == "stop":
        return "stop"
    if isinstance(value, dict):
        value = value.get("type")
    word = value.lower() if isinstance(value, str) else ""
    return word.strip().replace("-", "_").replace(" ", "_").removeprefix("finish_reason_")


def _length(completion: Completion) -> int:
    return len(completion.text) + len(completion.reasoning or "") + 1


def _split(total: int | None, weights: Sequence[int]) -> Sequence[int | None]:
    if total is None or (total == 0 and sum(weights) > len(weights)):
        return [None] * len(weights)
    if len(weights) == 1:
        return [total]
    edges = [total * reached // sum(weights) for reached in accumulate(weights)]
    return [end - start for start, end in pairwise([0, *edges])]


def _clean(text: str) -> str:
    """The text with U+FFFD for lone surrogates, which cannot be encoded."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

"""Opens the engine that command-line options select."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from synth.pipelines.engines import Engine
from synth.schemas.errors import UsageError

__all__ = ["ENGINES", "open_engine"]


def open_engine(kind: str | None, model: str | None, base_url: str | None, args: Mapping[str, str]) -> Engine:
    """The engine, not yet started; its `identity` is available.

    `kind` is one of `ENGINES`; if None, a `base_url` implies `openai`. `model` defaults to SYNTH_MODEL, then to the
    only model of a server, which is queried only in that case. `args` are the `--engine-arg`s as typed. Raises
    `UsageError`, or `EngineFailed` if that server does not answer.
    """
    kind = kind or ("openai" if base_url else "vllm")
    model = model or os.environ.get("SYNTH_MODEL")
    if base_url and kind != "openai":
        raise UsageError(f"--base-url names a server, which --engine {kind} does not use; leave one of them out")
    if kind not in ENGINES:
        raise UsageError(f"--engine {kind}: must be one of {', '.join(ENGINES)}")
    return ENGINES[kind](model, base_url, args)


def _echo(model: str | None, base_url: str | None, args: Mapping[str, str]) -> Engine:  # noqa: ARG001
    from synth.pipelines.engines.echo import EchoEngine

    return EchoEngine(**_typed("echo", args, {"reply": str, "delay": float, "context": int}))


def _vllm(model: str | None, base_url: str | None, args: Mapping[str, str]) -> Engine:  # noqa: ARG001
    if not model:
        raise UsageError(
            "no model is named: set --model to a directory, a hub name, or tiny (the model that comes with synth), "
            "set --base-url to a server, or use --engine echo"
        )
    from synth.pipelines.engines.vllm import VllmEngine

    return VllmEngine(model, {name: _json_or_text(value) for name, value in args.items()})


def _openai(model: str | None, base_url: str | None, args: Mapping[str, str]) -> Engine:
    from synth.pipelines.engines.openai import OpenAIEngine, request_fields, served_models

    if not base_url:
        raise UsageError("--engine openai needs a server: set --base-url, such as http://localhost:8000/v1")
    if not _is_address(base_url):
        raise UsageError(f"--base-url {base_url} is not an address such as http://localhost:8000/v1")
    ours = {"concurrency": int, "timeout": float}
    options = _typed("openai", {name: args[name] for name in args if name in ours}, ours)
    for name, value in options.items():
        if not value > 0:
            raise UsageError(f"--engine-arg {name}={value:g} is not above 0")
    fields = request_fields({name: _json_or_text(text) for name, text in args.items() if name not in ours})
    if not model:
        names = [card["id"] for card in served_models(base_url)]
        if len(names) != 1:
            raise UsageError(f"choose a --model: {base_url} serves {', '.join(names) or 'none'}")
        (model,) = names
    return OpenAIEngine(base_url, model, fields=fields, **options)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _typed(kind: str, args: Mapping[str, str], readers: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    values = {}
    for name, text in args.items():
        if name not in readers:
            raise UsageError(f"--engine-arg {name}: the engine {kind} takes {', '.join(readers)}")
        try:
            values[name] = readers[name](text)
        except ValueError:
            raise UsageError(f"--engine-arg {name}={text} is not a number") from None
    return values


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


# The values of `--engine`: functions of the model, the server and the arguments.
ENGINES: dict[str, Callable[[str | None, str | None, Mapping[str, str]], Engine]] = {
    "vllm": _vllm,
    "openai": _openai,
    "echo": _echo,
}

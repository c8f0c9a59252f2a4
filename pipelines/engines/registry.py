"""From the words of a command line to an engine."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from synth.pipelines.engines import Engine
from synth.schemas.errors import UsageError

__all__ = ["EngineSpec"]


@dataclass(frozen=True)
class EngineSpec:
    """An engine by the words of a command line: small, and whole when it is pickled.

    `kind` is `echo`, `openai` or `vllm`; without one, a `base_url` means `openai`. `model` defaults to SYNTH_MODEL, and
    where a server has only one, to that one. `args` are the `--engine-arg`s as they were typed.
    """

    kind: str | None = None
    model: str | None = None
    base_url: str | None = None
    args: Mapping[str, str] = field(default_factory=dict)

    def open(self) -> Engine:
        """The engine, not yet started; its `identity` is known.

        Only where no model is named is a server asked for one. Raises `UsageError`, or `EngineFailed` where that server
        does not answer.
        """
        kind = self.kind or ("openai" if self.base_url else "vllm")
        model = self.model or os.environ.get("SYNTH_MODEL")
        if self.base_url and kind != "openai":
            raise UsageError(f"--base-url names a server, which --engine {kind} does not use; leave one of them out")
        match kind:
            case "echo":
                from synth.pipelines.engines.echo import EchoEngine

                return EchoEngine(**_typed("echo", self.args, {"reply": str, "delay": float, "context": int}))
            case "openai":
                return _openai(model, self.base_url, self.args)
            case "vllm":
                if not model:
                    raise UsageError(
                        "no model is named: give --model a directory, a hub name, or tiny for the one that comes with "
                        "synth; or name a server with --base-url, or use --engine echo"
                    )
                from synth.pipelines.engines.vllm import VllmEngine

                return VllmEngine(model, {name: _json_or_text(value) for name, value in self.args.items()})
            case _:
                raise UsageError(f"--engine {kind} is unknown: it is one of echo, openai, vllm")


def _openai(model: str | None, base_url: str | None, args: Mapping[str, str]) -> Engine:
    from synth.pipelines.engines.openai import OpenAIEngine, request_fields, served_models

    if not base_url:
        raise UsageError("--engine openai needs a server: give its --base-url, such as http://localhost:8000/v1")
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

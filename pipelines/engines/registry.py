"""Opens the engine that command-line options select."""

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from synth.pipelines.engines import Engine
from synth.pipelines.engines.models import is_here
from synth.schemas.errors import EngineFailed, UsageError
from synth.schemas.phrases import listed

if TYPE_CHECKING:
    from synth.pipelines.engines.openai import Server

__all__ = ["ENGINES", "open_engine"]

# The variable that other tools read, too.
ADDRESS = "OPENAI_BASE_URL"


def open_engine(
    kind: str | None,
    model: str | None,
    base_urls: Sequence[str],
    args: Mapping[str, str],
    headers: Mapping[str, str] = MappingProxyType({}),
    *,
    seeds: bool = True,
) -> Engine:
    """The engine, not yet started; its `identity` is available.

    `kind` is one of `ENGINES`; if None, a server implies `openai`. `model` defaults to SYNTH_MODEL, then to the only
    model of the first server that answers; servers are queried only in that case. Several `base_urls` share the
    requests. They default to OPENAI_BASE_URL, which names one, but that does not take a model away from this machine:
    without a `kind` it applies only to models that are not here. `args` are the `--engine-arg`s as typed, `headers`
    those of requests to a server. Without `seeds`, the engine draws as it likes. Raises `UsageError`, or `EngineFailed`
    if no server answers.
    """
    model = model or os.environ.get("SYNTH_MODEL")
    for flag, value in (("--base-url names a server", base_urls), ("--header is sent to a server", headers)):
        if value and kind not in (None, "openai"):
            raise UsageError(f"{flag}, which --engine {kind} does not use; leave one of them out")
    servers = _servers("--base-url", base_urls, headers)
    if not servers and (kind == "openai" or (kind is None and not (model and is_here(model)))):
        servers = _server_of_environment(headers)
    kind = kind or ("openai" if servers else "vllm")
    if kind not in ENGINES:
        raise UsageError(f"--engine {kind}: must be one of {', '.join(ENGINES)}")
    if headers and not servers:
        raise UsageError("--header is sent to a server, and none is named: set --base-url")
    return ENGINES[kind](model, servers, args, seeds)


def _server_of_environment(headers: Mapping[str, str]) -> "Sequence[Server]":
    """The server that the environment names, with a notice, because requests to it may cost money."""
    address = os.environ.get(ADDRESS)
    servers = _servers(ADDRESS, [address] if address else [], headers)
    for server in servers:
        logging.getLogger("synth").warning("%s selects the server %s", ADDRESS, server.name)
    return servers


def _servers(origin: str, addresses: Sequence[str], headers: Mapping[str, str]) -> "Sequence[Server]":
    servers: dict[str, Server] = {}
    for address in addresses:
        server = _server(origin, address, headers)
        if server.url("") in servers:
            raise UsageError(f"{origin} {server.name}: given twice")
        servers[server.url("")] = server
    return tuple(servers.values())


def _server(origin: str, address: str, headers: Mapping[str, str]) -> "Server":
    from synth.pipelines.engines.openai import Server

    if "," in address.partition("?")[0]:
        raise UsageError(f"{origin} {address} is not one address: repeat --base-url for each server")
    if not _is_address(address):
        raise UsageError(f"{origin} {address} is not an address such as http://localhost:8000/v1")
    if "@" in urlsplit(address).netloc:
        raise UsageError(f"{origin} has a user name: send it with --header 'Authorization: Basic $CREDENTIALS'")
    return Server(address, headers)


def _echo(model: str | None, servers: "Sequence[Server]", args: Mapping[str, str], seeds: bool) -> Engine:  # noqa: ARG001
    from synth.pipelines.engines.echo import EchoEngine

    if not seeds:
        raise UsageError("--no-seeds: --engine echo makes its answers from the seeds; leave one of them out")
    return EchoEngine(**_typed("echo", args, {"reply": str, "delay": float, "context": int}))


def _vllm(model: str | None, servers: "Sequence[Server]", args: Mapping[str, str], seeds: bool) -> Engine:  # noqa: ARG001
    if not model:
        raise UsageError(
            "no model is named: set --model to a directory, a hub name, or tiny (the model that comes with synth), "
            "set --base-url to a server, or use --engine echo"
        )
    from synth.pipelines.engines.vllm import VllmEngine

    return VllmEngine(model, {name: _json_or_text(value) for name, value in args.items()}, seeds)


def _openai(model: str | None, servers: "Sequence[Server]", args: Mapping[str, str], seeds: bool) -> Engine:
    from synth.pipelines.engines.openai import OpenAIEngine, request_fields
    from synth.pipelines.engines.openai.replicas import Replicas

    if not servers:
        raise UsageError(
            f"--engine openai needs a server: set --base-url, such as http://localhost:8000/v1, or {ADDRESS}"
        )
    ours = {"concurrency": int, "timeout": float, "wait": float}
    options = _typed("openai", {name: args[name] for name in args if name in ours}, ours)
    for name, value in options.items():
        if not value > 0:
            raise UsageError(f"--engine-arg {name}={value:g} is not above 0")
    fields = request_fields({name: _json_or_text(text) for name, text in args.items() if name not in ours})
    model = model or _only_model(servers)
    engines = [OpenAIEngine(server, model, fields=fields, seeds=seeds, **options) for server in servers]
    return engines[0] if len(engines) == 1 else Replicas(engines)


def _only_model(servers: "Sequence[Server]") -> str:
    """The model of the first server that answers. The start checks that the others offer it, too."""
    from synth.pipelines.engines.openai.served import none_of, served_models

    deployments = list(dict.fromkeys(server.deployment for server in servers if server.deployment))
    if len(deployments) > 1:
        raise UsageError(f"choose a --model: the name of the model behind the deployments {listed(deployments)}")
    if deployments:
        return deployments[0]
    failures = []
    for server in servers:
        if server.is_azure:
            raise UsageError(f"choose a --model: the name of a deployment at {server.name}")
        try:
            names = [str(card["id"]) for card in served_models(server)]
        except EngineFailed as failure:
            failures.append(failure)
            continue
        if len(names) != 1:
            raise UsageError(f"choose a --model: {server.name} serves {', '.join(names) or 'none'}")
        return names[0]
    raise none_of(failures)


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


# The values of `--engine`: functions of the model, the servers, the arguments, and whether requests have seeds.
ENGINES: dict[str, Callable[[str | None, "Sequence[Server]", Mapping[str, str], bool], Engine]] = {
    "vllm": _vllm,
    "openai": _openai,
    "echo": _echo,
}

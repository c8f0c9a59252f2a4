"""The options that select the engine and the sandbox of a run."""

import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from synth.pipelines.engines.registry import ENGINES, open_engine
from synth.pipelines.runtime.declared import Option, assignments
from synth.sandbox.jails.registry import JAILS

if TYPE_CHECKING:
    from synth.pipelines.engines import Engine
    from synth.sandbox.pool import Sandbox

__all__ = ["EngineSpec", "SandboxSpec"]

ENGINE, SANDBOX = "Engine", "Sandbox"


# A parameter of an address whose name says that its value is a secret.
_SECRET = re.compile(r"([?&][^=&]*(?:key|token|secret|sig)[^=&]*=)[^&]*", re.IGNORECASE)
# A variable of the environment, perhaps after the name of a scheme: `Bearer $TOKEN`.
_REFERENCE = re.compile(r" *([A-Za-z]+ +)?\$(\w+|\{\w+\}) *", re.ASCII)


def _without_secret_parameters(url: str) -> str:
    return _SECRET.sub(r"\1***", url)


def _without_secret(header: str) -> str:
    name, _, value = header.partition(":")
    return header if _REFERENCE.fullmatch(value) else f"{name}: ***"


@dataclass(frozen=True)
class EngineSpec:
    """The options of an engine: small and picklable."""

    model: Annotated[
        str | None,
        Option(
            "A model directory, a hub name, or `tiny` (embedded).", metavar="MODEL", env="SYNTH_MODEL", panel=ENGINE
        ),
    ] = None
    engine: Annotated[
        str | None,
        Option(
            "vLLM in this process, a server, or an echo for tests.",
            choices=ENGINES,
            default="vllm; openai with --base-url",
            panel=ENGINE,
        ),
    ] = None
    base_url: Annotated[
        tuple[str, ...],
        Option(
            "An OpenAI-compatible server, such as http://localhost:8000/v1. Repeatable: the servers share the work.",
            metavar="URL",
            default="OPENAI_BASE_URL, unless --model is on this machine",
            shown=_without_secret_parameters,
            panel=ENGINE,
        ),
    ] = ()
    engine_arg: Annotated[
        Mapping[str, str],
        Option(
            "Passed to the engine, e.g. tensor_parallel_size=2. Repeatable.",
            metavar="NAME=VALUE",
            read=assignments("--engine-arg"),
            panel=ENGINE,
        ),
    ] = field(default_factory=dict)
    header: Annotated[
        Mapping[str, str],
        Option(
            "Sent with each request, e.g. 'api-key: $NAME' with a variable of the environment. Repeatable.",
            metavar="'NAME: VALUE'",
            read=assignments("--header", "'NAME: VALUE'", separator=":"),
            shown=_without_secret,
            panel=ENGINE,
        ),
    ] = field(default_factory=dict)
    seeds: Annotated[
        bool,
        Option("Draw each sample with a seed of its own; without, a repeated run gives different texts.", panel=ENGINE),
    ] = True

    def open(self) -> "Engine":
        """The engine, not yet started; its `identity` is known. See `open_engine`."""
        return open_engine(self.engine, self.model, self.base_url, self.engine_arg, self.header, seeds=self.seeds)


@dataclass(frozen=True)
class SandboxSpec:
    """The options of a sandbox: small and picklable."""

    jail: Annotated[
        str,
        Option(
            "landlock is for use inside a container; auto is docker if it is running, else bwrap.",
            choices=ChainMap(JAILS, {"auto": "docker or bwrap"}),
            panel=SANDBOX,
        ),
    ] = "auto"
    jails: Annotated[
        int | None, Option("Jails that run concurrently.", min=1, default="one for each core", panel=SANDBOX)
    ] = None
    jail_package: Annotated[
        tuple[str, ...],
        Option(
            "An installed package that programs may import, such as numpy. Repeatable.", metavar="NAME", panel=SANDBOX
        ),
    ] = ()

    def open(self) -> "Sandbox":
        """The sandbox, not yet started; its `identity` is known."""
        from synth.sandbox.pool import Sandbox

        return Sandbox(self.jail, self.jails, packages=sorted(set(self.jail_package)))

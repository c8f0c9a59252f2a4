"""Small functions with calls to try them with, drawn from the kinds in `number_functions` and `text_functions`.

    python -m tiny_model.functions > examples/functions.jsonl

A function is written as `synth case2code functions` writes what it extracts. One in eight choices of name, parameters
and constants is held out: the examples are of these, and nothing that is trained on is.
"""

import ast
import json
import re
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from synth.pipelines.case2code.compose import Compose
from synth.pipelines.case2code.fingerprint import fingerprint
from synth.pipelines.case2code.literals import write_call
from synth.pipelines.case2code.signature import read_signature
from synth.sandbox.values import encode, shown
from tiny_model.function_kind import Constants, Kind
from tiny_model.number_functions import NUMBER_KINDS
from tiny_model.text_functions import TEXT_KINDS

__all__ = ["KINDS", "SmallFunction", "example_functions", "functions", "held_out_functions", "training_functions"]

KINDS = (*NUMBER_KINDS, *TEXT_KINDS)

# Names that do not tell what a function does, so that its results have to.
_PLAIN_NAMES = ("f", "compute", "transform", "solve", "process", "apply")
_CALLS = 10
_FIELD = re.compile(r"\{(\w+)\}")
_EXAMPLES_SEED = "functions"
_EXAMPLES_PER_KIND = 2


@dataclass(frozen=True)
class SmallFunction:
    """A function of a kind, and what it was drawn with."""

    kind: Kind
    name: str
    parameters: tuple[str, ...]
    constants: Constants
    code: str
    description: str

    @property
    def is_held_out(self) -> bool:
        chosen = (self.kind.kind, self.name, self.parameters, sorted(self.constants.items()))
        return zlib.crc32(repr(chosen).encode()) % 8 == 0

    @property
    def answer(self) -> str:
        """The same function as it can be told from its results: written in the first way, and without a docstring."""
        return _written(self.name, self.parameters, self._fill(self.kind.bodies[0]))

    def calls(self, random: Random, n: int = _CALLS) -> list[dict[str, Any]]:
        """Different arguments by name."""
        drawn: dict[str, dict[str, Any]] = {}
        while len(drawn) < n:
            values = self.kind.call(random, self.constants)
            arguments = dict(zip(self.parameters, values, strict=True))
            drawn.setdefault(write_call(arguments), arguments)
        return list(drawn.values())

    def inputs_reply(self, random: Random) -> str:
        """What a model should answer to the prompt `inputs`."""
        lines = "".join(f"    {write_call(arguments)},\n" for arguments in self.calls(random))
        return f"{self._fill(self.kind.about)}\n\n```python\nexamples = [\n{lines}]\n```"

    def task(self, random: Random, compose: Compose) -> str:
        """A task to find the function from its results; see `Compose`."""
        return str(compose.task(self.executed(random), random)["prompt"])

    def executed(self, random: Random) -> dict[str, Any]:
        """A row as `synth case2code execute` writes it."""
        calls = self.calls(random)
        return {
            "id": self.name,
            "code": self.code,
            "func_name": self.name,
            "example_inputs": [write_call(arguments) for arguments in calls],
            "example_outputs": [{"return": result, "error": None} for result in self.results(calls)],
            "exec_status": True,
        }

    def results(self, calls: Sequence[dict[str, Any]]) -> list[str]:
        """What each call returns, as Python writes it. It runs here: the code is our own."""
        names: dict[str, Any] = {}
        exec(self.code, names)
        return [shown(encode(names[self.name](**arguments))) for arguments in calls]

    def _fill(self, template: str) -> str:
        return _filled(template, self.parameters, self.constants)


def functions(seed: str | int, kinds: Sequence[Kind] = KINDS) -> Iterator[SmallFunction]:
    """An endless stream, the same for the same seed."""
    random = Random(seed)
    while True:
        yield _drawn(random.choice(kinds), random)


def training_functions(seed: str | int) -> Iterator[SmallFunction]:
    return (function for function in functions(seed) if not function.is_held_out)


def held_out_functions(seed: str | int, kinds: Sequence[Kind] = KINDS) -> Iterator[SmallFunction]:
    return (function for function in functions(seed, kinds) if function.is_held_out)


def example_functions() -> Iterator[dict[str, str]]:
    """The rows of `examples/functions.jsonl`, of which no two differ in names and docstrings alone."""
    for kind in KINDS:
        seen: set[bytes] = set()
        for function in held_out_functions(f"{_EXAMPLES_SEED}/{kind.kind}", [kind]):
            program = fingerprint(function.code, read_signature(function.code, function.name).node, {}).near
            if program not in seen:
                seen.add(program)
                yield {"id": f"{kind.kind}-{len(seen)}", "code": function.code, "func_name": function.name}
            if len(seen) == _EXAMPLES_PER_KIND:
                break


def _drawn(kind: Kind, random: Random) -> SmallFunction:
    """Half of the functions have annotations, and half a docstring."""
    name = random.choice(_PLAIN_NAMES if random.random() < 0.25 else kind.names)
    parameters = tuple(random.choice(parameter.names) for parameter in kind.parameters)
    constants = random.choice(kind.constants)
    tell, body = (_filled(random.choice(texts), parameters, constants) for texts in (kind.tells, kind.bodies))
    if random.random() < 0.5:
        body = f'"""{tell}"""\n{body}'
    code = _written(name, parameters, body, kind if random.random() < 0.5 else None)
    return SmallFunction(kind, name, parameters, constants, code, tell)


def _written(name: str, parameters: Sequence[str], body: str, annotations: Kind | None = None) -> str:
    written, returns = list(parameters), ""
    if annotations:
        written = [f"{each}: {of.annotation}" for each, of in zip(parameters, annotations.parameters, strict=True)]
        returns = f" -> {annotations.returns}"
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return ast.unparse(ast.parse(f"def {name}({', '.join(written)}){returns}:\n{lines}"))


def _filled(template: str, parameters: Sequence[str], constants: Constants) -> str:
    values = {**dict(zip("abc", parameters, strict=False)), **{key: repr(value) for key, value in constants.items()}}
    return _FIELD.sub(lambda match: values[match[1]], template)


if __name__ == "__main__":
    for row in example_functions():
        sys.stdout.write(json.dumps(row) + "\n")

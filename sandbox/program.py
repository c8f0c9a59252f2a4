"""A request to the sandbox: a program, the function to call, and its inputs."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from synth.sandbox.values import Unencodable, encode_text
from synth.sandbox.verdict import Limits

__all__ = ["Input", "Program"]

# The positional and the keyword arguments of one call.
Input = tuple[list[Any], Mapping[str, Any]]


class Program(Struct, frozen=True, rename={"code": "program"}):
    """Call the function `entry` of `code` with each of `inputs`, in one process.

    An input is the JSON text of a canonical [arguments, keyword arguments]. Each `profile` has its own worker, its own
    seed for hashes and `random`, and with libfaketime its own clock; `reverse` runs the inputs last to first (outcomes
    keep the given order). Together they vary everything that an answer must not depend on. The key of a recorded
    verdict is the JSON of this struct, with the fields in this order.
    """

    code: str
    entry: str
    inputs: tuple[str, ...]
    limits: Limits = Limits()
    profile: int = 0
    reverse: bool = False

    @classmethod
    def of(cls, code: str, entry: str, inputs: Iterable[Input] = (([], {}),), limits: Limits = Limits()) -> "Program":
        """Encode the inputs. One that cannot be encoded sets `input_error`."""
        return cls(code, entry, tuple(_encoded(args, kwargs) for args, kwargs in inputs), limits)

    @property
    def input_error(self) -> str:
        """Which input cannot be encoded, and why; empty if all can."""
        invalid = next((text for text in self.inputs if not text.startswith("[")), None)
        return f"an input is no plain value: {json.loads(invalid)['unencodable']}" if invalid else ""

    @property
    def refusal(self) -> str:
        """Why the sandbox does not run it; empty if it does."""
        if len(self.code.encode(errors="surrogatepass")) > self.limits.source_bytes:
            return f"the program is longer than {self.limits.source_bytes} bytes"
        if self.input_error:
            return self.input_error
        if sum(map(len, self.inputs)) > self.limits.input_bytes:
            return f"the inputs are longer than {self.limits.input_bytes} bytes"
        return ""

    @property
    def order(self) -> list[int]:
        """The indices of the inputs in the order in which they run."""
        indices = range(len(self.inputs))
        return list(reversed(indices) if self.reverse else indices)


def _encoded(args: list[Any], kwargs: Mapping[str, Any]) -> str:
    try:
        return encode_text([list(args), dict(kwargs)])
    except Unencodable as error:
        # Not mistaken for an input, which is a JSON array.
        return json.dumps({"unencodable": str(error)})

"""What the sandbox is asked: a program, the function of it to call, and what to call it with."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from synth.sandbox.values import Unencodable, encode_text
from synth.sandbox.verdict import Limits

__all__ = ["Input", "Program"]

# The arguments of one call, and its keyword arguments.
Input = tuple[list[Any], Mapping[str, Any]]


class Program(Struct, frozen=True, rename={"code": "program"}):
    """Call the function `entry` of `code` with each of `inputs`, in one process.

    An input is the JSON text of a canonical [arguments, keyword arguments]. Another `profile` means another worker,
    another seed for hashes and for `random`, and another clock where libfaketime is installed; `reverse` runs the
    inputs last to first (outcomes still come in the order given). What an answer must not depend on is changed by both
    together. Verdicts are recorded under the JSON of this, in the order of these fields.
    """

    code: str
    entry: str
    inputs: tuple[str, ...]
    limits: Limits = Limits()
    profile: int = 0
    reverse: bool = False

    @classmethod
    def of(cls, code: str, entry: str, inputs: Iterable[Input] = (([], {}),), limits: Limits = Limits()) -> "Program":
        """The program and its inputs, each encoded here once. See `unplain` for what cannot be."""
        return cls(code, entry, tuple(_encoded(args, kwargs) for args, kwargs in inputs), limits)

    @property
    def unplain(self) -> str:
        """That an input is no plain value, and which type is at fault; empty where all are."""
        strange = next((text for text in self.inputs if not text.startswith("[")), None)
        return f"an input is no plain value: {json.loads(strange)['unencodable']}" if strange else ""

    @property
    def refusal(self) -> str:
        """Why the sandbox does not run it; empty where it does."""
        if len(self.code.encode(errors="surrogatepass")) > self.limits.source_bytes:
            return f"the program is longer than {self.limits.source_bytes} bytes"
        if self.unplain:
            return self.unplain
        if sum(map(len, self.inputs)) > self.limits.input_bytes:
            return f"the inputs are longer than {self.limits.input_bytes} bytes"
        return ""

    @property
    def order(self) -> list[int]:
        """The positions of the inputs in the order in which they are run."""
        positions = list(range(len(self.inputs)))
        return positions[::-1] if self.reverse else positions


def _encoded(args: list[Any], kwargs: Mapping[str, Any]) -> str:
    try:
        return encode_text([list(args), dict(kwargs)])
    except Unencodable as error:
        # No canonical value of a call is an object, so this is none either.
        return json.dumps({"unencodable": str(error)})

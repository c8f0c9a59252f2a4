"""A slice of a run: every N-th of its chunks, for a process of its own."""

from dataclasses import dataclass

from synth.schemas.errors import UsageError

__all__ = ["Slice"]


@dataclass(frozen=True, order=True)
class Slice:
    """The chunks whose number modulo `of` is `number`."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Slice":
        """From `3/64`. Raises `UsageError`."""
        number, _, of = text.partition("/")
        # `isdecimal` alone would let other scripts pass.
        if not (text.isascii() and number.isdecimal() and of.isdecimal()):
            raise UsageError(f"--slice {text}: expected I/N, such as 0/64")
        if int(number) >= int(of):
            raise UsageError(f"--slice {text}: I counts from 0, so it must be less than N")
        return cls(int(number), int(of))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def has(self, chunk: int) -> bool:
        return chunk % self.of == self.number

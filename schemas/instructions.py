"""The prompt of a row whose instruction has an input of its own, as those of Alpaca and Self-Instruct do."""

__all__ = ["with_input"]


def with_input(instruction: str, given: str | None) -> str:
    """The instruction, a blank line, and its input; the instruction alone where the input is null or blank."""
    return instruction if given is None or not given.strip() else f"{instruction}\n\n{given}"

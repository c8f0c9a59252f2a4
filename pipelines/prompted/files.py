"""What the files have in common that users write for `map` and `judge`."""

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pyarrow as pa

from synth.pipelines.runtime.prompts import Prompt
from synth.schemas.errors import UsageError

__all__ = ["check_variables", "json_object", "own_prompt", "with_columns"]


def own_prompt(flag: str) -> Callable[[str], Prompt]:
    """The reader of an option that names a prompt file of the user's."""
    return lambda name: Prompt.load(name, None, flag)


def json_object(name: str, flag: str) -> dict[str, Any]:
    """The JSON object in a file, which must not be empty. Raises `UsageError`, naming the `flag`."""
    try:
        content = json.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{flag} {name} cannot be read: {error}") from error
    if not isinstance(content, dict) or not content:
        raise UsageError(f"{flag} {name}: expected an object")
    return content


def check_variables(prompt: Prompt, table: pa.Table, further: Collection[str] = ()) -> None:
    """Raises `UsageError` if a prompt names what is neither a column nor in `further`."""
    if unknown := sorted(prompt.variables - {*table.column_names, *further, "row"}):
        columns = ", ".join(table.column_names)
        raise UsageError(f"{prompt.origin} names {unknown[0]}, and the input has no such column, only {columns}")


def with_columns(inputs: pa.Schema, added: Collection[pa.Field]) -> pa.Schema:
    """The columns of the input and those of a stage. Raises `UsageError` if both have one of a name."""
    if taken := [one.name for one in added if one.name in inputs.names]:
        raise UsageError(f"the input has a column {taken[0]} already: choose another one with --into, or rename it")
    return pa.schema([*inputs, *added], metadata=inputs.metadata)

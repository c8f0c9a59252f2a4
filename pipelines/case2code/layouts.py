"""What rows hold that were made here, or published with the paper, at whatever step (arXiv 2407.12504)."""

import ast
import re

from synth.pipelines.case2code.calls import parsed_examples
from synth.pipelines.case2code.candidates import with_imports
from synth.pipelines.case2code.given import Given, recorded
from synth.pipelines.case2code.literals import Unreadable, read_arguments, unquoted, write_call
from synth.pipelines.case2code.replies import examples_among
from synth.pipelines.case2code.signature import read_signature, recorded_call
from synth.pipelines.runtime.stage import Reject, Row

__all__ = ["calls_of", "function_of", "is_published", "outputs_of"]

_FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def function_of(row: Row) -> tuple[str, str]:
    """Source and name of the function, after its recorded imports. Raises `Reject`: `no_code`, and what parsing does.

    A row of the published input-writing step has it in the last fence of its prompt.
    """
    code = row.get("code")
    if code is None:
        fences = _FENCE.findall(row.get("prompt") or "")
        if not fences:
            raise Reject("no_code", "there is no `code`, and no python fence in `prompt`")
        code = fences[-1]
    code = with_imports(code, row.get("import_code") or ())
    return code, row["func_name"] or read_signature(code, None).name


def calls_of(row: Row) -> list[str]:
    """The calls as `dict(a=1)`, one by one or out of `example_str`, where they are literals.

    Raises `Reject` as `unreadable_input`.
    """
    source = row.get("example_str")
    if not source:
        return [write_call(recorded_call(text)) if unquoted(text) else text for text in row["example_inputs"] or ()]
    items = examples_among(parsed_examples(source))
    if items is None:
        raise Reject("unreadable_input", "example_str has no literal list called examples")
    return [_written(item) for item in items]


def _written(item: ast.expr) -> str:
    try:
        return write_call(read_arguments(item))
    except Unreadable as unreadable:
        raise Reject("unreadable_input", f"in example_str, {unreadable.detail}") from None


def outputs_of(row: Row) -> list[Given]:
    return recorded(row["example_outputs"], published=is_published(row))


def is_published(row: Row) -> bool:
    """Whether a row is in the published form, in which values are quoted once more than here."""
    inputs = row["example_inputs"]
    return bool(row.get("example_str")) or (bool(inputs) and None not in map(unquoted, inputs))

"""Read the rows of every step, made here or published with the paper (arXiv 2407.12504)."""

import re

from synth.pipelines.case2code.calls import parsed_examples
from synth.pipelines.case2code.candidates import with_imports
from synth.pipelines.case2code.literals import Unreadable, read_arguments, unquoted, write_call
from synth.pipelines.case2code.replies import examples_among
from synth.pipelines.case2code.results import CallResult, recorded_results
from synth.pipelines.case2code.signature import read_signature, recorded_call
from synth.pipelines.runtime.stage import Reject, Row

__all__ = ["calls_of", "function_of", "outputs_of"]

_FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def function_of(row: Row) -> tuple[str, str]:
    """Source of the function, with its recorded imports, and its name.

    Rows of the published input-writing step have it in the last fence of their prompt. Raises `Reject`: `no_code`, and
    the reasons of `read_signature`.
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
    """The calls as `dict(a=1)`, from `example_inputs` or from the literals in `example_str`.

    Raises `Reject` as `unreadable_input`.
    """
    source = row.get("example_str")
    if not source:
        return [write_call(recorded_call(text)) if unquoted(text) else text for text in row["example_inputs"] or ()]
    items = examples_among(parsed_examples(source))
    if items is None:
        raise Reject("unreadable_input", "example_str has no literal list called examples")
    try:
        return [write_call(read_arguments(item)) for item in items]
    except Unreadable as unreadable:
        raise Reject("unreadable_input", f"in example_str, {unreadable.detail}") from None


def outputs_of(row: Row) -> list[CallResult]:
    inputs = row["example_inputs"]
    published = bool(row.get("example_str")) or (bool(inputs) and None not in map(unquoted, inputs))
    return recorded_results(row["example_outputs"], published=published)

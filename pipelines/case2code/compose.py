"""Make tasks from executed functions: infer the function from examples (arXiv 2407.12504, section 3.4)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any, ClassVar, Literal

from synth.pipelines.case2code import wording
from synth.pipelines.case2code.layouts import calls_of, outputs_of
from synth.pipelines.case2code.literals import write_call, write_value
from synth.pipelines.case2code.signature import Signature, read_signature, recorded_call
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools
from synth.schemas.record import Record
from synth.schemas.records import CASES, COMPOSED

__all__ = ["Compose", "Errors", "Style"]

Style = Literal["chat", "plain"]
Errors = Literal["message", "type", "omit"]

# The paper's limit.
MAX_PROMPT_CHARS = 32_768


@dataclass(frozen=True)
class Compose(RowStage):
    """Make a task from each executed function: some examples in varied wording, and the function as the answer.

    One task for each function, with randomly drawn wording, notation, examples and order.

    As in the paper: an instruction; a heading in 4 of 5 tasks; the function's name in 4 of 5; one line format for all
    examples; all examples if there are up to three, else any number from three, shuffled; the parts in any order. A
    line shows arguments as `k: v`, as values or as `dict(k=v)`, or else a call by name or by position, drawn for each
    example. Outputs are shown by their `repr`. (The published code quotes them once more.)

    `evaluation` uses the first of each kind of sentence, no heading, always the name and `dict(k=v)`. Only the first
    `visible` calls may be shown; the output column `shown` lists those that are, and the others are for judging.
    `errors`: show a call that raised with its `message`, by its `type`, or not at all (`omit`).

    Rejected: `not_executed`, `count_mismatch`, `unreadable_input`, `nothing_to_show`, `prompt_too_long`.
    """

    name: ClassVar[str] = "case2code compose"
    input: ClassVar[Record] = CASES
    output: ClassVar[Record] = COMPOSED

    commands: ClassVar[tuple[str, ...]] = (
        "synth case2code compose executed/ tasks/",
        "synth case2code compose executed/ test-tasks/ --evaluation --visible 5",
    )

    style: Annotated[Style, Option("`chat` adds the column `messages`; `plain` leaves it out.")] = "chat"
    errors: Annotated[Errors, Option("Show calls that raised with their message, by their type, or not at all.")] = (
        "type"
    )
    evaluation: Annotated[bool, Option("Use the same wording for all tasks, as for a test set.")] = False
    visible: Annotated[int, Option("Number of calls, from the first, that may be shown.", min=1)] = 10

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        yield self.task(row, tools.random("compose"))

    def task(self, row: Row, random: Random) -> Row:
        """The task of an executed function. Raises `Reject`."""
        if row["exec_status"] is False:
            raise Reject("not_executed", "its calls were not run to their end")
        inputs = calls_of(row)
        outputs = [{"return": one.value, "error": str(one) if one.error else None} for one in outputs_of(row)]
        if len(inputs) != len(outputs):
            raise Reject("count_mismatch", f"{len(inputs)} inputs but {len(outputs)} outputs")
        signature = read_signature(row["code"], row["func_name"])
        shown = self._chosen(outputs, random)
        prompt = self._prompt(signature, [(recorded_call(inputs[one]), outputs[one]) for one in shown], random)
        if len(prompt) > MAX_PROMPT_CHARS:
            raise Reject("prompt_too_long", f"{len(prompt):,} characters, more than {MAX_PROMPT_CHARS:,}")
        lead_in = self._one_of(wording.LEAD_INS, random)
        output = f"{lead_in}\n```python\n{row['code'].strip()}\n```"
        messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": output}]
        return {
            "id": row["id"],
            "prompt": prompt,
            "output": output,
            "messages": messages if self.style == "chat" else None,
            "code": row["code"],
            "func_name": signature.name,
            "example_inputs": inputs,
            "example_outputs": outputs,
            "shown": shown,
        }

    def _chosen(self, outputs: Sequence[Mapping[str, Any]], random: Random) -> list[int]:
        """The indices of the examples to show, in order."""
        usable = [
            index
            for index, output in enumerate(outputs[: self.visible])
            if self.errors != "omit" or output["error"] is None
        ]
        if not usable:
            raise Reject("nothing_to_show", "no call gave anything that is to be shown")
        return random.sample(usable, len(usable) if len(usable) <= 3 else random.randint(3, len(usable)))

    def _prompt(
        self, signature: Signature, examples: Sequence[tuple[dict[str, Any], Mapping[str, Any]]], random: Random
    ) -> str:
        form = self._one_of((*wording.RAW_FORMATS, *wording.CALL_FORMATS), random)
        error_form = self._one_of(wording.ERRORS, random)
        lines = [
            form.format(
                input=self._input(signature, arguments, random),
                call=_call(signature, arguments, by_name=random.random() < 0.5),
                output=self._output(output, error_form),
            )
            for arguments, output in examples
        ]
        if not self.evaluation and random.random() < 0.8:
            lines.insert(0, self._one_of(wording.HEADINGS, random))
        parts = [self._one_of(wording.INSTRUCTIONS, random), "\n".join(lines)]
        if self.evaluation or random.random() < 0.8:
            parts.append(self._one_of(wording.NAMES, random).format(name=signature.name))
        random.shuffle(parts)
        return "".join(part + random.choice(wording.NEWLINES) for part in parts).strip("\n")

    def _one_of(self, choices: Sequence[str], random: Random) -> str:
        return choices[0] if self.evaluation else random.choice(choices)

    def _input(self, signature: Signature, arguments: Mapping[str, Any], random: Random) -> str:
        notation = "dict" if self.evaluation else random.choices(("named", "values", "dict"), (33, 33, 34))[0]
        if notation == "named":
            return ", ".join(f"{name}: {write_value(value)}" for name, value in arguments.items())
        if notation == "values" and (values := _by_position(signature, arguments)) is not None:
            return ", ".join(values)
        return write_call(arguments)

    def _output(self, output: Mapping[str, Any], error_form: str) -> str:
        if output["error"] is None:
            return str(output["return"])
        return error_form.format(error=output["error"].partition(":")[0] if self.errors == "type" else output["error"])


def _call(signature: Signature, arguments: Mapping[str, Any], *, by_name: bool) -> str:
    """The call as source. Positional-only and keyword-only parameters are passed accordingly."""
    values = None if by_name else _by_position(signature, arguments)
    if values is None:
        positional_only = [one.name for one in signature.parameters if not one.by_name and one.name in arguments]
        values = [write_value(arguments[name]) for name in positional_only]
        values += [f"{name}={write_value(value)}" for name, value in arguments.items() if name not in positional_only]
    return f"{signature.name}({', '.join(values)})"


def _by_position(signature: Signature, arguments: Mapping[str, Any]) -> list[str] | None:
    """The values in the order of the parameters; None if one must be passed by name."""
    order = [one.name for one in signature.parameters if one.by_position][: len(arguments)]
    return [write_value(arguments[name]) for name in order] if set(order) == arguments.keys() else None

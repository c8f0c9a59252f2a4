"""Records of Case2Code (arXiv 2407.12504) and DSTC (arXiv 2411.13611)."""

from dataclasses import replace

import pyarrow as pa

from synth.schemas.record import Column, Record
from synth.schemas.records.shared import ID, MESSAGES, MODEL

__all__ = [
    "CALLS",
    "CASES",
    "COMPOSED",
    "EVALUATED",
    "EXECUTED",
    "FUNCTION",
    "INPUTS",
    "INSTRUCTION",
    "LABELLED",
    "PREFERENCE",
    "PROGRAM",
    "RAW_FUNCTION",
    "TEST",
]

# Published rows have their id in another column.
ANSWER_ID = replace(ID, aliases=("gen_answer_id",))

PROMPT = Column("prompt", pa.string(), "The task, with the examples shown.")

CODE = Column("code", pa.string(), "Source of the function, after the imports that it needs.", aliases=("content",))

FUNC_NAME = Column(
    "func_name", pa.string(), "Name of the function; null means the last one in the code.", optional=True
)

EXAMPLE_INPUTS = Column(
    "example_inputs", pa.list_(pa.string()), "Arguments of each call by name, as source text: `dict(a=1, b='x')`."
)

EXAMPLE_OUTPUTS = Column(
    "example_outputs",
    pa.list_(pa.struct([("return", pa.string()), ("error", pa.string())])),
    "What each call gave: `return` is the value as source text, or else `error` is the exception.",
)

EXAMPLE_STR = Column(
    "example_str",
    pa.string(),
    "Source that adds the arguments of each call to a list `examples`, as published rows have it.",
    optional=True,
)

IMPORT_CODE = Column(
    "import_code", pa.list_(pa.string()), "Import lines that stand above the source elsewhere.", optional=True
)

PROGRAM = Record(
    "program",
    "Python source, a file or a single function: what `case2code functions` reads.",
    (ID, Column("content", pa.string(), "The source text.", aliases=("code",)), IMPORT_CODE),
)

SOURCE_ID = Column("source_id", pa.string(), "Id of the source that it stands in.")

FUNCTION = Record(
    "function", "A function that runs on its own (arXiv 2407.12504, section 3.1).", (ID, SOURCE_ID, CODE, FUNC_NAME)
)

RAW_FUNCTION = Record(
    "raw_function",
    "A function, made here or published: what `case2code inputs` reads.",
    (ID, replace(SOURCE_ID, optional=True), CODE, FUNC_NAME, IMPORT_CODE),
)

CALLS = Record(
    "calls",
    "A function with calls to try on it, made here or published: what `case2code execute` reads.",
    (
        ANSWER_ID,
        replace(CODE, optional=True),
        FUNC_NAME,
        IMPORT_CODE,
        Column(
            "prompt", pa.string(), "A prompt whose last fence holds the function, where `code` is null.", optional=True
        ),
        replace(EXAMPLE_INPUTS, optional=True),
        EXAMPLE_STR,
    ),
)

INPUTS = Record(
    "inputs",
    "A function with calls to try on it (arXiv 2407.12504, section 3.2).",
    (
        ID,
        CODE,
        FUNC_NAME,
        EXAMPLE_INPUTS,
        Column("input_origins", pa.list_(pa.string()), "Where each call is from: `model` or `types`.", optional=True),
        Column("model", pa.string(), "Model that wrote calls; null where none was asked.", optional=True),
        Column("tries", pa.int32(), "Replies that were asked for.", optional=True),
        Column(
            "reasoning",
            pa.string(),
            "What the model thought before the last reply; null where it did not.",
            optional=True,
        ),
    ),
)

EXEC_STATUS = Column("exec_status", pa.bool_(), "Whether the calls were run to their end.")

EXECUTED = Record(
    "executed",
    "A function with calls and what they gave.",
    (ID, CODE, FUNC_NAME, EXAMPLE_INPUTS, EXAMPLE_OUTPUTS, EXEC_STATUS),
)

CASES = Record(
    "cases",
    "A function with calls and what they gave, made here or published: what `case2code compose` reads.",
    (
        ANSWER_ID,
        CODE,
        FUNC_NAME,
        replace(EXAMPLE_INPUTS, optional=True),
        EXAMPLE_STR,
        EXAMPLE_OUTPUTS,
        replace(EXEC_STATUS, optional=True),
    ),
)

COMPOSED = Record(
    "composed",
    "A training or evaluation row: examples of an unknown function, and the function (arXiv 2407.12504).",
    (
        ID,
        PROMPT,
        Column("output", pa.string(), "The function in a python fence, after a lead-in."),
        Column("messages", MESSAGES, "Prompt and output as a chat; null with `--style plain`.", optional=True),
        CODE,
        FUNC_NAME,
        EXAMPLE_INPUTS,
        EXAMPLE_OUTPUTS,
        Column("shown", pa.list_(pa.int32()), "Indices of the examples in the prompt, in order; the rest are hidden."),
    ),
)

TEST = Record(
    "test",
    "An evaluation row, made here or published: what `case2code evaluate` reads.",
    (
        ID,
        PROMPT,
        Column(
            "output", pa.string(), "The function in a python fence: the answer that `--gold` judges.", optional=True
        ),
        CODE,
        FUNC_NAME,
        replace(EXAMPLE_INPUTS, optional=True),
        EXAMPLE_STR,
        EXAMPLE_OUTPUTS,
        Column(
            "shown",
            pa.list_(pa.int32()),
            "Indices of the examples in the prompt; the rest are hidden. Null: all are shown.",
            aliases=("choosed_example_idx",),
            optional=True,
        ),
    ),
)

EVALUATED = Record(
    "evaluated",
    "A task with the functions that a model wrote for it, judged (arXiv 2407.12504, section 4).",
    (
        ID,
        Column("func_name", pa.string(), "Name of the function that was to be found."),
        Column("responses", pa.list_(pa.string()), "The samples, as the model wrote them."),
        Column("reasonings", pa.list_(pa.string()), "What the model thought before each; null where it did not."),
        Column(
            "labels",
            pa.list_(pa.string()),
            "Of each sample: `correct`, `wrong_on_hidden`, `wrong_output`, `no_code`, or why it did not run.",
        ),
        Column("details", pa.list_(pa.string()), "Of each sample the first call that is wrong, or what went wrong."),
        Column("right_on_shown", pa.list_(pa.bool_()), "Whether each sample is right on all calls in the prompt."),
        Column(
            "right_on_hidden",
            pa.list_(pa.bool_()),
            "Whether each sample is right on all other calls; null where there are none.",
        ),
        Column("n", pa.int32(), "Number of samples."),
        Column("correct", pa.int32(), "Samples that are right on all calls."),
        Column(
            "pass_at",
            pa.list_(
                pa.struct([("k", pa.int32()), ("all", pa.float64()), ("shown", pa.float64()), ("hidden", pa.float64())])
            ),
            "Estimated chance that one of k samples is right on all calls, on those shown, on the hidden ones.",
        ),
        MODEL,
    ),
)

JUDGED = (
    Column("entry_point", pa.string(), "Name of the function that codes define and tests call."),
    Column("gap", pa.float64(), "Share of the tests by which the chosen code is ahead of the rejected one, 0 to 1."),
    Column("n_codes", pa.int32(), "Codes that were compared."),
    Column("n_tests", pa.int32(), "Tests that tell them apart."),
    Column("codes", pa.list_(pa.string()), "The codes that were compared."),
    Column("tests", pa.list_(pa.string()), "The tests that tell them apart."),
    Column("matrix", pa.list_(pa.string()), "For each code a text such as `1101`: whether it passes each test."),
    MODEL,
)

TASK = Column("prompt", pa.string(), "The task as it is trained on, which asks for a function and a test.")

INSTRUCTION = Record(
    "instruction",
    "A programming task: what `dstc` reads.",
    (
        ID,
        Column(
            "instruction",
            pa.string(),
            "The task, with the `input` that belongs to it.",
            aliases=("prompt", "question", "query", "problem", "text"),
            takes_input=True,
        ),
        Column("entry_point", pa.string(), "Name that the function must have; `--entry` if null.", optional=True),
        Column(
            "starter_code",
            pa.string(),
            "Code that the solution begins with, such as a signature.",
            aliases=("signature",),
            optional=True,
        ),
    ),
)

PREFERENCE = Record(
    "preference",
    "A program that passes its test and one that fails its test, for the same task (arXiv 2411.13611).",
    (
        ID,
        TASK,
        Column("chosen", pa.string(), "A code with a test that it passes, as one program in a python fence."),
        Column("rejected", pa.string(), "A code with a test that it fails, as one program in a python fence."),
        Column("chosen_messages", MESSAGES, "Prompt and `chosen` as a chat; null with `--style plain`."),
        Column("rejected_messages", MESSAGES, "Prompt and `rejected` as a chat; null with `--style plain`."),
        Column("chosen_code", pa.string(), "The code of `chosen`."),
        Column("chosen_test", pa.string(), "The test of `chosen`."),
        Column("rejected_code", pa.string(), "The code of `rejected`; in `rejected/` a code that was turned away."),
        Column("rejected_test", pa.string(), "The test of `rejected`; in `rejected/` a test that was turned away."),
        Column("chosen_reasoning", pa.string(), "What the model thought before `chosen_code`; null where it did not."),
        Column(
            "rejected_reasoning", pa.string(), "What the model thought before `rejected_code`; null where it did not."
        ),
        *JUDGED,
    ),
)

LABELLED = Record(
    "labelled",
    "A program with its test, labelled by whether it passes (arXiv 2411.13611); two for each task.",
    (
        ID,
        TASK,
        Column("completion", pa.string(), "A code with a test, as one program in a python fence."),
        Column("label", pa.bool_(), "Whether the code passes the test."),
        Column("messages", MESSAGES, "Prompt and completion as a chat; null with `--style plain`."),
        Column("code", pa.string(), "The code of the completion; in `rejected/` a code that was turned away."),
        Column("test", pa.string(), "The test of the completion; in `rejected/` a test that was turned away."),
        Column("reasoning", pa.string(), "What the model thought before the code; null where it did not."),
        *JUDGED,
    ),
)

"""Record types: what each column of a stage's input and output is called, holds and means.

A record is an Arrow schema whose columns carry their documentation, so that `synth schema` can print it and a
dataset directory can be checked against it. Column names follow the papers (see each recipe's module).
"""

from dataclasses import dataclass

import pyarrow as pa

import schemas.lean_arrow  # noqa: F401

__all__ = [
    "COMPOSED",
    "CURVE",
    "DOCUMENT",
    "EVALUATED",
    "EVOLVED",
    "EXECUTED",
    "FUNCTION",
    "INPUTS",
    "INSTRUCTION",
    "LABELLED",
    "PATH",
    "PREFERENCE",
    "PROGRAM",
    "QUERY",
    "QUERY_POOL",
    "QUESTION",
    "RECORDS",
    "RESPONSE",
    "RETRIEVED",
    "ROW",
    "SEARCH",
    "SEED",
    "SELECTED",
    "Column",
    "Record",
]


@dataclass(frozen=True)
class Column:
    """One documented column.

    `aliases` are names under which other steps of the same recipes, or the published data, hold the same thing: an
    input that lacks `name` is searched for them in order. An `optional` column may be absent from an input, or null.
    A `numeric` text column also takes numbers, written as Python writes them (a gold answer of 72 or 0.5).
    """

    name: str
    type: pa.DataType
    doc: str
    aliases: tuple[str, ...] = ()
    optional: bool = False
    numeric: bool = False


@dataclass(frozen=True)
class Record:
    """A named row type. `schema` is its Arrow form: one nullable field a column, its doc in the field's metadata.

    Rows of an `open` record have whatever other columns the input has, too.
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    open: bool = False

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(c.name, c.type, metadata={"doc": c.doc}) for c in self.columns])

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]


ID = Column("id", pa.string(), "Unique name of the row; a path such as `gsm8k-17/evolve-2/path-5` tells its lineage.")
QUERY_TEXT = Column("query", pa.string(), "The question as the model is asked it.")
MODEL = Column("model", pa.string(), "Model that wrote the text, as named on the command line.")
FINISH_REASON = Column("finish_reason", pa.string(), "`stop`, or `length` where the token limit cut the text.")
PROMPT_TOKENS = Column("prompt_tokens", pa.int32(), "Tokens of the prompt that this text answered.")
COMPLETION_TOKENS = Column("completion_tokens", pa.int32(), "Tokens of the text.")

ROW = Record(
    "row",
    "A row of any dataset: what `dedup` and `decontaminate` read and write. All its other columns go through.",
    (ID,),
    open=True,
)

QUESTION = Record(
    "question",
    "A question with its gold solution: what `reject sample` reads.",
    (
        ID,
        Column("question", pa.string(), "The question.", aliases=("query", "problem")),
        Column(
            "answer",
            pa.string(),
            "Gold solution ending in `#### <answer>`, or the bare answer.",
            aliases=("response", "solution"),
            numeric=True,
        ),
    ),
)

QUERY = Record(
    "query",
    "A question that needs no gold answer: what `augment evolve` and `augment respond` read.",
    (ID, Column("query", pa.string(), "The question.", aliases=("question", "problem"))),
)

EVOLVED = Record(
    "evolved",
    "An evolved question, one of five per seed (arXiv 2310.05506, section 3).",
    (
        ID,
        Column("parent_id", pa.string(), "Id of the question that was evolved."),
        Column("evolution_type", pa.int32(), "Number of the evolution, 1 to 5."),
        Column("evolution_name", pa.string(), "Name of the evolution."),
        QUERY_TEXT,
        Column("evolver_model", pa.string(), "Model that wrote the evolved question."),
        Column("round", pa.int32(), "How many evolutions lie between this query and the seed; 1 for a first one."),
    ),
)

RESPONSE = Record(
    "response",
    "A kept response to a query, with the answer on which the samples agree.",
    (
        ID,
        Column("query_id", pa.string(), "Id of the query."),
        QUERY_TEXT,
        Column("response", pa.string(), "The reasoning path, trimmed after its answer line."),
        Column("answer", pa.string(), "Final answer of this response."),
        Column("agreement", pa.float64(), "Share of the query's samples that give this answer, 0 to 1."),
        Column("temperature", pa.float64(), "Sampling temperature."),
        Column("shots", pa.int32(), "Number of worked examples in the prompt."),
        MODEL,
        FINISH_REASON,
        PROMPT_TOKENS,
        COMPLETION_TOKENS,
    ),
)

PATH = Record(
    "path",
    "One sampled reasoning path with the gold answer beside it, not yet judged (arXiv 2308.01825, section 3.2).",
    (
        ID,
        Column("query_id", pa.string(), "Id of the question."),
        QUERY_TEXT,
        Column("answer", pa.string(), "Gold solution or bare gold answer, as it was given."),
        Column("response", pa.string(), "The sampled path, as the model wrote it."),
        Column("sample", pa.int32(), "Sample index of the path under its question, from 0."),
        Column("temperature", pa.float64(), "Sampling temperature."),
        MODEL,
        FINISH_REASON,
        PROMPT_TOKENS,
        COMPLETION_TOKENS,
    ),
)

SELECTED = Record(
    "selected",
    "A training row: the gold solution, or an accepted path with a calculation that no other kept path has.",
    (
        ID,
        Column("query_id", pa.string(), "Id of the question."),
        QUERY_TEXT,
        Column("response", pa.string(), "The solution."),
        Column("origin", pa.string(), "`gold` or `sampled`."),
        Column("key", pa.string(), "Its equations in order, joined by `|`, without spaces: what makes paths distinct."),
        Column("sample", pa.int32(), "Sample index of the path; null for gold."),
        Column("model", pa.string(), "Model that wrote the path; null for gold."),
    ),
)

CURVE = Record(
    "curve",
    "What k samples a question give (arXiv 2308.01825, section 3.3): one row for each k.",
    (
        ID,
        Column("k", pa.int32(), "Samples of each question that are looked at, from the first."),
        Column("questions", pa.int64(), "Questions with a gold answer."),
        Column("correct_paths", pa.float64(), "Paths with the gold answer and no wrong equation, per question."),
        Column("distinct_paths", pa.float64(), "Different calculations among them, per question."),
    ),
)

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

PROGRAM = Record(
    "program",
    "Python source, a file or a single function: what `case2code functions` reads.",
    (
        ID,
        Column("content", pa.string(), "The source text.", aliases=("code",)),
        Column(
            "import_code", pa.list_(pa.string()), "Import lines that stand above the source elsewhere.", optional=True
        ),
    ),
)

FUNCTION = Record(
    "function",
    "A function that runs on its own (arXiv 2407.12504, section 3.1).",
    (ID, Column("source_id", pa.string(), "Id of the source that it stands in."), CODE, FUNC_NAME),
)

INPUTS = Record(
    "inputs",
    "A function with calls to try on it (arXiv 2407.12504, section 3.2).",
    (
        ID,
        CODE,
        FUNC_NAME,
        EXAMPLE_INPUTS,
        Column("input_origins", pa.list_(pa.string()), "Where each call is from: `model` or `types`."),
        Column("model", pa.string(), "Model that wrote calls; null where none was asked.", optional=True),
        Column("tries", pa.int32(), "Replies that were asked for."),
    ),
)

EXECUTED = Record(
    "executed",
    "A function with calls and what they gave: what `case2code compose` reads.",
    (
        ID,
        CODE,
        FUNC_NAME,
        EXAMPLE_INPUTS,
        EXAMPLE_OUTPUTS,
        Column("exec_status", pa.bool_(), "Whether the calls were run to their end."),
    ),
)

COMPOSED = Record(
    "composed",
    "A training or evaluation row: examples of an unknown function, and the function (arXiv 2407.12504).",
    (
        ID,
        Column("prompt", pa.string(), "The task, with the examples shown."),
        Column("output", pa.string(), "The function in a python fence, after a lead-in."),
        Column(
            "messages",
            pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])),
            "Prompt and output as a chat; null with `--style plain`.",
            optional=True,
        ),
        CODE,
        FUNC_NAME,
        EXAMPLE_INPUTS,
        EXAMPLE_OUTPUTS,
        Column("shown", pa.list_(pa.int32()), "Indices of the examples in the prompt, in order; the rest are hidden."),
    ),
)

EVALUATED = Record(
    "evaluated",
    "A task with the functions that a model wrote for it, judged (arXiv 2407.12504, section 4).",
    (
        ID,
        Column("func_name", pa.string(), "Name of the function that was to be found."),
        Column("responses", pa.list_(pa.string()), "The samples, as the model wrote them."),
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
MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))

INSTRUCTION = Record(
    "instruction",
    "A programming task: what `dstc` reads.",
    (
        ID,
        Column("instruction", pa.string(), "The task.", aliases=("prompt", "question", "query", "problem")),
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
        *JUDGED,
    ),
)

DOMAIN = Column("domain", pa.string(), "The domain that the query belongs to, such as `biology`.")

SEED = Record(
    "seed",
    "Something that belongs to a domain: what `query-of-cc bootstrap` reads. A pool of queries can be given again.",
    (
        ID,
        DOMAIN,
        Column(
            "kind",
            pa.string(),
            "`category`, `question`, `phrase`, `passage` or `thought`; guessed from the text if null.",
            optional=True,
        ),
        Column("text", pa.string(), "The seed.", aliases=("seed", "query", "question", "name")),
        Column("round", pa.int32(), "Round of a pool that gave it; null for what no pool has yet.", optional=True),
    ),
)

QUERY_POOL = Record(
    "query_pool",
    "A query for documents of a domain, with where it comes from (arXiv 2401.14624).",
    (
        ID,
        DOMAIN,
        Column("kind", pa.string(), "`seed`, `question` or `thought`."),
        Column("text", pa.string(), "The query."),
        Column(
            "parent_id", pa.string(), "Id of the seed or query that it was written for; null for a seed.", optional=True
        ),
        Column("round", pa.int32(), "Rounds between this query and the seed; 0 for a seed."),
        Column("model", pa.string(), "Model that wrote the query; null for a seed.", optional=True),
    ),
)

SEARCH = Record(
    "search",
    "A query as `query-of-cc retrieve` reads it: of a pool, or of any other list.",
    (
        ID,
        Column("text", pa.string(), "The query.", aliases=("query", "question")),
        Column("domain", DOMAIN.type, DOMAIN.doc, optional=True),
    ),
)

DOCUMENT = Record(
    "document",
    "A document of a corpus: what `query-of-cc index` reads, and what stands in an index directory.",
    (
        ID,
        Column(
            "text",
            pa.string(),
            "The whole text.",
            aliases=("content", "document", "passage", "raw_content"),
            optional=True,
        ),
        Column("url", pa.string(), "Where it is from.", aliases=("source_url", "URL"), optional=True),
    ),
)

RETRIEVED = Record(
    "retrieved",
    "A document that queries found, once, with all of them (arXiv 2401.14624).",
    (
        ID,
        Column("text", pa.string(), "The whole text."),
        Column("url", pa.string(), "Where it is from; null where that is not known."),
        Column("domains", pa.list_(pa.string()), "Domains of the queries, in alphabetical order."),
        Column("queries", pa.list_(pa.string()), "Ids of the queries that found it, the best score first."),
        Column("scores", pa.list_(pa.float32()), "Score of each of these queries."),
        Column("best_score", pa.float32(), "The first of the scores."),
        Column("terms", pa.list_(pa.string()), "Words of the first query that occur in the text, the rarest first."),
    ),
)

RECORDS = (
    QUESTION,
    QUERY,
    EVOLVED,
    RESPONSE,
    PATH,
    SELECTED,
    CURVE,
    PROGRAM,
    FUNCTION,
    INPUTS,
    EXECUTED,
    COMPOSED,
    EVALUATED,
    INSTRUCTION,
    PREFERENCE,
    LABELLED,
    SEED,
    QUERY_POOL,
    SEARCH,
    DOCUMENT,
    RETRIEVED,
    ROW,
)

"""What the embedded model is trained on: examples of each task, in the recipes' own prompts.

An example is a rendered prompt and the completion that is learnt.
"""

import itertools
from collections.abc import Callable, Iterator
from hashlib import sha256
from random import Random

from synth.pipelines.augment.evolve import Evolve
from synth.pipelines.augment.respond import Respond
from synth.pipelines.case2code import inputs
from synth.pipelines.case2code.compose import Compose
from synth.pipelines.case2code.evaluate import EvaluateFunctions
from synth.pipelines.case2code.inputs import Inputs
from synth.pipelines.engines import Message
from synth.pipelines.instag.tag import Tag
from synth.pipelines.query_of_cc.bootstrap import Bootstrap
from synth.pipelines.reject import sample
from synth.pipelines.reject.sample import SamplePaths
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.self_lengthen import instruct
from synth.pipelines.self_lengthen.draft import DraftResponses
from synth.pipelines.self_lengthen.extend import Extend
from tiny_model.functions import SmallFunction, training_functions
from tiny_model.problems import Family, Problem, calculations, examples, families
from tiny_model.questions import KINDS, Topic, numbered, questions, thought, training_topics
from tiny_model.tags import Label, problem_labels, question_labels, reply, task_labels, text_labels
from tiny_model.texts import Subject, example_instructions, instruction, short_text, subjects, unsuited

__all__ = ["END", "TASKS", "TURNS", "Example", "Sources", "prompt_digests", "render", "training_families"]

END = "<|end|>"
TURNS = ("<|system|>", "<|user|>", "<|assistant|>")

_ALPACA, _CHAT = SamplePaths().prompt, Prompt.load("chat", sample.FOLDER)
_RESPOND, _EVOLVE = Respond().prompt, Evolve().prompt
_INSTRUCT, _SUITED = (Prompt.load(name, instruct.FOLDER) for name in ("instruct", "suited"))
_DRAFT, _EXTEND = DraftResponses().prompt, Extend().prompt
_INPUTS, _INPUTS_PLAIN = Inputs().prompt, Prompt.load("inputs-plain", inputs.FOLDER)
_INDUCE = EvaluateFunctions().prompt
_QUESTIONS, _THOUGHT = Bootstrap().questions_prompt, Bootstrap().thought_prompt
_TAG = Tag().prompt

Example = tuple[str, str]


def prompt_digests() -> dict[str, str]:
    """What tells the wording of each prompt that is learnt from any other; the model knows only these."""
    rendered = {
        "alpaca": _ALPACA.render(question="?"),
        "chat": _CHAT.render(question="?"),
        "respond": _RESPOND.render(query="?", shots=[{"question": "?", "answer": "!"}]),
        "evolve": _EVOLVE.render(query="?"),
        "instruct": _INSTRUCT.render(first="?", second="?", language="en"),
        "suited": _SUITED.render(instruction="?", language="en"),
        "draft": _DRAFT.render(instruction="?", language="en"),
        "extend": _EXTEND.render(instruction="?", outline="!", language="en"),
        "inputs": _INPUTS.render(code="?", n=Inputs().n),
        "inputs-plain": _INPUTS_PLAIN.render(code="?", n=Inputs().n),
        "evaluate": _INDUCE.render(prompt="?"),
        "questions": "".join(render(_QUESTIONS.render(domain="?", kind=kind, text="!", n=10)) for kind in KINDS),
        "thought": _THOUGHT.render(domain="?", question="!"),
        "tag": _TAG.render(query="?"),
    }
    return {name: sha256(render(prompt).encode()).hexdigest() for name, prompt in rendered.items()}


class Sources:
    """What examples are drawn from, the same for the same seed; nothing of what `examples/` holds."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)
        self._families = training_families(seed)
        self._subjects = _training_subjects(seed)
        self._functions = training_functions(seed)
        self._topics = training_topics(seed)

    def problem(self) -> Problem:
        """Evolved questions as often as plain ones: evolution 1 is as plain as the seed."""
        family = self.family()
        return self.random.choice((family.seed, *family.problems, family.evolutions[0]))

    def family(self) -> Family:
        return next(self._families)

    def subject(self) -> Subject:
        return next(self._subjects)

    def topic(self, *kinds: str) -> Topic:
        """A topic of one of the kinds, or of any."""
        return next(topic for topic in self._topics if topic.kind in (kinds or KINDS))

    def instruction(self) -> str:
        return instruction(self.subject(), self.random)

    def function(self) -> SmallFunction:
        return next(self._functions)


def training_families(seed: str) -> Iterator[Family]:
    """Families that share no question with `examples/questions.jsonl`."""
    held_out = {row["question"] for row in examples()}
    for family in families(seed):
        if not any(problem.question in held_out for problem in family.problems):
            yield family


def _training_subjects(seed: str) -> Iterator[Subject]:
    """Subjects that no instruction of `examples/instructions.jsonl` names."""
    held_out = [row["instruction"] for row in example_instructions()]
    for subject in subjects(seed):
        if not any(subject.name in text and subject.kind in text and subject.season in text for text in held_out):
            yield subject


def render(prompt: str | tuple[Message, ...]) -> str:
    """The text of a prompt as the chat template makes it, ready for the model to continue."""
    if isinstance(prompt, str):
        return prompt
    *turns, last = prompt
    begun = last["role"] == "assistant"
    closed = "".join(f"<|{turn['role']}|>{turn['content']}{END}" for turn in (turns if begun else prompt))
    return closed + TURNS[-1] + (last["content"] if begun else "")


def _alpaca(sources: Sources) -> Example:
    problem = sources.problem()
    return render(_ALPACA.render(question=problem.question)), "\n" + problem.solution(sources.random)


def _chat(sources: Sources) -> Example:
    problem = sources.problem()
    return render(_CHAT.render(question=problem.question)), problem.solution(sources.random)


def _respond(sources: Sources) -> Example:
    return _respond_after(0, sources)


def _respond_with_shots(sources: Sources) -> Example:
    return _respond_after(sources.random.randint(1, 2), sources)


def _respond_after(shots: int, sources: Sources) -> Example:
    *solved, problem = (sources.problem() for _ in range(shots + 1))
    shown = [{"question": known.question, "answer": known.solution(sources.random)} for known in solved]
    return render(_RESPOND.render(query=problem.question, shots=shown)), problem.solution(sources.random)


def _evolve(sources: Sources) -> Example:
    family = sources.family()
    return render(_EVOLVE.render(query=family.seed.question)), family.evolve_reply


def _calculate(sources: Sources) -> Example:
    """Bare calculations as problems need them, without the words between them."""
    known = (calculation for _ in itertools.count() for calculation in calculations(sources.problem(), sources.random))
    return "Calculate:", "".join(f"\n<<{next(known)}>>" for _ in range(20))


def _instruct(sources: Sources) -> Example:
    """One in ten is no task for a long text, so that there is something to turn down."""
    first, second = sources.instruction(), sources.instruction()
    third = unsuited(sources.subject(), sources.random) if sources.random.random() < 0.1 else sources.instruction()
    return render(_INSTRUCT.render(first=first, second=second, language="en")), f" {third}"


def _suited(sources: Sources) -> Example:
    suited = sources.random.random() < 0.5
    text = sources.instruction() if suited else unsuited(sources.subject(), sources.random)
    return render(_SUITED.render(instruction=text, language="en")), "Yes" if suited else "No"


def _draft(sources: Sources) -> Example:
    subject = sources.subject()
    text = instruction(subject, sources.random)
    return render(_DRAFT.render(instruction=text, language="en")), str(short_text(subject, sources.random))


def _extend(sources: Sources) -> Example:
    """Texts of any length, also halves of texts, and with paragraphs missing, as in the training sets of the loop."""
    random, subject = sources.random, sources.subject()
    asked, text = instruction(subject, random), short_text(subject, random)
    if random.random() < 0.7:
        text = text.extended(random.uniform(1.0, 5.0), random)
    if random.random() < 0.4:
        text = text.first_half()
    longer = text.extended(random.uniform(1.5, 2.6), random)
    outline = text.thinned(random) if random.random() < 0.25 else text
    return render(_EXTEND.render(instruction=asked, outline=str(outline), language="en")), str(longer)


def _inputs(sources: Sources) -> Example:
    function = sources.function()
    return render(_INPUTS.render(code=function.code, n=Inputs().n)), function.inputs_reply(sources.random)


def _inputs_plain(sources: Sources) -> Example:
    function = sources.function()
    reply = function.inputs_reply(sources.random)
    return render(_INPUTS_PLAIN.render(code=function.code, n=Inputs().n)), f" {reply}"


def _induce(sources: Sources) -> Example:
    """As often in the wording of evaluation as in any other."""
    function = sources.function()
    task = function.task(sources.random, Compose(evaluation=sources.random.random() < 0.5))
    return render(_INDUCE.render(prompt=task)), f"```python\n{function.answer}\n```"


def _ask(sources: Sources) -> Example:
    """As many questions as the recipe asks for by default, or fewer."""
    random, topic = sources.random, sources.topic()
    most = Bootstrap().questions_per_seed
    n = most if random.random() < 0.4 else random.randint(3, most)
    prompt = _QUESTIONS.render(domain=topic.domain, kind=topic.kind, text=topic.text, n=n)
    return render(prompt), numbered(questions(topic, n, random))


def _think(sources: Sources) -> Example:
    topic = sources.topic("question")
    return render(_THOUGHT.render(domain=topic.domain, question=topic.text)), thought(topic, sources.random)


def _tag(sources: Sources) -> Example:
    """Instructions of every recipe, those about the domains twice as often: they are the most various."""
    text, labels = sources.random.choice((_problem, _text, _longer_text, _task, _question, _question))(sources)
    return render(_TAG.render(query=text)), reply(labels)


def _problem(sources: Sources) -> tuple[str, list[Label]]:
    family = sources.family()
    text = sources.random.choice(family.problems).question
    return text, problem_labels(family.kind, text)


def _text(sources: Sources) -> tuple[str, list[Label]]:
    text = sources.instruction()
    return text, text_labels(text)


def _longer_text(sources: Sources) -> tuple[str, list[Label]]:
    subject = sources.subject()
    outline = str(short_text(subject, sources.random))
    prompt = _EXTEND.render(instruction=instruction(subject, sources.random), outline=outline, language="en")
    text = render(prompt).removeprefix("<|user|>").removesuffix(END + TURNS[-1])
    return text, text_labels(text)


def _task(sources: Sources) -> tuple[str, list[Label]]:
    text = sources.function().task(sources.random, Compose())
    return text, task_labels(text)


def _question(sources: Sources) -> tuple[str, list[Label]]:
    topic = sources.topic("question", "passage", "thought")
    return topic.text, question_labels(topic.domain, topic.text)


# How often a batch is of this kind, and how many examples it holds.
TASKS: dict[Callable[[Sources], Example], tuple[float, int]] = {
    _alpaca: (0.26, 32),
    _chat: (0.03, 32),
    _respond: (0.13, 32),
    _respond_with_shots: (0.02, 10),
    _evolve: (0.07, 12),
    _calculate: (0.08, 16),
    _instruct: (0.02, 24),
    _suited: (0.01, 24),
    _draft: (0.03, 24),
    _extend: (0.05, 8),
    _inputs: (0.06, 12),
    _inputs_plain: (0.01, 12),
    _induce: (0.10, 24),
    _ask: (0.07, 12),
    _think: (0.03, 24),
    _tag: (0.05, 24),
}

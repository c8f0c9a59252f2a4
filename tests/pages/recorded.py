"""A server that answers the recipes' own prompts as a model would that follows them, and any JSON schema."""

import asyncio
import json
import random
import re
from typing import Any

from docs.resume import REPLY
from synth.pipelines.engines import Request, Sampling
from synth.pipelines.engines.echo import EchoEngine
from tests.counting_server import CountingServer, solution
from tests.pages.page import ROOT

TAGS = ("arithmetic", "word problem", "multiplication", "unit price", "comparison", "percentages")
SUBJECTS = [
    "A socket",
    "The server",
    "An address",
    "A connection",
    "This protocol",
    "The client",
    "A certificate",
    "The network",
]
VERBS = ["keeps", "opens", "names", "checks", "closes", "sends", "waits for", "encrypts"]
OBJECTS = [
    "every request",
    "a new stream",
    "the host",
    "some bytes",
    "one message",
    "the other end",
    "its port",
    "a short answer",
]
QUESTIONS = (ROOT / "examples" / "questions.jsonl").read_text().splitlines()
TRIVIA = [json.loads(line) for line in (ROOT / "examples" / "trivia.jsonl").read_text().splitlines()]
TOOL_TASKS = list(map(json.loads, (ROOT / "examples" / "tool-tasks.jsonl").read_text().splitlines()))
ANSWERS = {row["question"]: row["answer"] for row in map(json.loads, QUESTIONS)}
FUNCTIONS = """\
def initials(name):
    return "".join(word[0].upper() for word in name.split())


def shorten(text, width):
    return text if len(text) <= width else text[:width] + "..."


def second_largest(numbers):
    return sorted(set(numbers))[-{rank}]
"""
TESTS = {
    "initials": ['assert initials("ada lovelace") == "AL"'],
    "second_largest": ["assert second_largest([3, 9, 7]) == 7", "assert second_largest([1, 2]) == 1"],
}
CALLS = {
    "initials": 'dict(name="ada lovelace"), dict(name="alan"), dict(name="a b c")',
    "shorten": 'dict(text="a long text", width=4), dict(text="ab", width=4), dict(text="", width=0)',
    "second_largest": "dict(numbers=[3, 9, 7]), dict(numbers=[1, 2]), dict(numbers=[5, 5, 4])",
}


class RecordedServer(CountingServer):
    def __init__(self) -> None:
        super().__init__(0.0, solution)

    def text(self, body: dict[str, Any], seed: int) -> str:
        said = [message["content"] for message in body.get("messages", [])] or [body["prompt"]]
        whole, asked = "\n".join(said), said[-1]
        if any(part in whole for part in ASKS_FOR_TAGS):
            return tags(seed)
        if SORTS_REQUESTS in whole:
            return sorted_request(asked)
        if COMPARES in whole:
            return compared(asked)
        if "response_format" in body:
            return instance(body["response_format"]["json_schema"]["schema"])
        for part, reply in REPLIES.items():
            if part in whole:
                return reply(asked if part != "Put it in such a way" else said[0], seed)
        return prose(seed, 6)


def instance(schema: dict[str, Any]) -> str:
    """The least that a schema allows."""
    answer = asyncio.run(EchoEngine().answer(Request("", Sampling(), schema=schema)))
    return answer.completions[0].text


def tool_calls(asked: str, seed: int) -> str:
    """The calls for a task of the examples, but every third time others; and the first answer to one who asks again."""
    if "Your answer so far was:" in asked:
        return asked.split("Your answer so far was:")[1].split("\n\n")[1]
    calls: list[Any] = next((task["calls"] for task in TOOL_TASKS if str(task["messages"]) in asked), [])
    return json.dumps(calls if seed % 3 else [{"name": "weather", "arguments": {"city": "Rome"}}])


def tags(seed: int) -> str:
    chosen = [TAGS[(seed + step) % len(TAGS)] for step in range(2 + seed % 2)]
    return str([{"tag": tag, "explanation": f"It is about {tag}."} for tag in chosen]).replace("'", '"')


def prose(seed: int, sentences: int) -> str:
    drawn = random.Random(seed)
    lines = []
    for number in range(sentences):
        parts = [drawn.choice(SUBJECTS), drawn.choice(VERBS), drawn.choice(OBJECTS), f"in case {seed % 97}-{number}"]
        lines.append(" ".join(parts) + "." + ("\n\n" if number % 5 == 4 else ""))
    return " ".join(lines).replace("\n\n ", "\n\n").strip()


def solved(asked: str, seed: int) -> str:
    """The answer of an example in one of five ways, but every third time, and for other questions, another one."""
    answer = next((answer for question, answer in ANSWERS.items() if question in asked), None)
    if answer is None or seed % 3 == 0:
        return solution(seed)
    return f"First 2+{seed % 5}=<<2+{seed % 5}={2 + seed % 5}>>{2 + seed % 5}.\n{answer}"


def answered(asked: str, seed: int) -> str:
    """The answer of an example, but every other time another one; of three options any."""
    answer = next((answer for question, answer in ANSWERS.items() if question in asked), "")
    right = answer.rpartition("#### ")[2] if seed % 2 else str(seed % 97)
    return f"This fits best in case {seed % 97}.\nThe answer is {right if answer else 'ABC'[seed % 3]}."


def judged(asked: str, seed: int) -> str:  # noqa: ARG001
    return f"{prose(seed, 2)}\n\nVerdict: {'correct' if seed % 3 else 'incorrect'}"


def inputs(asked: str, seed: int) -> str:  # noqa: ARG001
    calls = next((calls for name, calls in CALLS.items() if f"def {name}(" in asked), "")
    return f"```python\nexamples = [{calls}]\n```"


def program(asked: str, seed: int) -> str:  # noqa: ARG001
    """Every fourth one is wrong about the second largest number."""
    return f"```python\n{FUNCTIONS.format(rank=1 if seed % 4 == 0 else 2)}```"


def test(asked: str, seed: int) -> str:
    tests = next(tests for name, tests in TESTS.items() if f"`{name}`" in asked)
    return f"```python\n{tests[seed % len(tests)]}\n```"


def questions(asked: str, seed: int) -> str:  # noqa: ARG001
    return "\n".join(
        f"{number}. How does {SUBJECTS[number].lower()} know that case {seed % 997} {VERBS[number]} {number}?"
        for number in (1, 2)
    )


def scenes(asked: str, seed: int) -> str:  # noqa: ARG001
    return "\n\n".join(
        f"Scene {number}:\nType: chat\nLocation: {OBJECTS[number]}\nBackground: {prose(8 * seed + number, 1)}"
        for number in (1, 2)
    )


def script(asked: str, seed: int) -> str:
    (name,) = re.findall(r"The person: (.*)", asked)
    turns = [f"{role} (speaking)\n{prose(seed + turn, 1)}" for turn, role in enumerate((name, "Miles", name))]
    return "\n\n".join(["Background:\nA room, in winter.", *turns])


def constrained(asked: str, seed: int) -> str:  # noqa: ARG001
    (length,) = re.findall(r"how long the text is to be: (.*)\.\n", asked)
    (assignment,) = re.findall(r"\[begin of the assignment\]\n(.*?)\n\[end", asked, re.DOTALL)
    return f"{assignment} Write {length}."


def trivia(asked: str, seed: int) -> str:  # noqa: ARG001
    """The answer of every other example."""
    known = {row["question"]: row["answer"][0] for row in TRIVIA[::2]}
    return f"It is {known.get(asked, 'hard to say')}."


def sorted_request(asked: str) -> str:
    applies = {"intent": "look" in asked, "knowledge": "Describe" not in asked, "time": "now" in asked}
    return json.dumps({"reason": "So it reads.", **{name: "yes" if yes else "no" for name, yes in applies.items()}})


def compared(asked: str) -> str:
    """Scores by the lengths of the responses, wherever they stand."""
    responses = re.findall(r"\[begin of response (\d+)\]\n(.*?)\n\[end of response", asked, re.DOTALL)
    return json.dumps({"reason": "So it reads.", **{number: len(text) % 10 + 1 for number, text in responses}})


# By what the prompts of the recipes say. Those before `REPLIES` come with a schema, which says less.
ASKS_FOR_TAGS = ("label instructions", "Tag what the user wants")
SORTS_REQUESTS = "You sort the requests"
COMPARES = "responses to the same query"
REPLIES = {
    "You answer quiz questions": trivia,
    "You solve problems. Work them out": solved,
    "You answer questions": answered,
    "You solve problems. Work in short steps": answered,
    "You check answers": judged,
    "You rewrite answers": lambda _, seed: prose(seed + 1, 3),
    "You teach a student": lambda asked, seed: f"{judged(asked, seed)}\nAnswer:\n{prose(seed + 1, 3)}",
    "looks the answer over": lambda _, seed: f"{prose(seed, 1)}\nVerdict: incorrect",
    "You try out Python functions": inputs,
    "You write Python programs": program,
    "You test Python programs": test,
    "Give the whole function": program,
    "You draw up reading lists": questions,
    "You plan scenes": scenes,
    "You write scripts": script,
    "You answer requests by calling functions": tool_calls,
    "You think aloud": lambda _, seed: prose(seed, 15),
    "would be a suitable answer to it": lambda _, seed: "yes",  # noqa: ARG005
    "List three assignments": lambda _, seed: f"Explain how {SUBJECTS[seed % 8].lower()} works in case {seed}.",
    "You write texts out of outlines": lambda _, seed: prose(seed, 8),
    "Put it in such a way": constrained,
    "exercises from old ones": lambda _, seed: REPLY,  # noqa: ARG005
    "school mathematics": solved,
    "Write a response that appropriately": solved,
}

"""The tags of instructions of every recipe, with explanations: what the embedded model answers to the prompt `tag`.

All tags follow from what an instruction says. Some have several spellings, as those of a real tagger do; the first
letter of the instruction decides between them.
"""

import json
import re
from collections.abc import Sequence

from tiny_model.domains import DOMAINS
from tiny_model.places import PLACES, SEASONS

__all__ = ["SPELLINGS", "Label", "problem_labels", "question_labels", "reply", "task_labels", "text_labels"]

Label = tuple[str, str]  # a tag and its explanation
Rule = tuple[str, str, str]  # a regular expression, the tag of texts that match, and its explanation

SPELLINGS = {
    "word problem": ("word problem", "math word problem", "Word problems"),
    "money": ("money", "Money"),
    "percentages": ("percentages", "percentage"),
    "fractions": ("fractions", "fraction"),
    "comparison": ("comparison", "comparisons"),
    "article writing": ("article writing", "Article-writing"),
    "descriptive writing": ("descriptive writing", "Descriptive Writing"),
    "storytelling": ("storytelling", "story telling"),
    "Python function": ("Python function", "Python functions", "python-function"),
    "program induction": ("program induction", "induction from examples"),
    "string processing": ("string processing", "String Processing", "processing of strings"),
    "network programming": ("network programming", "Network Programming"),
    "text processing": ("text processing", "Text-processing"),
    "files and archives": ("files and archives", "Files and archives"),
    "concurrent programming": ("concurrent programming", "Concurrent programming"),
    "testing and debugging": ("testing and debugging", "Testing and Debugging"),
}
_STORIES: dict[str, Label] = {
    "bakery": ("baking", "What a baker makes is counted."),
    "change": ("shopping", "Somebody buys things in a shop."),
    "sharing": ("equal shares", "Things are shared by children."),
    "collecting": ("collecting", "Children collect things."),
    "discount": ("discounts", "A price is lowered."),
    "eating": ("food", "Something is eaten from a box."),
    "price": ("unit prices", "The price of one leads to that of many."),
    "garden": ("area", "The area of a garden is asked for."),
    "savings": ("saving money", "Money is saved week by week."),
    "travel": ("travel", "Somebody makes a trip."),
    "packing": ("packing", "Things are put into boxes."),
    "ages": ("ages", "Ages are compared."),
    "wages": ("wages", "Somebody is paid by the hour."),
    "tickets": ("tickets", "People pay to go in."),
    "tank": ("filling time", "Something is filled with water."),
    "library": ("lending", "Things are taken from shelves."),
}
_IN_PROBLEMS: tuple[Rule, ...] = (
    (r"%", "percentages", "A share is given in per cent."),
    (r"\b([Hh]alf|quarter|fifth|tenth)\b", "fractions", "A part of a number is taken."),
    (r"\b[Ii]f\b", "conditions", "Something holds only if something else does."),
    (r"\b(less|more|nearer|faster|older|cheaper)\b", "comparison", "Two amounts are compared."),
    (r"\b(dollars?|cents?)\b", "money", "Amounts of money are given."),
    (r"\b(kilo)?grams\b", "weights", "A weight is asked for."),
    (r"\bkilometres\b", "distances", "A distance is given."),
)
_GENRES: tuple[Rule, ...] = (
    (r"\bDescribe the", "descriptive writing", "The {kind} is to be described."),
    (r"\bWrite an article", "article writing", "An article about the {kind} is wanted."),
    (r"\bWrite a report", "report writing", "A visit to the {kind} is to be reported."),
    (r"\b(Write about|Tell how)", "storytelling", "A day in the {kind} is to be told."),
    (r"\bExplain why", "explanatory writing", "Reasons for the {kind} are wanted."),
)
_VALUES: tuple[Rule, ...] = (
    (r"""(?<!\w)["']""", "string processing", "Strings are among the values."),
    (r"\[(?!examples)", "list processing", "Lists are among the values."),
    (r"", "integer arithmetic", "The values are numbers."),
)
_ASKED: tuple[Rule, ...] = (
    (r"differ|in common", "comparison", "Two things are to be compared."),
    (r"^Should", "recommendation", "One of two things is to be chosen."),
    (r"^Why", "reasons", "A reason is asked for."),
    (r"goes wrong|happens if", "troubleshooting", "A fault is to be found."),
    (r"^How can", "how-to", "A way to do something is asked for."),
    (r"^(Is|Can|Does) .*\?$", "yes-or-no question", "The answer is yes or no."),
    (r"\?$", "explanation", "How something works is to be explained."),
    (r"", "explanatory text", "The text explains terms of a field."),
)
_MOST = 4


def problem_labels(kind: str, question: str) -> list[Label]:
    """The tags of a word problem, of which `kind` is the story."""
    found = [("word problem", "A number is asked for in a story."), _STORIES[kind], *_matching(_IN_PROBLEMS, question)]
    return _spelled(found[:_MOST], question)


def text_labels(text: str) -> list[Label]:
    """The tags of an instruction to write about a place, or to extend a text that such an instruction asked for."""
    kind, season = (re.findall("|".join(words), text)[0] for words in (PLACES, SEASONS))
    tag, explanation = _matching(_GENRES, text)[0]
    about = [(tag, explanation.format(kind=kind)), (kind, f"The place is a {kind}."), ("seasons", f"It is {season}.")]
    extend = [("text expansion", "A text is to be made longer.")] if "outline" in text else []
    return _spelled(extend + about, text)


def task_labels(prompt: str) -> list[Label]:
    """The tags of a task to find a function from its results."""
    wanted = [("Python function", "A function is to be written."), ("program induction", "Only results are given.")]
    *values, numbers = _matching(_VALUES, prompt)
    return _spelled([*wanted, *(values or [numbers])], prompt)


def question_labels(domain: str, text: str) -> list[Label]:
    """The tags of a question about a domain, or of a text about it."""
    assert domain in DOMAINS
    return _spelled([(domain, "The field of the terms."), _matching(_ASKED, text)[0]], text)


def reply(labels: Sequence[Label]) -> str:
    """The JSON that the prompt asks for."""
    return json.dumps([{"tag": tag, "explanation": explanation} for tag, explanation in labels])


def _matching(rules: Sequence[Rule], text: str) -> list[Label]:
    return [(tag, explanation) for pattern, tag, explanation in rules if re.search(pattern, text)]


def _spelled(labels: Sequence[Label], text: str) -> list[Label]:
    return [(_spelling(tag, text), explanation) for tag, explanation in labels]


def _spelling(tag: str, text: str) -> str:
    spellings = SPELLINGS.get(tag, (tag,))
    return spellings[ord(text[0]) % len(spellings)]

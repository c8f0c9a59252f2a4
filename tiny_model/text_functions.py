"""Kinds of small functions of texts."""

from random import Random

from tiny_model.function_kind import TEXT, WORDS, Constants, Kind, Parameter, sentence, settings

__all__ = ["TEXT_KINDS"]

_PALINDROMES = ("level", "noon", "radar", "kayak", "civic", "madam", "refer", "rotor", "stats", "eve", "pop", "", "a")
_WORD = Parameter(("word", "part", "piece"), "str")
_TIMES = Parameter(("times", "count", "n"), "int")


def _sentence(random: Random, _: Constants) -> tuple[str]:
    return (sentence(random),)


def _palindrome_or_word(random: Random, _: Constants) -> tuple[str]:
    return (random.choice(_PALINDROMES if random.random() < 0.5 else WORDS),)


def _repetition(random: Random, _: Constants) -> tuple[str, int]:
    return random.choice(WORDS), random.choice((-1, 0, 1, 2, 2, 3, 3, 4, 5))


_VOWELS = Kind(
    kind="vowels",
    names=("count_vowels", "vowels_in", "number_of_vowels", "vowel_count"),
    parameters=(TEXT,),
    returns="int",
    bodies=(
        "return sum(c in 'aeiou' for c in {a}.lower())",
        "count = 0\nfor c in {a}.lower():\n    if c in 'aeiou':\n        count += 1\nreturn count",
        "return len([c for c in {a}.lower() if c in 'aeiou'])",
    ),
    tells=("Count the vowels.", "Return how many letters of {a} are vowels."),
    about="`{a}` is a string of small and capital letters; it may be empty.",
    call=_sentence,
)
_REVERSED_WORDS = Kind(
    kind="reversed-words",
    names=("reverse_words", "words_backwards", "swap_words", "last_word_first"),
    parameters=(TEXT,),
    returns="str",
    bodies=(
        "return ' '.join({a}.split()[::-1])",
        "words = {a}.split()\nwords.reverse()\nreturn ' '.join(words)",
        "return ' '.join(reversed({a}.split()))",
    ),
    tells=("Put the words in reverse order.", "Return the words of {a} from the last to the first."),
    about="`{a}` is a string of some words with a space between them.",
    call=_sentence,
)
_LONGEST_WORD = Kind(
    kind="longest-word",
    names=("longest_word", "longest", "find_longest", "biggest_word"),
    parameters=(TEXT,),
    returns="str",
    bodies=(
        "return max({a}.split(), key=len, default='')",
        "best = ''\nfor w in {a}.split():\n    if len(w) > len(best):\n        best = w\nreturn best",
    ),
    tells=("Find the longest word.", "Return the first of the longest words in {a}."),
    about="`{a}` is a string of words, which may be equally long or none at all.",
    call=_sentence,
)
_REPETITION = Kind(
    kind="repetition",
    names=("repeat", "repeated", "say_again", "multiply_text"),
    parameters=(_WORD, _TIMES),
    returns="str",
    constants=settings("k", "-", " ", ", ", "/", "+", ""),
    bodies=(
        "return {k}.join([{a}] * {b})",
        "if {b} < 1:\n    return ''\nreturn {k}.join([{a}] * {b})",
        "return {k}.join({a} for _ in range({b}))",
    ),
    tells=("Repeat {a}, with {k} between.", "Return {a} as often as {b} says, joined by {k}."),
    about="`{a}` is a string and `{b}` an integer; below 1 the result is empty.",
    call=_repetition,
)
_TITLE = Kind(
    kind="title",
    names=("title_case", "capitalize_words", "to_title", "capital_words"),
    parameters=(TEXT,),
    returns="str",
    bodies=(
        "return ' '.join(w.capitalize() for w in {a}.split())",
        "words = []\nfor w in {a}.split():\n    words.append(w[0].upper() + w[1:].lower())\nreturn ' '.join(words)",
        "return ' '.join([w[:1].upper() + w[1:].lower() for w in {a}.split()])",
    ),
    tells=("Write each word with a capital letter.", "Return {a} in title case."),
    about="`{a}` is a string of words, most of them in small letters.",
    call=_sentence,
)
_PALINDROME = Kind(
    kind="palindrome",
    names=("is_palindrome", "same_backwards", "is_mirrored", "reads_both_ways"),
    parameters=(_WORD,),
    returns="bool",
    bodies=(
        "return {a} == {a}[::-1]",
        "return list({a}) == list(reversed({a}))",
        "for i in range(len({a}) // 2):\n    if {a}[i] != {a}[-1 - i]:\n        return False\nreturn True",
    ),
    tells=("Tell whether {a} is a palindrome.", "Return whether {a} reads the same backwards."),
    about="`{a}` is a string; some read the same backwards and some do not.",
    call=_palindrome_or_word,
)
_INITIALS = Kind(
    kind="initials",
    names=("initials", "first_letters", "abbreviate", "acronym"),
    parameters=(TEXT,),
    returns="str",
    constants=settings("k", "", ".", "-"),
    bodies=(
        "return {k}.join(w[0].upper() for w in {a}.split())",
        "letters = []\nfor w in {a}.split():\n    letters.append(w[0].upper())\nreturn {k}.join(letters)",
        "return {k}.join([w[0] for w in {a}.upper().split()])",
    ),
    tells=("Join the initials of the words by {k}.", "Return the capital first letters of {a}, with {k} between."),
    about="`{a}` is a string of words, of which the first letters count.",
    call=_sentence,
)
_SHORTENED = Kind(
    kind="shortened",
    names=("shorten", "truncate", "cut_text", "preview"),
    parameters=(TEXT,),
    returns="str",
    constants=[{"k": k, "w": w} for k in (3, 4, 5, 6, 8) for w in ("...", "~", "!")],
    bodies=(
        "return {a} if len({a}) <= {k} else {a}[:{k}] + {w}",
        "if len({a}) > {k}:\n    return {a}[:{k}] + {w}\nreturn {a}",
        "if len({a}) <= {k}:\n    return {a}\nreturn {a}[:{k}] + {w}",
    ),
    tells=("Cut {a} after {k} characters and add {w}.", "Return {a}, or {k} characters and {w} if it is longer."),
    about="`{a}` is a string, at most {k} characters long or longer.",
    call=_sentence,
)
_SEPARATED = Kind(
    kind="separated",
    names=("join_words", "replace_spaces", "slug", "link_words"),
    parameters=(TEXT,),
    returns="str",
    constants=settings("k", "_", "-", ".", "/", "+", ""),
    bodies=(
        "return {a}.replace(' ', {k})",
        "return {k}.join({a}.split(' '))",
        "result = ''\nfor c in {a}:\n    result += {k} if c == ' ' else c\nreturn result",
    ),
    tells=("Replace spaces by {k}.", "Return {a} with {k} in place of each space."),
    about="`{a}` is a string of some words with a space between them.",
    call=_sentence,
)
_LENGTHS = Kind(
    kind="lengths",
    names=("word_lengths", "lengths", "letters_per_word", "measure_words"),
    parameters=(TEXT,),
    returns="list[int]",
    bodies=(
        "return [len(w) for w in {a}.split()]",
        "result = []\nfor w in {a}.split():\n    result.append(len(w))\nreturn result",
        "return list(map(len, {a}.split()))",
    ),
    tells=("List how long the words are.", "Return the length of each word in {a}."),
    about="`{a}` is a string of words of different lengths; it may be empty.",
    call=_sentence,
)

TEXT_KINDS = (
    _VOWELS,
    _REVERSED_WORDS,
    _LONGEST_WORD,
    _REPETITION,
    _TITLE,
    _PALINDROME,
    _INITIALS,
    _SHORTENED,
    _SEPARATED,
    _LENGTHS,
)

"""Kinds of small functions of numbers."""

from random import Random

from tiny_model.function_kind import COUNT, NUMBERS, Constants, Kind, Parameter, numbers, settings

__all__ = ["NUMBER_KINDS"]


def _list(random: Random, _: Constants) -> tuple[list[int]]:
    return (numbers(random),)


def _repetitive_list(random: Random, _: Constants) -> tuple[list[int]]:
    return (numbers(random, 1, 5),)


def _bounded(random: Random, _: Constants) -> tuple[int, int, int]:
    low = random.randint(-5, 9)
    high = low + random.randint(1, 10)
    return random.randint(low - 6, high + 6), low, high


def _integer(random: Random, _: Constants) -> tuple[int]:
    return (random.choice((1, 1, 1, -1)) * random.randint(0, random.choice((9, 99, 999, 9999))),)


def _division(random: Random, _: Constants) -> tuple[int, int]:
    divisor = random.choice((0, 1, 2, 2, 4, 4, 5, 10, -2))
    return random.randint(-20, 40), divisor


def _around_limit(random: Random, constants: Constants) -> tuple[int]:
    limit: int = constants["k"]
    return (random.choice((limit, limit - 1, random.randint(0, limit), random.randint(limit, 2 * limit))),)


_SUM_OF_MULTIPLES = Kind(
    kind="sum-of-multiples",
    names=("sum_of_multiples", "sum_divisible", "add_multiples", "total_of_multiples"),
    parameters=(NUMBERS,),
    returns="int",
    constants=settings("k", 2, 3, 4, 5),
    bodies=(
        "return sum(x for x in {a} if x % {k} == 0)",
        "total = 0\nfor x in {a}:\n    if x % {k} == 0:\n        total += x\nreturn total",
        "return sum([x for x in {a} if not x % {k}])",
    ),
    tells=("Add up the numbers that {k} divides.", "Return the sum of the multiples of {k} in {a}."),
    about="`{a}` is a list of integers, of which the multiples of {k} count.",
    call=_list,
)
_COUNT_ABOVE = Kind(
    kind="count-above",
    names=("count_above", "how_many_above", "number_above", "count_larger"),
    parameters=(NUMBERS,),
    returns="int",
    constants=settings("k", 0, 2, 3, 5, 7, 10),
    bodies=(
        "return sum(1 for x in {a} if x > {k})",
        "count = 0\nfor x in {a}:\n    if x > {k}:\n        count += 1\nreturn count",
        "return len([x for x in {a} if x > {k}])",
    ),
    tells=("Count the numbers above {k}.", "Return how many of the numbers in {a} are larger than {k}."),
    about="`{a}` is a list of integers, some at most {k} and some above it.",
    call=_list,
)
_RUNNING_MAXIMUM = Kind(
    kind="running-maximum",
    names=("running_maximum", "running_max", "highest_so_far", "max_so_far"),
    parameters=(NUMBERS,),
    returns="list[int]",
    bodies=(
        "return [max({a}[:i + 1]) for i in range(len({a}))]",
        "result = []\nfor x in {a}:\n    result.append(max(x, result[-1]) if result else x)\nreturn result",
        "result = []\nfor x in {a}:\n    if result and result[-1] > x:\n        x = result[-1]\n    result.append(x)\n"
        "return result",
    ),
    tells=("Replace each number by the largest one so far.", "Return the running maximum of {a}."),
    about="`{a}` is a list of integers that go up and down; it may be empty.",
    call=_list,
)
_DISTINCT = Kind(
    kind="distinct",
    names=("drop_duplicates", "distinct", "unique", "remove_repeats"),
    parameters=(NUMBERS,),
    returns="list[int]",
    bodies=(
        "return list(dict.fromkeys({a}))",
        "result = []\nfor x in {a}:\n    if x not in result:\n        result.append(x)\nreturn result",
        "return [x for i, x in enumerate({a}) if x not in {a}[:i]]",
    ),
    tells=("Keep the first of equal numbers.", "Return {a} without duplicates, in the same order."),
    about="`{a}` is a list of integers, some of which occur more than once.",
    call=_repetitive_list,
)
_CLAMP = Kind(
    kind="clamp",
    names=("clamp", "limit", "keep_within", "restrict"),
    parameters=(
        Parameter(("value", "x", "number"), "int"),
        Parameter(("low", "lower", "least"), "int"),
        Parameter(("high", "upper", "most"), "int"),
    ),
    returns="int",
    bodies=(
        "return max({b}, min({a}, {c}))",
        "if {a} < {b}:\n    return {b}\nif {a} > {c}:\n    return {c}\nreturn {a}",
        "return min(max({a}, {b}), {c})",
    ),
    tells=("Keep {a} between {b} and {c}.", "Return {a}, but at least {b} and at most {c}."),
    about="All are integers; `{a}` lies below `{b}`, above `{c}`, or between them.",
    call=_bounded,
)
_SCALE = Kind(
    kind="scale",
    names=("scale", "multiply_all", "scaled", "times_each"),
    parameters=(NUMBERS,),
    returns="list[int]",
    constants=settings("k", 2, 3, 4, 5, 10),
    bodies=(
        "return [x * {k} for x in {a}]",
        "result = []\nfor x in {a}:\n    result.append(x * {k})\nreturn result",
        "return [{k} * x for x in {a}]",
    ),
    tells=("Multiply each number by {k}.", "Return a list of {k} times each number in {a}."),
    about="`{a}` is a list of integers; it may be empty.",
    call=_list,
)
_STEPS = Kind(
    kind="steps",
    names=("differences", "steps_between", "changes", "deltas"),
    parameters=(NUMBERS,),
    returns="list[int]",
    bodies=(
        "return [y - x for x, y in zip({a}, {a}[1:])]",
        "return [{a}[i + 1] - {a}[i] for i in range(len({a}) - 1)]",
        "result = []\nfor x, y in zip({a}, {a}[1:]):\n    result.append(y - x)\nreturn result",
    ),
    tells=("Subtract each number from the next one.", "Return the differences of neighbours in {a}."),
    about="`{a}` is a list of integers; with fewer than two the result is empty.",
    call=_list,
)
_DIGIT_SUM = Kind(
    kind="digit-sum",
    names=("digit_sum", "sum_of_digits", "add_digits", "cross_sum"),
    parameters=(COUNT,),
    returns="int",
    bodies=(
        "return sum(int(d) for d in str(abs({a})))",
        "rest = abs({a})\ntotal = 0\nwhile rest:\n    total += rest % 10\n    rest //= 10\nreturn total",
        "total = 0\nfor d in str(abs({a})):\n    total += int(d)\nreturn total",
    ),
    tells=("Add up the digits of {a}.", "Return the sum of the decimal digits of {a}."),
    about="`{a}` is an integer of one to four digits, also a negative one or zero.",
    call=_integer,
)
_SAFE_DIVISION = Kind(
    kind="safe-division",
    names=("safe_divide", "divide", "ratio", "quotient"),
    parameters=(Parameter(("a", "total", "dividend"), "int"), Parameter(("b", "parts", "divisor"), "int")),
    returns="float | None",
    constants=settings("k", 0, -1, None),
    bodies=(
        "if {b} == 0:\n    return {k}\nreturn {a} / {b}",
        "return {a} / {b} if {b} else {k}",
        "try:\n    return {a} / {b}\nexcept ZeroDivisionError:\n    return {k}",
    ),
    tells=("Divide {a} by {b}; by zero the result is {k}.", "Return {a} over {b}, or {k} if {b} is 0."),
    about="Both are integers; where `{b}` is zero the result is {k}.",
    call=_division,
)
_PAIRS = (("big", "small"), ("high", "low"), ("yes", "no"), ("old", "new"), ("pass", "fail"))
_LABEL = Kind(
    kind="label",
    names=("label", "grade", "describe", "classify"),
    parameters=(COUNT,),
    returns="str",
    constants=[{"k": k, "w": w, "v": v} for k in (5, 10, 18, 20, 50) for w, v in _PAIRS],
    bodies=(
        "return {w} if {a} >= {k} else {v}",
        "if {a} >= {k}:\n    return {w}\nreturn {v}",
        "if {a} < {k}:\n    return {v}\nelse:\n    return {w}",
    ),
    tells=("Say {w} from {k} on, and {v} below.", "Return {w} if {a} is at least {k}, else {v}."),
    about="`{a}` is an integer; {k} and one less are at the border.",
    call=_around_limit,
)

NUMBER_KINDS = (
    _SUM_OF_MULTIPLES,
    _COUNT_ABOVE,
    _RUNNING_MAXIMUM,
    _DISTINCT,
    _CLAMP,
    _SCALE,
    _STEPS,
    _DIGIT_SUM,
    _SAFE_DIVISION,
    _LABEL,
)

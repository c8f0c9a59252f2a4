"""Coverage-guided fuzzing of the host's parser of a jail's output: `python -m tests.hostile.fuzz_payload`.

Needs atheris (`pip install atheris`). libFuzzer's options pass through, such as `-max_total_time=600` or a folder for
the corpus. The first byte of an input selects the meaning of the rest: a payload, the bodies of frames, one per line,
or choices that generate a forged answer, or a value to encode and read back.
"""

import json
import sys
import tempfile
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

# A frame has at most 64 kB; reading it must not take seconds or hundreds of megabytes.
BOUNDS = ["-max_len=4096", "-timeout=5", "-rss_limit_mb=1024"]
ORDERS = ([0], [0, 1, 2], [2, 1, 0], [])
WORDS = ["", "0", "-0.0", "0.0", "1.0", "1", "nan", "-nan", "inf", "NaN", "sNaN", "NaN1", "Infinity", "1E+999999999"]
WORDS += [
    "1E-999999999",
    "1E+10000000",
    "9007199254740992",
    "-9007199254740993",
    str(2**13_000),
    "9" * 4001,
    "00",
    "ff",
    "eda080",
]
WORDS += ["2024-02-29", "2024-02-30", "20240229", "2024-W01-1", "23:59:59.000001", "24:00", "2024-02-29T00:00:00+00:00"]
WORDS += ["list", "int", "object", "None", "set", "ValueError", "\x1b[2J", "\ud800", " 1", "1_0", "١"]
TAGS_OF_TEXT = ["int", "str", "float", "bytes", "bytearray", "Decimal", "date", "datetime", "time", "object"]
TAGS_OF_ITEMS = ["tuple", "set", "frozenset", "range", "timedelta", "Fraction", "complex", "deque", "int", ""]
TAGS_OF_PAIRS = ["dict", "Counter", "OrderedDict", "defaultdict"]
NUMBERS = [0, 1, -1, -2, 2, 2**53 - 1, 2**53, -(2**53), 2**61 - 1, 10**40, 1.5, True, False, None]


def main() -> None:
    import atheris

    # Imported here, because the fuzzer instruments modules while they are imported.
    with atheris.instrument_imports(include=["sandbox"]):
        from tests.hostile.payloads import frame, must_be_readable, must_round_trip, sample_frames

    def one_input(data: bytes) -> None:
        if not data:
            return
        how, order = data[0] % 4, ORDERS[data[0] // 4 % len(ORDERS)]
        choices = atheris.FuzzedDataProvider(data[1:])
        match how:
            case 0:
                must_be_readable(data[1:], order)
            case 1:
                must_be_readable(b"".join(map(frame, data[1:].split(b"\n"))), order)
            case 2:
                answers = [[place, choices.PickValueInList([0, 0, 0, 1, 2, 3]), _forged(choices)] for place in order]
                must_be_readable(b"".join(frame(json.dumps(answer).encode()) for answer in answers), order)
            case _:
                must_round_trip([_value(choices) for _ in order])

    with tempfile.TemporaryDirectory() as folder:
        for number, body in enumerate(sample_frames()):
            Path(folder, f"payload-{number}").write_bytes(b"\0" + frame(body))
            Path(folder, f"frames-{number}").write_bytes(b"\1" + body)
        for how in b"\2\3\6\7":
            Path(folder, f"choices-{how}").write_bytes(bytes([how]) + bytes(range(255, -1, -1)))
        # Of repeated options the last one counts. libFuzzer writes to the first corpus, so the caller's comes first.
        atheris.Setup([sys.argv[0], *BOUNDS, *sys.argv[1:], folder], one_input)
        atheris.Fuzz()


def _forged(choices: Any, depth: int = 0) -> Any:
    """JSON that is nearly canonical: known tags, mostly over a body of the right shape."""
    kind = choices.ConsumeIntInRange(0, 7)
    if kind < 2 or depth == 5:
        return choices.PickValueInList(NUMBERS)
    if kind == 2:
        return {choices.PickValueInList(TAGS_OF_TEXT): choices.PickValueInList(WORDS)}
    if kind == 3:
        return choices.PickValueInList(
            [choices.PickValueInList(WORDS), choices.ConsumeUnicode(8), choices.ConsumeInt(9)]
        )
    items = [_forged(choices, depth + 1) for _ in range(choices.ConsumeIntInRange(0, 3))]
    match kind:
        case 4:
            return items * choices.PickValueInList([1, 1, 1, 20])
        case 5:
            return {choices.PickValueInList(TAGS_OF_ITEMS): items}
        case 6:
            # Sorted like the worker does, except for values that it would not write.
            return {
                choices.PickValueInList(["set", "frozenset"]): sorted(
                    items, key=lambda item: (type(item) is dict, str(item))
                )
            }
    pairs = [[item, _forged(choices, depth + 1)] for item in items]
    tag = choices.PickValueInList(TAGS_OF_PAIRS)
    return {tag: [choices.PickValueInList(["list", None]), pairs] if tag == "defaultdict" else pairs}


def _value(choices: Any, depth: int = 0) -> Any:
    """A value of any canonical type."""
    makers = [*_leaves(choices), *(_containers(choices, depth) if depth < 4 else ())]
    try:
        return choices.PickValueInList(makers)()
    except (ArithmeticError, TypeError, ValueError):
        # An invalid date or an unhashable key.
        return None


def _leaves(choices: Any) -> list[Callable[[], Any]]:
    integer = choices.ConsumeInt
    return [
        lambda: None,
        choices.ConsumeBool,
        lambda: integer(1),
        lambda: integer(9),
        lambda: integer(2) ** choices.ConsumeIntInRange(0, 900),
        choices.ConsumeFloat,
        choices.ConsumeRegularFloat,
        lambda: complex(choices.ConsumeFloat(), choices.ConsumeFloat()),
        lambda: choices.ConsumeUnicode(8),
        lambda: choices.ConsumeBytes(8),
        lambda: bytearray(choices.ConsumeBytes(8)),
        lambda: Fraction(integer(9), integer(9)),
        lambda: Decimal((choices.ConsumeBool(), (1, 2, 0), integer(4))),
        lambda: Decimal(choices.PickValueInList(WORDS)),
        lambda: range(integer(8), integer(8), integer(2)),
        lambda: timedelta(integer(3), integer(8), integer(8)),
        lambda: date.fromordinal(integer(4)),
        lambda: datetime.fromtimestamp(integer(5), choices.PickValueInList([None, UTC])),
        lambda: time(integer(1), integer(1), integer(1), integer(3)),
    ]


def _containers(choices: Any, depth: int) -> list[Callable[[], Any]]:
    def items() -> list[Any]:
        return [_value(choices, depth + 1) for _ in range(choices.ConsumeIntInRange(0, 4))]

    def pairs() -> list[tuple[Any, Any]]:
        return list(zip(items(), items(), strict=False))

    return [
        items,
        lambda: tuple(items()),
        lambda: set(items()),
        lambda: frozenset(items()),
        lambda: deque(items(), 5),
        lambda: Counter(items()),
        lambda: dict(pairs()),
        lambda: OrderedDict(pairs()),
        lambda: defaultdict(choices.PickValueInList([None, list, int]), pairs()),
    ]


if __name__ == "__main__":
    main()

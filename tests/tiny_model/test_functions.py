"""What the embedded model learns of Case2Code: calls to try small functions with, and functions that fit results."""

import itertools
import json
from random import Random

import pytest

from synth.pipelines.case2code.candidates import candidates
from synth.pipelines.case2code.compose import Compose
from synth.pipelines.case2code.inputs import Inputs
from synth.pipelines.case2code.literals import read_arguments, write_call
from synth.pipelines.case2code.replies import examples_in, function_in
from synth.pipelines.case2code.signature import read_signature
from tests.counting_server import counting_server
from tests.jails import why_not
from tiny_model import EXAMPLES
from tiny_model.evaluate_functions import held_out, measure_functions
from tiny_model.functions import (
    KINDS,
    SmallFunction,
    example_functions,
    functions,
    held_out_functions,
    training_functions,
)
from tiny_model.tasks import Sources

FUNCTIONS = EXAMPLES.with_name("functions.jsonl")


@pytest.fixture(scope="module")
def drawn() -> list[SmallFunction]:
    return list(itertools.islice(functions("test"), 600))


def test_all_kinds_are_drawn_in_thousands_of_functions(drawn: list[SmallFunction]) -> None:
    assert {function.kind.kind for function in drawn} == {kind.kind for kind in KINDS}
    assert len(KINDS) >= 12
    assert len({function.code for function in itertools.islice(functions("many"), 6000)}) > 4000


def test_a_seed_fixes_the_functions(drawn: list[SmallFunction]) -> None:
    assert list(itertools.islice(functions("test"), 20)) == drawn[:20]
    assert next(functions("another")) != drawn[0]


def test_a_function_is_short_and_has_no_field_left_to_fill(drawn: list[SmallFunction]) -> None:
    for function in drawn:
        signature = read_signature(function.code, function.name)
        assert [parameter.name for parameter in signature.parameters] == list(function.parameters)
        for code in (function.code, function.answer):
            assert 2 <= len(code.splitlines()) <= 9
            assert not {"{", "}"} & set(code + function.description)


def test_a_function_is_written_as_the_recipe_writes_what_it_extracts(drawn: list[SmallFunction]) -> None:
    for function in drawn:
        (candidate,) = candidates(function.code, max_chars=1000)
        assert (candidate.code.strip(), candidate.name, candidate.reason) == (function.code, function.name, "")


def test_the_reply_with_inputs_is_read_as_the_recipe_reads_it(drawn: list[SmallFunction]) -> None:
    random = Random("inputs")
    for function in drawn:
        reply = function.inputs_reply(random)
        calls = [read_arguments(item) for item in examples_in(reply, is_cut=False)]
        assert len({write_call(call) for call in calls}) == len(calls) == Inputs().n
        for call in calls:
            read_signature(function.code, function.name).check(set(call))


def test_the_calls_of_a_function_tell_something(drawn: list[SmallFunction]) -> None:
    random = Random("calls")
    varied = [len(set(function.results(function.calls(random)))) > 1 for function in drawn]
    assert sum(varied) > 0.99 * len(drawn)


def test_every_way_to_write_a_function_and_the_answer_give_the_same_results(drawn: list[SmallFunction]) -> None:
    random = Random("results")
    for function in drawn:
        calls = function.calls(random)
        code, name = function_in(f"```python\n{function.answer}\n```", function.name)
        names: dict[str, object] = {}
        exec(code, names)
        inferred = names[name]
        assert callable(inferred)
        assert [repr(inferred(**call)) for call in calls] == function.results(calls)


def test_a_task_shows_the_results_and_not_the_code(drawn: list[SmallFunction]) -> None:
    for number, function in enumerate(drawn):
        task = function.task(Random(number), Compose(evaluation=True))
        calls = function.calls(Random(number))
        results = zip(map(write_call, calls), function.results(calls), strict=True)
        shown = [f"Input: {call}\nOutput: {result}" in task for call, result in results]
        assert 3 <= sum(shown) <= len(calls)
        assert function.code.splitlines()[-1].strip() not in task


def test_the_examples_are_those_of_the_generator() -> None:
    rows = [json.loads(line) for line in FUNCTIONS.read_text().splitlines()]
    assert rows == list(example_functions())
    assert len({row["id"] for row in rows}) == len({row["code"] for row in rows}) == len(rows) == 2 * len(KINDS)


def test_training_sees_no_example_and_nothing_that_differs_from_it_only_in_the_way_it_is_written() -> None:
    examples = {row["code"] for row in example_functions()}
    trained = list(itertools.islice(training_functions("0"), 3000))
    assert examples.isdisjoint(function.code for function in trained)
    for kind in KINDS:
        held_out = {chosen(function) for function in itertools.islice(held_out_functions("0", [kind]), 50)}
        assert len(held_out) >= 3
        assert held_out.isdisjoint(map(chosen, trained))


def chosen(function: SmallFunction) -> str:
    return repr((function.kind.kind, function.name, function.parameters, function.constants))


def test_the_tasks_of_training_take_their_functions_from_those_that_are_not_held_out() -> None:
    sources = Sources("0")
    assert not any(sources.function().is_held_out for _ in range(500))


@pytest.mark.skipif(bool(why_not("landlock")), reason=why_not("landlock"))
def test_a_model_is_measured_by_the_inputs_and_the_functions_that_it_writes() -> None:
    """This one knows functions from their results by name alone, and so not all of them."""

    def says(_: int) -> str:
        asked = server.asked[-1]["messages"][-1]["content"]
        if function := codes.get(asked):
            return function.inputs_reply(Random(0))
        return next((one.answer for one in codes.values() if f"`{one.name}`" in asked), "")

    codes = {f"```python\n{one.code}\n```": one for one in dict(held_out(1)).values()}
    with counting_server(says=says) as server:
        scores = measure_functions(["--base-url", server.url, "--model", "counted", "--in-flight", "1"], per_kind=1)
    calls, complete, found = scores.values()
    assert (calls, complete) == (10, 1)
    assert 0.5 < found <= 1

import itertools
import json
import re

import pytest

from synth.pipelines.augment.evolve import parse_evolutions
from synth.pipelines.engines.models import TINY_FOLDER
from synth.pipelines.runtime.answers.answer import extract_answer
from synth.pipelines.runtime.answers.equations import calculation_key, equation_fault, find_equations
from tiny_model import EXAMPLES
from tiny_model.problems import STORIES, Family, examples, families


@pytest.fixture(scope="module")
def drawn() -> list[Family]:
    return list(itertools.islice(families("test"), 400))


def test_every_calculation_of_every_path_is_right_and_the_last_one_gives_the_answer(drawn: list[Family]) -> None:
    problems = [problem for family in drawn for problem in family.problems]
    assert len(problems) >= 2000
    for problem in problems:
        for path in problem.paths:
            equations = find_equations(path)
            assert [equation_fault(equation) for equation in equations] == [None] * len(equations)
            answer = extract_answer(path)
            assert answer is not None
            assert answer.text == problem.answer == equations[-1].partition("=")[2]


def test_every_problem_can_be_solved_by_different_calculations(drawn: list[Family]) -> None:
    for family in drawn:
        for problem in family.problems:
            keys = [calculation_key(find_equations(path)) for path in problem.paths]
            assert len(set(keys)) == len(keys) >= 2


def test_nothing_is_left_unfilled_in_a_question(drawn: list[Family]) -> None:
    for family in drawn:
        for problem in family.problems:
            assert problem.question.endswith("?")
            assert not re.search(r"[{}\[\]]", problem.question + problem.paths[0])


def test_the_evolutions_are_read_as_the_recipe_reads_a_reply(drawn: list[Family]) -> None:
    for family in drawn:
        assert parse_evolutions(family.evolve_reply) == [problem.question for problem in family.evolutions]


def test_an_evolved_question_is_not_its_seed(drawn: list[Family]) -> None:
    for family in drawn:
        assert family.seed.question not in {problem.question for problem in family.evolutions[1:]}


def test_a_seed_fixes_the_families(drawn: list[Family]) -> None:
    assert list(itertools.islice(families("test"), 20)) == drawn[:20]
    assert next(families("another")) != drawn[0]


def test_all_stories_are_told(drawn: list[Family]) -> None:
    assert {family.kind for family in drawn} == {story.kind for story in STORIES}
    assert len(STORIES) >= 14


def test_the_example_questions_are_those_of_the_generator() -> None:
    rows = [json.loads(line) for line in EXAMPLES.read_text().splitlines()]
    assert rows == list(examples())
    assert len(rows) >= 72
    assert len({row["id"] for row in rows}) == len({row["question"] for row in rows}) == len(rows)


def test_training_sees_no_example_question() -> None:
    from tiny_model.tasks import training_families

    held_out = {row["question"] for row in examples()}
    for family in itertools.islice(training_families("0"), 500):
        assert held_out.isdisjoint(problem.question for problem in family.problems)


def test_the_model_is_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in TINY_FOLDER.iterdir()) <= 20_000_000


def test_the_tokenizer_loads_offline_and_reads_numbers_digit_by_digit() -> None:
    transformers = pytest.importorskip("transformers", reason="the model's tokenizer needs transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(TINY_FOLDER, local_files_only=True)
    text = "12*34 = <<12*34=408>>408\n#### 408, Zoë"
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    assert sum(tokenizer.decode([token]).isdigit() for token in tokens) == sum(letter.isdigit() for letter in text)
    assert tokenizer.encode("<|end|>") == [tokenizer.eos_token_id]


def test_a_chat_that_ends_in_an_assistant_message_can_be_continued() -> None:
    transformers = pytest.importorskip("transformers", reason="the model's chat template needs transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(TINY_FOLDER, local_files_only=True)
    asked = [{"role": "user", "content": "2+2?"}]
    begun = [*asked, {"role": "assistant", "content": "2+2 ="}]
    opened = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    assert opened == "<|user|>2+2?<|end|><|assistant|>"
    assert tokenizer.apply_chat_template(begun, tokenize=False, continue_final_message=True) == opened + "2+2 ="


def test_training_sees_chats_as_the_chat_template_writes_them() -> None:
    transformers = pytest.importorskip("transformers", reason="the model's chat template needs transformers")
    from synth.pipelines.augment.respond import Respond
    from tiny_model.tasks import render

    tokenizer = transformers.AutoTokenizer.from_pretrained(TINY_FOLDER, local_files_only=True)
    chat = Respond().prompt.render(query="2+2?", shots=[{"question": "1+1?", "answer": "#### 2"}])
    assert render(chat) == tokenizer.apply_chat_template(list(chat), tokenize=False, add_generation_prompt=True)

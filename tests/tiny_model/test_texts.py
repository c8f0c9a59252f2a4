"""What the embedded model learns to write: instructions, short texts, and the same texts made longer."""

import itertools
import json
from pathlib import Path
from random import Random

import pytest

from synth.pipelines.engines.models import TINY_FOLDER
from synth.pipelines.self_lengthen import language, quality, words
from tiny_model import EXAMPLES
from tiny_model.sentences import ASPECTS
from tiny_model.texts import Text, example_instructions, instruction, short_text, subjects, unsuited

INSTRUCTIONS = EXAMPLES.with_name("instructions.jsonl")


@pytest.fixture(scope="module")
def texts() -> list[Text]:
    random = Random("test")
    return [short_text(subject, random) for subject in itertools.islice(subjects("test"), 400)]


def test_a_short_text_has_two_or_three_paragraphs_and_is_fit_to_be_trained_on(texts: list[Text]) -> None:
    for text in texts:
        assert 1 <= str(text).count("\n\n") <= 2
        assert 30 <= words.count(str(text)) == text.words <= 130
        assert quality.refusal(str(text)) is None
        assert language.of(str(text)) == "en"


def test_nothing_is_left_unfilled(texts: list[Text]) -> None:
    everything = Text(texts[0].subject, {}).subject
    random = Random(0)
    whole = str(short_text(everything, random).extended(99, random))
    assert whole.count("\n\n") == len(ASPECTS) - 1
    assert not {"{", "}"} & set(whole + "".join(map(str, texts)))


def test_a_text_is_made_longer_without_a_change_to_its_sentences(texts: list[Text]) -> None:
    random = Random("longer")
    for text in texts:
        longer = text.extended(1.5, random)
        assert longer.words >= 1.5 * text.words
        assert text.sentences.items() <= longer.sentences.items()
        assert longer.aspects[-1] == text.aspects[-1]
        assert quality.refusal(str(longer)) is None


def test_even_the_longest_text_is_fit_and_fits_twice_into_the_context(texts: list[Text]) -> None:
    random = Random("longest")
    longest = [text.extended(99, random) for text in texts[:100]]
    assert all(quality.refusal(str(text)) is None for text in longest)
    assert max(text.words for text in longest) < 700
    assert all(len(text.sentences) == sum(map(len, ASPECTS)) for text in longest)


def test_the_first_half_of_a_text_is_its_first_paragraphs(texts: list[Text]) -> None:
    from synth.pipelines.self_lengthen.paragraphs import first_half

    random = Random("halves")
    for text in texts:
        longer = text.extended(3, random)
        assert str(longer.first_half()) == first_half(str(longer))


def test_a_thinned_text_keeps_its_last_paragraph(texts: list[Text]) -> None:
    thinned = [text.thinned(Random(number)) for number, text in enumerate(texts)]
    assert all(thin.aspects[-1] == text.aspects[-1] for thin, text in zip(thinned, texts, strict=True))
    kept = sum(len(thin.aspects) for thin in thinned) / sum(len(text.aspects) for text in texts)
    assert 0.8 < kept < 1


def test_instructions_are_long_enough_to_be_taken() -> None:
    random = Random("instructions")
    drawn = [instruction(subject, random) for subject in itertools.islice(subjects("instructions"), 200)]
    assert all(3 < words.count(text) < 20 and language.of(text) == "en" for text in drawn)
    assert len(set(drawn)) > 190
    trivial = [unsuited(subject, random) for subject in itertools.islice(subjects("unsuited"), 50)]
    assert not set(drawn) & set(trivial)


def test_the_example_instructions_are_those_of_the_generator() -> None:
    rows = [json.loads(line) for line in INSTRUCTIONS.read_text().splitlines()]
    assert rows == list(example_instructions())
    assert len({row["id"] for row in rows}) == len({row["instruction"] for row in rows}) == len(rows) == 8


def test_training_sees_no_example_instruction() -> None:
    from tiny_model.tasks import Sources

    sources = Sources("0")
    held_out = {row["instruction"] for row in example_instructions()}
    assert held_out.isdisjoint(sources.instruction() for _ in range(3000))


def test_the_examples_of_every_task_follow_from_the_seed() -> None:
    from tiny_model.tasks import TASKS, Sources

    for task in TASKS:
        prompt, answer = task(Sources("a"))
        assert (prompt, answer) == task(Sources("a"))
        assert answer.strip()
        assert task(Sources("a")) != task(Sources("b"))


def test_calculations_are_right() -> None:
    from synth.pipelines.runtime.answers.equations import equation_fault, find_equations
    from tiny_model.tasks import TASKS, Sources

    calculate = next(task for task in TASKS if "calculate" in task.__name__)
    sources = Sources("calculations")
    for _ in range(100):
        equations = find_equations(calculate(sources)[1])
        assert [equation_fault(equation) for equation in equations] == [None] * 20


def test_the_model_was_trained_on_the_prompts_as_they_are() -> None:
    """Where this fails a prompt was changed that the embedded model knows: train it anew (`make tiny-model`)."""
    from tiny_model.tasks import prompt_digests

    assert json.loads((TINY_FOLDER / "prompts.json").read_text()) == prompt_digests()


def test_a_text_that_is_gone_on_with_after_a_blank_line_is_read_as_it_was_in_the_middle() -> None:
    transformers = pytest.importorskip("transformers", reason="the model's tokenizer needs transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(TINY_FOLDER, local_files_only=True)
    begun, rest = "The day ends.\n\n", "On the left stand the lamps."
    assert tokenizer.encode(begun + rest) == tokenizer.encode(begun) + tokenizer.encode(rest)
    asked = [{"role": "user", "content": "?"}, {"role": "assistant", "content": begun}]
    assert tokenizer.apply_chat_template(asked, tokenize=False, continue_final_message=True).endswith(begun)


def test_the_model_has_weights_for_every_token() -> None:
    transformers = pytest.importorskip("transformers", reason="the model's tokenizer needs transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(TINY_FOLDER, local_files_only=True)
    assert len(tokenizer) == json.loads((TINY_FOLDER / "config.json").read_text())["vocab_size"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training of a model of some thousand weights on batches of two examples."""
    pytest.importorskip("transformers", reason="training needs transformers")
    from tiny_model import train

    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    monkeypatch.setattr(train, "SHAPE", shape)
    monkeypatch.setattr(train, "VOCABULARY", 400)
    monkeypatch.setattr(train, "CHECKPOINT_STEPS", 2)
    monkeypatch.setattr(train, "TOKENIZER_EXAMPLES", 10)
    monkeypatch.setattr(train, "TASKS", {task: (weight, 2) for task, (weight, _) in train.TASKS.items()})


def weights(model: Path) -> bytes:
    return (model / "model.safetensors").read_bytes()


@pytest.mark.usefixtures("small")
def test_a_checkpoint_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiny_model import train

    train.train(tmp_path / "whole", 5, 0)
    learn = train._Training.learn

    def killed(training: train._Training, batch: train.Batch, share: float) -> float:
        if training.step == 3:
            raise KeyboardInterrupt
        return learn(training, batch, share)

    monkeypatch.setattr(train._Training, "learn", killed)
    with pytest.raises(KeyboardInterrupt):
        train.train(tmp_path / "killed", 5, 0)
    monkeypatch.setattr(train._Training, "learn", learn)
    train.train(tmp_path / "killed", 5, 0)
    assert weights(tmp_path / "whole") == weights(tmp_path / "killed")
    assert (tmp_path / "whole" / "prompts.json").is_file()

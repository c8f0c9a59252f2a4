import pytest

from synth.schemas.writing.changes import differences, in_words

BEFORE = {
    "stage": "augment evolve",
    "version": 1,
    "inputs": {"0": "0" * 32, "1": "1" * 32},
    "options": {"n": 4, "keep": "both", "prompt": {"prompt": "evolve", "sha256": "a" * 64, "text": "Evolve."}},
    "seed": 0,
    "engine": {"engine": "vllm", "model": "small", "revision": None},
}
INPUTS = ["q.jsonl", "r.jsonl"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inputs": {"0": "f" * 32, "1": "1" * 32}}, "the content of q.jsonl changed"),
        ({"inputs": {"0": "0" * 32}}, "an input was left out"),
        ({"inputs": {**BEFORE["inputs"], "2": "2" * 32}}, "an input was added"),
        (
            {"options": {**BEFORE["options"], "prompt": {"prompt": "evolve", "sha256": "b" * 64, "text": "Evolve!"}}},
            "the prompt changed",
        ),
        ({"options": {**BEFORE["options"], "n": 8}}, "n was 4 and is now 8"),
        ({"seed": 1}, "seed was 0 and is now 1"),
        ({"code": "f" * 64}, "the code of the step changed"),
        ({"version": 2}, "the step works differently in this version of synth"),
        ({"engine": {**BEFORE["engine"], "model": "large"}}, 'the model was "small" and is now "large"'),
        ({"engine": None}, None),
        (
            {"seed": 1, "options": {**BEFORE["options"], "n": 8, "keep": "x" * 99}},
            'n was 4 and is now 8, keep was "both" and is now "xxx',
        ),
    ],
)
def test_a_change_is_said_in_words(change: dict[str, object], words: str | None) -> None:
    said = in_words(differences(BEFORE, {**BEFORE, **change}), INPUTS)
    assert "\n" not in said
    assert len(said) < 250
    if words:
        assert said.startswith(words)


def test_many_changes_are_counted() -> None:
    after = {**BEFORE, "seed": 1, "version": 2, "options": {**BEFORE["options"], "n": 8, "keep": "none"}}
    assert in_words(differences(BEFORE, after), INPUTS).endswith(" and 2 other changes")

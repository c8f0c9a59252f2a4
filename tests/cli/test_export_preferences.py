"""`synth export --as dpo, kto, ranked`, and pairs for LLaMA-Factory: what the trainers' own readers make of them."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest
from transformers import AutoTokenizer

from synth.pipelines.engines.models import TINY_FOLDER
from synth.schemas.errors import InputError, UsageError
from tests.command import synth
from tests.rows import Rows

PAIR: dict[str, Any] = {
    "id": "a/pair-2-1",
    "prompt": "Name a bird.",
    "system": "Be brief.",
    "chosen": "A wren.",
    "rejected": "Bird",
    "margin": 1.5,
    "chosen_reasoning": "One that sings.",
    "rejected_reasoning": None,
}
LABELLED: Rows = [
    {"prompt": "Name a bird.", "completion": "A wren.", "label": True, "reasoning": "One that sings."},
    {"prompt": "Name a bird.", "completion": "Bird", "label": False, "reasoning": None},
]
SET = {"query": "Put into Welsh.", "input": "Good night", "responses": ["Nos da", "Good"], "scores": [2.0, 1.0]}


def saved(folder: Path, *rows: Any) -> Path:
    datasets.Dataset.from_list([*rows]).save_to_disk(folder / "rows")
    return folder / "rows"


def exported(source: Path, shape: str, *options: str) -> Rows:
    result = synth("export", source, "-", "--as", shape, *options)
    return [json.loads(line) for line in result.stdout.splitlines()]


def exported_file(source: Path, file: Path, *options: str) -> Rows:
    synth("export", source, file, "--as", "llama-factory", *options)
    return [json.loads(line) for line in file.read_text().splitlines()]


def chat(*texts: str, system: str = "") -> list[dict[str, str]]:
    turns = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]
    return [{"role": "system", "content": system}, *turns] if system else turns


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def test_a_pair_is_a_prompt_with_two_answers_for_dpo(tmp_path: Path) -> None:
    assert exported(saved(tmp_path, PAIR), "dpo") == [
        {
            "prompt": chat("Name a bird.", system="Be brief."),
            "chosen": said("A wren."),
            "rejected": said("Bird"),
        }
    ]


def test_the_input_and_the_history_of_a_prompt_are_part_of_it(tmp_path: Path) -> None:
    row = {"instruction": "Put into Welsh.", "input": "Good night", "history": [["Hi", "Hello"]]}
    (found,) = exported(saved(tmp_path, {**row, "chosen": "Nos da", "rejected": "Good"}), "dpo")
    assert found["prompt"] == chat("Hi", "Hello", "Put into Welsh.\n\nGood night")


def test_each_side_of_a_pair_and_each_labelled_row_is_a_row_for_kto(tmp_path: Path) -> None:
    prompt = chat("Name a bird.")
    expected = [
        {"prompt": prompt, "completion": said("A wren."), "label": True},
        {"prompt": prompt, "completion": said("Bird"), "label": False},
    ]
    assert exported(saved(tmp_path / "pairs", {**PAIR, "system": None}), "kto") == expected
    assert exported(saved(tmp_path / "labelled", *LABELLED), "kto") == expected


def test_reasoning_comes_before_the_answer_that_it_led_to(tmp_path: Path) -> None:
    pairs, labelled = saved(tmp_path / "pairs", PAIR), saved(tmp_path / "labelled", *LABELLED)
    sets = saved(tmp_path / "sets", {**SET, "reasonings": [None, "Well."]})
    thought = "<think>\nOne that sings.\n</think>\n\nA wren."
    (row,) = exported(pairs, "dpo", "--reasoning", "think")
    assert (row["chosen"], row["rejected"]) == (said(thought), said("Bird"))
    (row,) = exported(pairs, "dpo", "--reasoning", "field")
    assert row["chosen"] == [{**said("A wren.")[0], "reasoning_content": "One that sings."}]
    assert [row["completion"] for row in exported(labelled, "kto", "--reasoning", "think")] == [
        said(thought),
        said("Bird"),
    ]
    assert exported_file(pairs, tmp_path / "pairs.jsonl", "--reasoning", "think")[0]["chosen"] == thought
    assert exported(sets, "ranked", "--reasoning", "think")[0]["responses"] == [
        "Nos da",
        "<think>\nWell.\n</think>\n\nGood",
    ]


def test_a_ranked_set_is_what_the_trainer_of_rrhf_reads(tmp_path: Path) -> None:
    source = saved(tmp_path, {"id": "a", **SET, "sources": ["s", "t"], "ranks": [1, 2]})
    assert exported(source, "ranked") == [
        {"query": "Put into Welsh.\n\nGood night", "responses": ["Nos da", "Good"], "scores": [2.0, 1.0]}
    ]


def test_pairs_and_labels_are_listed_as_such_for_llama_factory(tmp_path: Path) -> None:
    pairs, labelled = saved(tmp_path / "pairs", PAIR), saved(tmp_path / "labelled", *LABELLED)
    for source, name in ((pairs, "dpo"), (labelled, "kto")):
        synth("export", source, tmp_path / f"{name}.jsonl", "--as", "llama-factory")
    listed = json.loads((tmp_path / "dataset_info.json").read_text())
    assert listed["dpo"] == {
        "file_name": "dpo.jsonl",
        "ranking": True,
        "columns": {
            "prompt": "instruction",
            "query": "input",
            "system": "system",
            "chosen": "chosen",
            "rejected": "rejected",
        },
    }
    assert listed["kto"]["columns"] == {
        "prompt": "instruction",
        "query": "input",
        "response": "output",
        "kto_tag": "kto_tag",
    }
    (row,) = (json.loads(line) for line in (tmp_path / "dpo.jsonl").read_text().splitlines())
    asked = {"instruction": "Name a bird.", "input": ""}
    assert row == {**asked, "system": "Be brief.", "chosen": "A wren.", "rejected": "Bird"}
    rows = [json.loads(line) for line in (tmp_path / "kto.jsonl").read_text().splitlines()]
    assert rows[1] == {**asked, "output": "Bird", "kto_tag": False}


def test_a_system_prompt_of_another_name_is_one(tmp_path: Path) -> None:
    row = {name: value for name, value in PAIR.items() if name != "system"}
    source = saved(tmp_path, {**row, "system_prompt": "Be brief."})
    assert exported_file(source, tmp_path / "pairs.jsonl")[0]["system"] == "Be brief."
    assert exported(source, "dpo")[0]["prompt"] == chat("Name a bird.", system="Be brief.")


def test_a_response_beside_a_pair_is_what_llama_factory_gets_as_before(tmp_path: Path) -> None:
    source = saved(tmp_path, {**PAIR, "response": "A lark."})
    assert exported_file(source, tmp_path / "one.jsonl")[0]["output"] == "A lark."
    assert exported_file(source, tmp_path / "two.jsonl", "--response-column", "chosen")[0]["output"] == "A wren."
    only = "prompt,chosen,rejected"
    assert exported_file(source, tmp_path / "three.jsonl", "--columns", only)[0]["rejected"] == "Bird"


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        ({"prompt": "a", "chosen": "b"}, ("dpo",), r"rows has no column rejected, only prompt, chosen"),
        ({"text": "a", "chosen": "b", "rejected": "c"}, ("dpo",), "none of the columns .*: name one with --prompt-col"),
        ({**PAIR, "chosen": chat("a", "b")}, ("dpo",), "chosen in .*rows is list.*, where text is needed"),
        ({**PAIR, "rejected": None, "id": "a"}, ("dpo",), "rejected in .* is null, where text is needed"),
        ({**LABELLED[0], "label": 1}, ("kto",), "has no column chosen, only prompt, completion, label"),
        ({**SET, "scores": ["2", "1"]}, ("ranked",), "has no ranked sets: responses is .* and scores is list.*string"),
        (
            {**SET, "system": "Be brief."},
            ("ranked",),
            "row 1 of .* has a system prompt or a history, which --as ranked",
        ),
        ({**SET, "scores": [2.0]}, ("ranked",), "row 1 of .* has not a response for each score, and a score for each"),
        ({**SET, "responses": ["Nos da", None]}, ("ranked",), "row 1 of .* has not a response for each score"),
        ({"prompt": "a"}, ("ranked",), "has no column responses, only prompt"),
        (
            {"prompt": "a", "chosen": "b", "rejected": "c"},
            ("dpo", "--reasoning", "think"),
            "no column chosen_reasoning",
        ),
    ],
)
def test_what_is_no_preference_data_is_refused_by_name(
    tmp_path: Path, row: dict[str, Any], options: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        exported(saved(tmp_path, row), *options)


def test_a_null_is_named_by_its_row(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rejected is null in row 2 of "):
        exported(saved(tmp_path / "pairs", PAIR, {**PAIR, "rejected": None}), "dpo")
    with pytest.raises(InputError, match="label is null in row 2 of "):
        exported(saved(tmp_path / "labelled", LABELLED[0], {**LABELLED[1], "label": None}), "kto")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("dpo", "--response-column", "chosen"), "--response-column does not apply with --as dpo"),
        (("ranked", "--reasoning", "field"), "--reasoning field does not go with --as ranked"),
        (("llama-factory", "--reasoning", "field"), "--reasoning field does not go with --as llama-factory"),
    ],
)
def test_options_that_do_not_go_with_a_shape_are_refused(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    (tmp_path / "rows").mkdir()
    with pytest.raises(UsageError, match=message):
        synth("export", saved(tmp_path, PAIR), tmp_path / "out.jsonl", "--as", *options)


@pytest.fixture
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(TINY_FOLDER)


@pytest.mark.parametrize("shape", ["dpo", "kto"])
def test_trl_formats_the_file_with_a_chat_template(tmp_path: Path, shape: str, tokenizer: Any) -> None:
    from trl import data_utils

    source = saved(tmp_path, {**PAIR, "system": None})
    synth("export", source, tmp_path / "pairs.jsonl", "--as", shape)
    loaded = datasets.Dataset.from_json(str(tmp_path / "pairs.jsonl"), cache_dir=str(tmp_path / "cache"))
    rows = [data_utils.maybe_apply_chat_template(row, tokenizer) for row in loaded]
    assert all(data_utils.is_conversational(row) for row in loaded)
    prompt = tokenizer.apply_chat_template(chat("Name a bird."), tokenize=False, add_generation_prompt=True)
    assert [row["prompt"] for row in rows] == [prompt] * len(rows)
    if shape == "dpo":
        assert (rows[0]["chosen"].startswith("A wren."), rows[0]["rejected"].startswith("Bird")) == (True, True)
    else:
        assert [(row["completion"][:4], row["label"]) for row in rows] == [("A wr", True), ("Bird", False)]

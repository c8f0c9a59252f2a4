"""What a run record says to everybody: its settings, and neither secrets nor places."""

from typing import Any

import pytest

from synth.schemas.inspecting.public import public_run, public_text, without_homes

KEY = "hf_" + "aB3" * 10


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("questions.jsonl", "questions.jsonl"),
        ("data/questions.jsonl", "data/questions.jsonl"),
        ("/mnt/of-ann/questions.jsonl", "questions.jsonl"),
        ("~/questions.jsonl", "questions.jsonl"),
        ("../of-ann/questions.jsonl", "questions.jsonl"),
        ("lora=/home/ann/adapter", "lora=adapter"),
        ("--prompt=/home/ann/ask.md", "--prompt=ask.md"),
        ("hf:openai/gsm8k:main", "hf:openai/gsm8k:main"),
        ("Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct"),
        ("/", "/"),
        ("path = '/home/ann/x' AND n > 1/2", "path = '~/x' AND n > 1/2"),
        ("https://ann:pw@host/v1?api-version=1", "https://host/v1"),
        ("api_key=abc", "api_key=…"),
        ("max_tokens=256", "max_tokens=256"),
        ("token=abc", "token=…"),
        (f"see {KEY}", "see …"),
        ("sk-learn", "sk-learn"),
    ],
)
def test_a_word_keeps_what_it_means_and_not_where_or_who(word: str, said: str) -> None:
    assert public_text(word) == said


def test_the_value_after_a_secret_option_or_an_address_is_left_out() -> None:
    command = [
        "map",
        "in",
        "out",
        "--header",
        "X: 1",
        "--base-url",
        "http://10.0.0.1/v1",
        "--base-url=http://b",
        "-n",
        "2",
    ]
    said = public_run({"command": command})["command"]
    assert said == ["map", "in", "out", "--header", "…", "--base-url", "URL", "--base-url=URL", "-n", "2"]


def test_nested_settings_are_public_and_prompts_unchanged() -> None:
    prompt = {"prompt": "/home/ann/ask.md", "sha256": "0" * 64, "text": "/home/ann/x is secret=1"}
    engine = {
        "model": "/models/of-ann/qwen",
        "args": {"extra_headers": {"A": "b"}, "seed": None, "stop": ["/home/ann/y"]},
    }
    run: dict[str, Any] = {"folder": "../of-ann", "identity": {"options": {"prompt": prompt}, "engine": engine}}
    assert public_run(run) == {
        "identity": {
            "options": {"prompt": {**prompt, "prompt": "ask.md"}},
            "engine": {"model": "qwen", "args": {"extra_headers": "…", "seed": None, "stop": ["y"]}},
        }
    }


def test_other_text_loses_only_homes_and_keys() -> None:
    root = "/".join(("", "root"))
    text = f"/home/ann/x, /Users/ann/y?, a/home/b/c, https://a.b/?q={root}/z {KEY}"
    assert without_homes(text) == "~/x, ~/y?, a/home/b/c, https://a.b/?q=~/z …"

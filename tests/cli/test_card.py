"""What `synth card` says of a dataset: what the run records know, for the hub and for people, and nothing private."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml

from synth.cli.sharing.page import is_as_written
from synth.pipelines.recipes import PAPERS, RECIPES, STAGES
from synth.schemas.errors import InputError, UsageError
from tests.command import synth, type_synth
from tests.counting_server import counting_server
from tests.rows import write_rows

ROOT = Path(__file__).parents[2]
QUESTIONS = [{"id": f"q-{n}", "question": f"What is {n}+2?", "answer": f"#### {n + 2}"} for n in range(3)]


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sampled and selected paths, made in the working directory."""
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "questions.jsonl", QUESTIONS)
    with counting_server() as server:
        options = ("-n", "4", "--base-url", server.url, "--keep-answers")
        type_synth("reject", "sample", "questions.jsonl", "samples", *options, folder=tmp_path)
    type_synth("reject", "select", "samples", "accepted", "--seed", "7", folder=tmp_path)
    return tmp_path / "accepted"


def front_matter(text: str) -> dict[str, Any]:
    found = re.match(r"---\n(.*?)^---\n", text, re.MULTILINE | re.DOTALL)
    assert found
    return dict(yaml.safe_load(found[1]))


def fenced(text: str) -> list[str]:
    """The contents of the blocks of code, by the rules of CommonMark."""
    return [block[2] for block in re.findall(r"^(`{3,})(\w*)\n(.*?)\n\1$", text, re.MULTILINE | re.DOTALL)]


def test_the_hub_reads_licence_languages_tags_size_and_files(chain: Path) -> None:
    options = ("--license", "cc-by-4.0", "--language", "no,en", "--tag", "maths", "--with-rejected")
    assert front_matter(synth("card", chain, *options).stdout) == {
        "license": "cc-by-4.0",
        # Unquoted, Norwegian would be false.
        "language": ["no", "en"],
        "tags": ["synthetic", "maths"],
        "size_categories": ["n<1K"],
        "configs": [
            {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]},
            {"config_name": "rejected", "data_files": [{"split": "train", "path": "rejected/train-*"}]},
        ],
    }


def test_people_read_how_the_whole_chain_made_it(chain: Path) -> None:
    said = synth("card", chain).stdout
    record = json.loads((chain.parent / "samples" / "synth.json").read_text())
    prompt = record["identity"]["options"]["prompt"]
    selected = json.loads((chain / "synth.json").read_text())
    reason, rejected = next(iter(selected["counts"]["reasons"].items()))
    for sentence in (
        "made with `synth` in 2 steps from `questions.jsonl`.",
        "Recipe: RFT ([arXiv 2308.01825](https://arxiv.org/abs/2308.01825)).",
        "| `response` | `string` | The solution. |",
        "| 1 | reject sample | `samples` | 3 | 3 | 0 | 0 | 12 | `counted` | 15 + 84 |",
        f"| 2 | reject select | `accepted` | 12 | {selected['counts']['produced']} | {rejected} | 0 |",
        f"- rejected because: {reason} {rejected}",
        "- model: counted, engine openai",
        "- options: n 4, temperature 0.7, max_tokens 256",
        "- seed: 7",
        f"SHA-256 `{prompt['sha256']}`",
        f"python {record['software']['python']}",
    ):
        assert sentence in said
    blocks = fenced(said)
    assert prompt["text"].rstrip("\n") in blocks
    assert "synth reject sample questions.jsonl samples -n 4 --base-url URL --keep-answers" in blocks
    assert json.loads(blocks[0]) == datasets.load_from_disk(chain)[0]


def test_of_what_no_run_recorded_only_the_rows_are_said(tmp_path: Path) -> None:
    rows = [{"text": "x" * 2000, "items": list(range(9)), "model": "/home/ann/models/small", "url": "https://a.b/?c=d"}]
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "plain")
    said = synth("card", tmp_path / "plain").stdout
    assert set(front_matter(said)) == {"size_categories", "configs"}
    assert re.findall("^#.*", said, re.MULTILINE) == ["# plain", "## Rows"]
    assert json.loads(fenced(said)[0]) == {
        "text": "x" * 600 + "… 2,000 characters",
        "items": [0, 1, 2, 3, 4, "… 9 items"],
        "model": "~/models/small",
        "url": "https://a.b/?c=d",
    }


def test_secrets_addresses_and_places_are_left_out(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "home" / "questions.jsonl", QUESTIONS)
    (tmp_path / "ask.md").write_text("# user\nKeep /home/ann/notes: {{ question }}\n")
    key, password = "sk-" + "abc123" * 5, "pass-word-of-ann"
    with counting_server() as server:
        address = server.url.replace("//", f"//ann:{password}@")
        engine = ("--engine", "openai", "--model", "counted", "--engine-arg", f"user={key}", "--base-url")
        made = ("map", source, tmp_path / "out", "--prompt", tmp_path / "ask.md", *engine)
        type_synth(*made, server.url, folder=tmp_path)
        record = json.loads((tmp_path / "out" / "synth.json").read_text())
    record["command"] = [word.replace(server.url, address) for word in map(str, record["command"])]
    record["command"] += [
        "--engine-arg",
        "extra_headers=X-Auth: 1234",
        "--api-key",
        "hush",
        "--where",
        "p = '/home/ann/x'",
    ]
    record["command"] += [f"--note=see {address}/docs?key=5678"]
    record["identity"]["engine"]["args"]["headers"] = {"X-Tenant": "secret-tenant"}
    (tmp_path / "out" / "synth.json").write_text(json.dumps(record))
    said = synth("card", tmp_path / "out").stdout
    for private in (key, password, "1234", "hush", "5678", "secret-tenant", str(tmp_path), f"{server.url}/v1"):
        assert private not in said
    command = next(block for block in fenced(said) if block.startswith("synth map"))
    assert command.startswith("synth map questions.jsonl out --prompt ask.md --engine openai")
    assert "'user=…' --base-url URL" in command
    assert "p = '" in command
    assert "~/x" in command
    # The prompt is what its hash says.
    assert "Keep /home/ann/notes: {{ question }}" in said


def test_text_of_others_stays_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fence = "Answer in a block:\n````\n# not a heading\n````"
    write_rows(tmp_path / "a|b.jsonl", [{"id": "x", "question": "```\n# neither"}])
    (tmp_path / "ask.md").write_text(f"# user\n{fence}\n{{{{ question }}}}\n")
    type_synth("map", "a|b.jsonl", "out", "--prompt", "ask.md", "--engine", "echo", folder=tmp_path)
    said = synth("card", "out").stdout
    blocks = fenced(said)
    assert (tmp_path / "ask.md").read_text().rstrip("\n") in blocks
    assert json.loads(blocks[0])["question"] == "```\n# neither"
    assert "from `a|b.jsonl`" in said


def test_splits_are_described_together_and_a_shared_step_once(chain: Path) -> None:
    type_synth("reject", "select", "samples", "tested", folder=chain.parent)
    said = synth("card", "train=accepted", "test=tested").stdout
    assert [files["split"] for files in front_matter(said)["configs"][0]["data_files"]] == ["train", "test"]
    assert re.findall(r"^### \d.*", said, re.MULTILINE) == [
        "### 1. reject sample: samples",
        "### 2. reject select: accepted",
        "### 3. reject select: tested",
    ]
    with pytest.raises(UsageError, match=r"accepted and samples are both the split train: name them, as in train=acc"):
        synth("card", "accepted", "samples")
    with pytest.raises(UsageError, match=r"a-b=accepted is not of the form SPLIT=OUT"):
        synth("card", "a-b=accepted")
    with pytest.raises(
        InputError, match=r"accepted and samples differ in their columns \(only samples has answer as str"
    ):
        synth("card", "train=accepted", "test=samples")
    with pytest.raises(InputError, match=r"accepted has no kept answers to share: leave out --with-answers"):
        synth("card", chain, "--with-answers")


def test_a_lost_ancestor_is_a_warning_and_no_claim(chain: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(chain.parent / "samples")
    said = synth("card", "accepted").stdout
    assert "in 1 step from `samples`." in said
    assert "an input of the run is skipped: samples does not exist" in caplog.text


def test_a_card_in_a_file_is_replaced_only_if_asked_and_an_edit_is_noticed(chain: Path) -> None:
    synth("card", chain, "-o", "README.md")
    card = Path("README.md").read_text()
    assert card == synth("card", chain).stdout
    assert is_as_written(card)
    assert not is_as_written(card.replace("12 rows", "many rows").replace("# accepted", "# Muffins"))
    assert not is_as_written("# Muffins\n")
    with pytest.raises(UsageError, match=r"README.md exists: use --force"):
        synth("card", chain, "-o", "README.md")
    synth("card", chain, "-o", "README.md", "--force", "--license", "mit")
    assert front_matter(Path("README.md").read_text())["license"] == "mit"


def test_each_recipe_has_the_paper_that_the_readme_names() -> None:
    named = dict(re.findall(r"\| ([\w -]+) \((\d{4}\.\d{5})\) \|", (ROOT / "README.md").read_text()))
    assert dict(PAPERS.values()) == named
    assert set(PAPERS) <= {*RECIPES, *STAGES}

"""The text of a dataset card: front matter that the hub reads, and what the run records know, in Markdown."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from synth.cli.markdown import code, escaped, fenced, table
from synth.cli.readable import readable, shortened, text_of
from synth.cli.summaries import ACCOUNTS, REASONS, commonest, run_facts, tokens
from synth.pipelines.recipes import paper_of
from synth.schemas.inspecting.ancestry import chain
from synth.schemas.inspecting.public import public_run, public_text, without_homes
from synth.schemas.phrases import listed, plural

if TYPE_CHECKING:
    import pyarrow as pa

    from synth.cli.sharing.options import CardOptions
    from synth.schemas.writing.parts import Part, SharedSplit

__all__ = ["is_as_written", "page"]

# The hub's names of sizes: the bound below which a dataset has each.
SIZES = {
    10**3: "n<1K",
    10**4: "1K<n<10K",
    10**5: "10K<n<100K",
    10**6: "100K<n<1M",
    10**7: "1M<n<10M",
    10**8: "10M<n<100M",
    10**9: "100M<n<1B",
    10**10: "1B<n<10B",
    10**11: "10B<n<100B",
    10**12: "100B<n<1T",
}
# Characters of a prompt that is printed in full, of a text in the example row and of an option, and items of a list.
MOST_OF_A_PROMPT = 6000
MOST_OF_A_TEXT = 600
MOST_OF_AN_OPTION = 200
MOST_ITEMS = 5
_SEAL = re.compile(r"\n<!-- Made by `synth card`; checksum ([0-9a-f]{16}) -->\n\Z")
Run = Mapping[str, Any]


def page(title: str, shared: "Sequence[SharedSplit]", parts: "Sequence[Part]", options: "CardOptions") -> str:
    """The whole card, with a last line that tells whether somebody has edited it since."""
    places = [place for place in chain([str(split.dataset.path) for split in shared]) if not place.is_rejected]
    steps = [(public_text(place.source.name), public_run(place.run)) for place in places if place.run]
    sections = [
        "\n".join(_front_matter(shared, parts, steps, options)),
        f"# {title}",
        *_opening(shared, steps),
        *_rows(parts),
        *_steps(steps),
    ]
    text = "\n\n".join(sections) + "\n"
    return f"{text}\n<!-- Made by `synth card`; checksum {_checksum(text)} -->\n"


def is_as_written(text: str) -> bool:
    """Whether a card is from `page`, and unedited."""
    seal = _SEAL.search(text)
    return seal is not None and _checksum(text[: seal.start()]) == seal[1]


def _checksum(text: str) -> str:
    from xxhash import xxh3_64_hexdigest

    return xxh3_64_hexdigest(text.encode())


def _front_matter(
    shared: "Sequence[SharedSplit]", parts: "Sequence[Part]", steps: Sequence[tuple[str, Run]], options: "CardOptions"
) -> Iterator[str]:
    """YAML. What the user gave is quoted, as `no` is a language and false."""
    rows = sum(split.dataset.table.num_rows for split in shared)
    is_generated = any(_engine(run) for _, run in steps)
    yield "---"
    if options.license:
        yield f"license: {json.dumps(options.license)}"
    if options.language:
        yield "language:"
        yield from (f"- {json.dumps(language)}" for language in options.language)
    if tags := [
        *(["synthetic"] if is_generated else []),
        *(json.dumps(tag, ensure_ascii=False) for tag in options.tag),
    ]:
        yield "tags:"
        yield from (f"- {tag}" for tag in tags)
    yield "size_categories:"
    yield f"- {next((name for bound, name in SIZES.items() if rows < bound), 'n>1T')}"
    yield "configs:"
    for config, of_config in groupby(parts, lambda part: part.config):
        yield f"- config_name: {config}"
        yield "  data_files:"
        for part in of_config:
            yield f"  - split: {part.split.name}"
            yield f"    path: {part.pattern}"
    yield "---"


def _opening(shared: "Sequence[SharedSplit]", steps: Sequence[tuple[str, Run]]) -> Iterator[str]:
    rows = sum(split.dataset.table.num_rows for split in shared)
    papers = dict.fromkeys(paper for _, run in steps if (paper := paper_of(_stage(run))))
    if not steps:
        yield f"{plural(rows, 'row')}."
        return
    made = f"{plural(rows, 'row')}, made with `synth` in {plural(len(steps), 'step')}"
    outputs = {name for name, _ in steps}
    inputs = dict.fromkeys(source for _, run in steps for source in run.get("inputs") or ())
    sources = [source for source in inputs if _name(source) not in outputs]
    yield f"{made} from {listed([code(source) for source in sources])}." if sources else f"{made}."
    if papers:
        cited = [f"{name} ([arXiv {number}](https://arxiv.org/abs/{number}))" for name, number in papers]
        yield f"{'Recipe' if len(papers) == 1 else 'Recipes'}: {listed(cited)}."


def _rows(parts: "Sequence[Part]") -> Iterator[str]:
    yield "## Rows"
    lines = [(part.config, part.split.name, f"{part.dataset.table.num_rows:,}") for part in parts]
    yield table(("config", "split", "rows"), lines)
    first = parts[0]
    described = [(code(field.name), code(str(field.type)), _doc(field)) for field in first.dataset.table.schema]
    yield table(("column", "type", "description"), described)
    for row in first.dataset.table.slice(0, 1).to_pylist():
        yield f"The first row of `{first.split.name}`:"
        yield fenced(json.dumps(_brief(readable(row)), ensure_ascii=False, indent=2), "json")


def _steps(steps: Sequence[tuple[str, Run]]) -> Iterator[str]:
    if not steps:
        return
    yield "## How it was made"
    yield table(
        ("", "step", "output", "input rows", *ACCOUNTS.values(), "output rows", "model", "tokens"),
        [_line(number, name, run) for number, (name, run) in enumerate(steps, 1)],
    )
    for number, (name, run) in enumerate(steps, 1):
        yield f"### {number}. {_stage(run)}: {escaped(name)}"
        if run.get("command"):
            yield fenced(shlex.join(["synth", *run["command"]]), "sh")
        yield "\n".join(f"- {fact}: {escaped(value)}" for fact, value in _facts(run) if value)
        yield from _prompts(run)


def _line(number: int, name: str, run: Run) -> tuple[str, ...]:
    counts = run.get("counts") or {}
    amounts = [run.get("input_rows"), *(counts.get(kind) for kind in ACCOUNTS), counts.get("outputs")]
    written = ("" if amount is None else f"{amount:,}" for amount in amounts)
    asked, answered = tokens(run)
    spent = f"{asked:,.0f} + {answered:,.0f}" if asked or answered else ""
    return (str(number), _stage(run), code(name), *written, code(str(_engine(run).get("model") or "")), spent)


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    engine = _engine(run)
    for name, fact in run_facts(run):
        if name not in ("made by", "from"):
            yield name, fact
    for kind, word in REASONS.items():
        if reasons := (run.get("counts") or {}).get(kind):
            yield f"{word} because", ", ".join(f"{reason} {count:,}" for reason, count in commonest(reasons))
    if engine:
        known = [f"{name} {engine[name]}" for name in ("revision", "engine") if engine.get(name)]
        args = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in (engine.get("args") or {}).items()]
        yield "model", ", ".join([str(engine.get("model")), *known, *args])
    if options := run.get("identity", {}).get("options"):
        yield (
            "options",
            ", ".join(
                f"{name} {shortened(text_of(value), MOST_OF_AN_OPTION)}"
                for name, value in options.items()
                if value not in (None, False, "", []) and not _is_prompt(value)
            ),
        )
    if run.get("identity", {}).get("seed") is not None:
        yield "seed", str(run["identity"]["seed"])
    if run.get("software"):
        yield "software", ", ".join(f"{name} {version}" for name, version in run["software"].items())
    if run.get("finished"):
        yield "finished", run["finished"]


def _prompts(run: Run) -> Iterator[str]:
    """Prompts by name and hash, those of bearable length with their text."""
    for value in (run.get("identity", {}).get("options") or {}).values():
        if _is_prompt(value):
            known = f"Prompt {code(str(value.get('prompt')))}, SHA-256 `{value['sha256']}`"
            text = value.get("text")
            if text and len(text) <= MOST_OF_A_PROMPT:
                yield f"{known}:"
                yield fenced(text.rstrip("\n"), "")
            else:
                yield f"{known}."


def _is_prompt(value: Any) -> bool:
    return isinstance(value, dict) and "sha256" in value


def _stage(run: Run) -> str:
    return str(run.get("identity", {}).get("stage") or "")


def _engine(run: Run) -> Mapping[str, Any]:
    return run.get("identity", {}).get("engine") or {}


def _name(source: str) -> str:
    return source.rstrip("/").rpartition("/")[2]


def _doc(field: "pa.Field") -> str:
    doc: bytes = (field.metadata or {}).get(b"doc", b"")
    return doc.decode()


def _brief(value: Any) -> Any:
    """A value without home directories, with its long texts and lists cut, and the cut said."""
    if isinstance(value, str):
        return shortened(without_homes(value), MOST_OF_A_TEXT)
    if isinstance(value, dict):
        return {name: _brief(inner) for name, inner in value.items()}
    if isinstance(value, list):
        more = [f"… {plural(len(value), 'item')}"] if len(value) > MOST_ITEMS else []
        return [*map(_brief, value[:MOST_ITEMS]), *more]
    return value

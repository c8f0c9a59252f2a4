"""`synth report`: what a reader sees in the page, read from its HTML and from a real browser that opened it."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest

from tests.cli.browser import CHROMIUM, Browser, browser
from tests.cli.browser import Page as BrowserPage
from tests.cli.report_page import report
from tests.command import run_synth
from tests.command import type_synth as synth
from tests.rows import write_rows

pytest.importorskip("vl_convert", reason="vl-convert-python, which draws the charts, is not installed")

ROOT = Path(__file__).parents[2]
HOSTILE = [
    "</script><script>alert(1)</script>",
    "</style></svg><img src=x onerror=alert(1)>",
    '" onload="alert(1)',
    "{{ 7 * 7 }}",
    "&lt;b&gt;",
    "y" * 10_000,
    "y" * 9_999 + "z",
    "red\x1b[31m\x00\n\ttab",
    "\u202egnirts",
    "שלום עולם",
    "\uffff\U0001f600",
]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `samples` (by echo), `paths.jsonl` with right answers, and what is made of these."""
    folder = tmp_path_factory.mktemp("paths")
    questions = ROOT / "examples" / "questions.jsonl"
    ways = ["<<2+3=5>>5", "<<3+2=5>>5", "<<6-1=5>>5", "<<2+3=5>>5", "<<2+2=4>>4", "<<10/2=5>>5", "<<2+3=5>>5"]
    rows = [
        {"id": f"q{q}/path-{n}", "query_id": f"q{q}", "query": f"Question {q}?", "answer": "#### 5", "sample": n}
        | {
            "response": f"Number {q}, {n}, is {way}.\n#### {way[-1]}",
            "temperature": 0.7,
            "model": "m",
            "finish_reason": "stop",
        }
        | {"prompt_tokens": 9, "completion_tokens": 11}
        for q in range(10)
        for n, way in enumerate(ways[q % 3 :] + ways[: q % 3])
    ]
    write_rows(folder / "paths.jsonl", rows)
    write_rows(folder / "fewer.jsonl", [row for row in rows if row["sample"] < 4])
    for command in (
        ["reject", "sample", questions, "samples", "--engine", "echo", "-n", 4],
        ["reject", "select", "paths.jsonl", "accepted"],
        ["reject", "select", "fewer.jsonl", "accepted-4"],
        ["reject", "curve", "paths.jsonl", "curve"],
        ["reject", "curve", "fewer.jsonl", "curve-4"],
    ):
        done = synth(*command, folder=folder)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `normalized`, which has a vocabulary, and `selected`, of its rows those with most tags."""
    folder = tmp_path_factory.mktemp("tagged")
    names = ["maths", "python", "history", "cooking", "travel"]
    rows = [
        {"id": f"q{n}", "tags": names[: n % 6], "tags_per_query": n % 6, "queries": 1, "source": "ab"[n % 2]}
        for n in range(120)
    ]
    datasets.Dataset.from_list(rows).save_to_disk(folder / "normalized")
    datasets.Dataset.from_list([row for row in rows if len(row["tags"]) > 3]).save_to_disk(folder / "selected")
    forms = [
        {"form": form, "count": 30, "step": step, "tag": tag}
        for tag in names
        for form, step in ((tag, None), (tag.upper(), "rule"), (f"{tag}!", "rule"), (f"the {tag}", "semantic"))
    ]
    forms.append({"form": "seldom", "count": 2, "step": "frequency", "tag": None})
    datasets.Dataset.from_list(forms).save_to_disk(folder / "normalized" / "vocabulary")
    return folder


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `rows`, whose tags, values and columns try what they can."""
    folder = tmp_path_factory.mktemp("hostile")
    rows = [
        {"id": str(n), "tags": [HOSTILE[n % len(HOSTILE)], HOSTILE[(n + 1) % len(HOSTILE)]], HOSTILE[0]: n % 3}
        | {"kind": HOSTILE[n % 5][:38], "when": None, "meta": {"a": 1}}
        for n in range(44)
    ]
    datasets.Dataset.from_list(rows).save_to_disk(folder / "rows")
    return folder


def test_a_page_is_one_file_that_runs_and_fetches_nothing(paths: Path) -> None:
    page = report("samples", "accepted", folder=paths)
    names = {name for name, _ in page.elements}
    assert not names & {"script", "iframe", "object", "embed", "img", "image", "use", "foreignobject"}
    assert [attributes["href"] for name, attributes in page.elements if name == "link"] == ["data:,"]
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "src"]
    # The only address is the name of SVG's namespace.
    assert set(re.findall(r"https?://[^\s\"'<)]+|url\([^)]*\)", page.source)) == {"http://www.w3.org/2000/svg"}
    (policy,) = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_runs_are_told_with_their_rows_reasons_and_cost(paths: Path) -> None:
    page = report("samples", "accepted", "accepted-4", folder=paths)
    assert "Input rows that were accepted: 100% in samples" in page.titles()
    assert "Why input rows of accepted and accepted-4 were rejected: most often duplicate" in page.titles()
    reasons = json.loads((paths / "accepted" / "synth.json").read_text())["counts"]["reasons"]
    for reason, count in reasons.items():
        assert f"accepted, {reason}: {count}" in page.marks()
    cells = page.of("td")
    assert "3,497 prompt, 14,308 completion, 44.7 a row" in cells
    assert "synth reject sample" in page.source
    assert any(cell.startswith("python 3.") for cell in cells)
    assert "Why rows of samples were rejected, failed or filtered: none were." in page.of("li")


def test_reasons_that_say_nothing_are_put_in_words(paths: Path, tmp_path: Path) -> None:
    record = json.loads((shutil.copytree(paths / "accepted", tmp_path / "old") / "synth.json").read_text())
    record["counts"] |= {"reasons": {"": 3}, "failures": {"failed": 2}}
    (tmp_path / "old" / "synth.json").write_text(json.dumps(record))
    titles = report("old", folder=tmp_path).titles()
    assert "Why input rows were rejected: most often no reason given" in titles
    assert "Why input rows failed: most often an error was raised" in titles


def test_curves_of_several_directories_are_drawn_over_each_other(paths: Path) -> None:
    page = report("curve", "curve-4", folder=paths)
    rows = {name: datasets.load_from_disk(str(paths / name)).to_list() for name in ("curve", "curve-4")}
    told = [f"{series[-1]['distinct_paths']:.2f} with {series[-1]['k']} in {name}" for name, series in rows.items()]
    assert f"Different calculations for a question grow with the samples, to {' and '.join(told)}" in page.titles()
    for name, series in rows.items():
        for row in series:
            assert page.marks().count(f"{name}, {row['k']}: {row['distinct_paths']:.4g}") >= 1
    assert "The columns" not in page.of("h2")


def test_columns_of_two_datasets_share_their_bins(paths: Path) -> None:
    page = report("accepted", "accepted-4", folder=paths)
    sizes = {name: len(datasets.load_from_disk(str(paths / name))) for name in ("accepted", "accepted-4")}
    (title,) = [title for title in page.of("h3") if title.startswith("response: ")]
    assert title.startswith("response: the median is ")
    shares = dict.fromkeys(sizes, 0.0)
    for mark in page.marks():
        if found := re.fullmatch(r"(accepted(?:-4)?), \d+(?: to \d+)?: ([\d.]+)%", mark):
            shares[found[1]] += float(found[2])
    columns = len([title for title in page.of("h3") if "the median is" in title])
    for share in shares.values():
        assert share == pytest.approx(100 * columns, abs=columns)


def test_tags_are_compared_before_and_after_selection(tagged: Path) -> None:
    page = report("normalized", "selected", folder=tagged)
    assert "Tags per query: on average 2.50 in normalized and 4.50 in selected" in page.titles()
    assert "Complexity: selected has the most tags per query" in page.titles()
    assert (
        "The most common tag, maths, is in 83% of the rows of normalized and 100% of the rows of selected"
        in page.titles()
    )
    assert "Tags that go together in normalized: most often python with maths" in page.titles()
    assert "normalized, 5: 16.7%" in page.marks()
    assert "selected, 5: 50.0%" in page.marks()
    # A square stands on both sides of the diagonal.
    assert {"maths and python: 80 rows", "python and maths: 80 rows"} <= set(page.marks())
    assert "Normalization: 21 forms became 5 tags in normalized" in page.titles()
    assert {"merged by rule: 10", "merged by semantic: 5", "unchanged: 5", "dropped by frequency: 1"} <= set(
        page.marks()
    )


def test_any_rows_have_a_page_that_says_what_it_cannot_show(tmp_path: Path) -> None:
    rows = [
        {"id": str(n), "size": n * n, "flag": n % 2 == 0, "text": "some words " * n, "same": 7, "meta": {"a": n}}
        | {"empty": None, "chat": [{"role": "user", "content": "hi"}] * (n % 4)}
        for n in range(60)
    ]
    page = report(write_rows(tmp_path / "rows.jsonl", rows), folder=tmp_path)
    assert "size: half have at most 841, nine of ten at most 2,809" in page.titles()
    assert "flag: most often false in 50% of the rows" in page.titles()
    assert "text: half have at most 319 characters, nine of ten at most 583" in page.titles()
    assert "chat: half have at most 1 item, nine of ten at most 3" in page.titles()
    unshown = page.of("li")
    for words in ("id: it names rows", "same: it is always 7", "meta: there is no chart", "empty: there are no values"):
        assert any(sentence.startswith(words) for sentence in unshown)
    assert any("without the record of a run" in sentence for sentence in unshown)


def test_a_dataset_without_rows_has_a_page(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"text": [], "tags": []}).save_to_disk(tmp_path / "empty")
    page = report("empty", folder=tmp_path)
    assert "0 in 0 shards, 0 bytes" in page.of("td")


def test_text_from_data_stays_text(hostile: Path) -> None:
    page = report("rows", folder=hostile)
    assert not {name for name, _ in page.elements} & {"script", "img", "b"}
    marks = page.marks()
    assert any("</script><script>alert(1)" in mark for mark in marks)
    assert any("{{ 7 * 7 }}" in mark for mark in marks)
    # Long ones are shortened, and stay apart.
    assert max(map(len, marks)) < 200
    assert len({mark for mark in marks if re.fullmatch(r"y+…(?: \(2\))?: 8", mark)}) == 2
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page.source)
    assert any("\\u202egnirts" in mark for mark in marks)
    assert any("\u2068שלום עולם\u2069" in mark for mark in marks)


def test_the_same_inputs_give_the_same_bytes(tagged: Path) -> None:
    assert report("normalized", folder=tagged).source == report("normalized", folder=tagged).source


def test_a_named_file_is_replaced_and_an_unnamed_one_only_if_it_is_a_report(tagged: Path, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("my own")
    done = synth("report", tagged / "selected", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "synth: report.html exists and is not a report: name the file to write with --output\n"
    assert (tmp_path / "report.html").read_text() == "my own"
    assert synth("report", tagged / "selected", "--output", "report.html", folder=tmp_path).returncode == 0
    assert synth("report", tagged / "selected", folder=tmp_path).returncode == 0
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_page_can_be_written_into_a_pipe(tagged: Path) -> None:
    done = run_synth("report", tagged / "selected", "--output", "/dev/stdout", folder=tagged)
    assert done.returncode == 0
    assert done.stdout.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], ["nowhere does not exist"]),
        (["selected", "--output", "."], [". is a directory", "--output report.html"]),
        (["selected", "--output", "no/page.html"], ["no/page.html cannot be written", "no directory no"]),
        (["selected", "--tags", "labels"], ["--tags labels", "none of the inputs"]),
        (["selected"] * 9, ["a chart shows up to 8 inputs, not 9"]),
        (["half"], ["half is not finished"]),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(tagged: Path, arguments: list[str], words: list[str]) -> None:
    (tagged / "half.partial").mkdir(exist_ok=True)
    done = synth("report", *arguments, folder=tagged)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    for word in words:
        assert word in line


def test_without_the_library_that_draws_one_sentence_says_how_to_get_it(tagged: Path, tmp_path: Path) -> None:
    (tmp_path / "vl_convert.py").write_text("raise ImportError")
    done = run_synth("report", tagged / "selected", folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "pip install '.[report]'" in line


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium to open the page in")
    with browser(tmp_path_factory.mktemp("profile")) as running:
        yield running


def test_a_browser_draws_every_bar_and_asks_for_nothing(chromium: Browser, tagged: Path) -> None:
    written = report("normalized", "selected", folder=tagged)
    page = chromium.open(tagged / "report.html")
    drawn = page.value(
        "[...document.querySelectorAll('svg .mark')].filter(mark => { const box = mark.getBoundingClientRect();"
        " return box.width > 0 && box.height > 0 }).length"
    )
    # A bin without values has no height.
    empty = sum(mark.endswith((": 0.0%", ": 0", ": 0%")) for mark in written.marks())
    assert drawn == len(written.marks()) - empty
    assert drawn > 60
    # The bar of maths in `selected` is 6/5 as long as that in `normalized`.
    width = "[...document.querySelectorAll('svg .mark')].find(mark => mark.textContent == '{}').getBBox().width"
    lengths = [page.value(width.format(told)) for told in ("normalized, maths: 83%", "selected, maths: 100%")]
    assert lengths[1] / lengths[0] == pytest.approx(1.2)
    assert page.events("Log.entryAdded") == []
    assert page.events("Runtime.exceptionThrown") == []
    assert [event["request"]["url"] for event in page.events("Network.requestWillBeSent")] == [
        (tagged / "report.html").resolve().as_uri()
    ]


def test_a_browser_runs_nothing_that_came_from_data(chromium: Browser, hostile: Path) -> None:
    report("rows", folder=hostile)
    page = chromium.open(hostile / "report.html")
    assert page.events("Page.javascriptDialogOpening") == []
    assert page.value("document.scripts.length") == 0
    assert page.value("document.querySelectorAll('img, b, [onload], [onerror]').length") == 0
    # And if something had got in, the page's policy would stop it.
    inserted = "(() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
    assert page.value(inserted + " document.body.append(s); return window.ran ?? 0 })()") == 0


def widths(page: BrowserPage, mark: str, measure: str = "getBBox().width") -> list[float]:
    """A measure of each mark that tells this, in the order of the charts."""
    marks = f"[...document.querySelectorAll('svg .mark')].filter(mark => mark.textContent == {json.dumps(mark)})"
    return list(page.value(f"{marks}.map(mark => mark.{measure})"))


def test_charts_of_the_same_quantity_share_their_axis(chromium: Browser, paths: Path, tagged: Path) -> None:
    synth("filter", "paths.jsonl", "few", "--where", "sample < 2", folder=paths)
    report("accepted", "few", "curve", folder=paths)
    page = chromium.open(paths / "report.html")
    # A question has as many different calculations as correct paths with one sample: they are drawn equally high.
    (first,) = [row["distinct_paths"] for row in datasets.load_from_disk(str(paths / "curve")) if row["k"] == 1]
    distinct, correct = widths(page, f"1: {first:.4g}", "getBBox().y")
    assert distinct == correct
    counts = json.loads((paths / "accepted" / "synth.json").read_text())["counts"]["reasons"]
    (most,) = widths(page, f"duplicate: {counts['duplicate']}")
    (not_met,) = widths(page, "not_met: 50")
    # Labels of another width leave another room for the bars.
    assert most / counts["duplicate"] == pytest.approx(not_met / 50, rel=0.15)
    report("normalized", "selected", folder=tagged)
    page = chromium.open(tagged / "report.html")
    opacity = "getAttribute('opacity')"
    of_all, of_selected = (widths(page, f"maths and python: {rows} rows", opacity) for rows in (80, 40))
    assert float(of_selected[0]) == 1
    assert float(of_all[0]) == pytest.approx(0.08 + 0.92 * 80 / 120)


def test_the_forms_of_tags_in_two_vocabularies_share_their_axis(chromium: Browser, tagged: Path) -> None:
    (tagged / "other").mkdir()
    datasets.Dataset.from_list([{"tags": ["sea"]}]).save_to_disk(tagged / "other")
    forms = [{"form": form, "count": 3, "step": "rule", "tag": "sea"} for form in ("sea", "Sea")]
    datasets.Dataset.from_list(forms).save_to_disk(tagged / "other" / "vocabulary")
    report("normalized", "other", folder=tagged)
    page = chromium.open(tagged / "report.html")
    (four,), (two,) = widths(page, "maths: 4"), widths(page, "sea: 2")
    assert four / two == pytest.approx(2, rel=0.15)


def test_the_table_of_runs_is_read_on_a_telephone_without_scrolling(chromium: Browser, paths: Path) -> None:
    report("samples", "accepted", "accepted-4", "curve", folder=paths)
    cells = "[...document.querySelectorAll('.textual td')].filter(cell => cell.textContent)"
    page = chromium.open(paths / "report.html", width=360)
    assert page.value(f"{cells}.every(cell => cell.getBoundingClientRect().right <= 360)")
    assert page.value("(table => table.scrollWidth <= table.clientWidth)(document.querySelector('.facts .scroll'))")
    named = page.value(f"{cells}.map(cell => getComputedStyle(cell, '::before').content)")
    assert {'"samples: "', '"accepted-4: "'} <= set(named)
    wide = chromium.open(paths / "report.html")
    assert set(wide.value(f"{cells}.map(cell => getComputedStyle(cell).display)")) == {"table-cell"}


def test_a_page_suits_a_telephone_and_the_dark(chromium: Browser, paths: Path) -> None:
    report("samples", "accepted", "curve", folder=paths)
    colours = {}
    for dark in (False, True):
        page = chromium.open(paths / "report.html", width=360, dark=dark)
        assert page.value("document.documentElement.scrollWidth") == 360
        assert page.value(
            "[...document.querySelectorAll('svg')].every(svg => svg.getBoundingClientRect().right <= 360)"
        )
        colours[dark] = [
            page.value("getComputedStyle(document.body).backgroundColor"),
            page.value("getComputedStyle(document.querySelector('svg text')).fill"),
            page.value("getComputedStyle(document.querySelector('svg .mark')).fill"),
        ]
    assert not set(colours[False]) & set(colours[True])

from pathlib import Path

import pytest

from synth.pipelines.runtime.mixtures import Mixture
from synth.schemas.errors import InputError, UsageError


def test_a_mixture_is_read_as_it_was_written_and_what_stands_beside_it_is_left(tmp_path: Path) -> None:
    mixture = Mixture({"math": 5.0, "code": 0.0})
    mixture.write(tmp_path / "mixture.json", cycles=8)
    assert Mixture.read(tmp_path / "mixture.json", "--weights") == mixture
    assert mixture.of(["code", "math"], "--weights") == [0.0, 5.0]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["math"], "--weights: there is a weight of code, which is none of math"),
        (["math", "code", "web"], "--weights: there is no weight of web, only of math, code"),
    ],
)
def test_names_that_do_not_match_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Mixture({"math": 5.0, "code": 3.0}).of(names, "--weights")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        ("{", "is not JSON"),
        ("[1]", "is not of the form"),
        ('{"math": 1}', "is not of the form"),
        ('{"weights": {}}', "is not of the form"),
        ('{"weights": {"math": "5"}}', "the weight of math must be a number of at least 0, not '5'"),
        ('{"weights": {"math": true}}', "not True"),
        ('{"weights": {"math": -1}}', "not -1"),
        ('{"weights": {"math": NaN}}', "not nan"),
        ('{"weights": {"math": 0}}', "all weights are 0"),
    ],
)
def test_a_file_that_is_no_mixture_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "mix.json").write_text(content)
    with pytest.raises(InputError, match=message):
        Mixture.read(tmp_path / "mix.json", "--weights")

"""Packages that programs may import: they work, their values have no canonical form, and the walls stand as before."""

import subprocess
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from synth.sandbox.pool import Sandbox
from tests.command import SYNTH
from tests.hostile.case import TRIED
from tests.jails import LentSandbox, told, why_not

pytestmark = pytest.mark.skipif(find_spec("numpy") is None, reason="numpy is not installed")


@pytest.fixture(scope="module")
def lent(kind: str) -> Iterator[LentSandbox]:
    """A jail with numpy; starting it runs the self-test with numpy imported."""
    sandbox = LentSandbox(kind, packages=["numpy"])
    yield sandbox
    sandbox.take_back()


def test_a_program_computes_with_numpy(lent: LentSandbox) -> None:
    source = """
import numpy as np
def f(rows):
    a = np.array(rows, dtype=float)
    return (a @ a.T).tolist(), float(np.fft.fft(a[0])[0].real), int(np.argmax(a)), a.shape
"""
    verdict = lent.run(source, ([[[2, 1], [1, 3]]], {}))
    assert told(verdict) == "([[5.0, 5.0], [5.0, 10.0]], 3.0, 3, (2, 2))"


def test_values_of_numpy_are_unencodable_by_the_names_of_their_types(lent: LentSandbox) -> None:
    source = "import numpy as np\ndef f(text): return eval(text)"
    texts = ["np.zeros(2)", "np.float64(1)", "[np.int64(1)]", "{'a': np.bool_(True)}", "np", "np.str_('x')", "np.nan"]
    verdict = lent.run(source, *(([text], {}) for text in texts))
    kinds = ["ndarray", "float64", "int64", "bool", "module", "str_"]
    assert told(verdict) == "; ".join([*(f"unencodable {kind}" for kind in kinds), "nan"])


def test_the_walls_stand_with_a_package_imported(lent: LentSandbox) -> None:
    source = (
        "import os, socket\nimport numpy as np\n"
        + TRIED
        + """
def f():
    return tried(
        fork=os.fork,
        command=lambda: os.execv('/bin/sh', ['sh']),
        socket=socket.socket,
        signal=lambda: os.kill(os.getppid(), 0),
        read=lambda: open('/etc/passwd'),
        save=lambda: np.save('/tmp/a.npy', np.zeros(2)),
        map=lambda: np.memmap('/tmp/a.map', mode='w+', shape=(2,)),
        own=lambda: open(np.__file__, 'a'),
    )
"""
    )
    assert told(lent.run(source)) == "[]"
    assert told(lent.run("import numpy as np\ndef f(): return np.ones(1 << 40)")) == "exception MemoryError"
    poison = "import numpy as np\nnp.ones = np.array = None\ndef f(): return np.ones"
    assert told(lent.run(poison)) == "None"
    assert told(lent.run("import numpy as np\ndef f(): return np.ones(3).tolist()")) == "[1.0, 1.0, 1.0]"


def test_other_profiles_draw_other_numbers(lent: LentSandbox) -> None:
    source = "import numpy as np\ndef f(): return np.random.default_rng().integers(1 << 40).item()"
    assert told(lent.run(source)) != told(lent.run(source, profile=1))


def test_without_the_option_there_is_no_package() -> None:
    if reason := why_not("bwrap"):
        pytest.skip(reason)
    command = [SYNTH, "run-code", "-", "--jail", "bwrap"]
    ran = {
        option: subprocess.run(
            [*command, *option], input="import numpy\ndef f(): return 1", capture_output=True, text=True, check=False
        )
        for option in ((), ("--jail-package", "numpy"))
    }
    assert ran[()].returncode == 1
    assert "ModuleNotFoundError: No module named 'numpy'" in " ".join(ran[()].stdout.split())
    assert ran["--jail-package", "numpy"].returncode == 0


def test_packages_are_part_of_what_outputs_depend_on() -> None:
    with_numpy, without = Sandbox(packages=["numpy"]).identity(), Sandbox().identity()
    assert "numpy" in str(with_numpy["packages"])
    assert without["packages"] == []

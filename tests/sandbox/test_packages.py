"""Packages that programs may import: they work, their values have no canonical form, and the jail stays closed."""

import subprocess
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from synth.sandbox.pool import Sandbox
from tests.command import SYNTH
from tests.hostile.case import TRIED
from tests.jails import BlockingSandbox, summary_of, why_not

pytestmark = pytest.mark.skipif(find_spec("numpy") is None, reason="numpy is not installed")


@pytest.fixture(scope="module")
def sandbox(kind: str) -> Iterator[BlockingSandbox]:
    """A jail with numpy; starting it runs the self-test with numpy imported."""
    with BlockingSandbox(kind, packages=["numpy"]) as sandbox:
        yield sandbox


def test_a_program_computes_with_numpy(sandbox: BlockingSandbox) -> None:
    source = """
import numpy as np
def f(rows):
    a = np.array(rows, dtype=float)
    return (a @ a.T).tolist(), float(np.fft.fft(a[0])[0].real), int(np.argmax(a)), a.shape
"""
    verdict = sandbox.run(source, ([[[2, 1], [1, 3]]], {}))
    assert summary_of(verdict) == "([[5.0, 5.0], [5.0, 10.0]], 3.0, 3, (2, 2))"


def test_numpy_values_are_unencodable_and_named_by_their_types(sandbox: BlockingSandbox) -> None:
    source = "import numpy as np\ndef f(text): return eval(text)"
    texts = ["np.zeros(2)", "np.float64(1)", "[np.int64(1)]", "{'a': np.bool_(True)}", "np", "np.str_('x')", "np.nan"]
    verdict = sandbox.run(source, *(([text], {}) for text in texts))
    kinds = ["ndarray", "float64", "int64", "bool", "module", "str_"]
    assert summary_of(verdict) == "; ".join([*(f"unencodable {kind}" for kind in kinds), "nan"])


def test_the_jail_stays_closed_with_a_package_imported(sandbox: BlockingSandbox) -> None:
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
    assert summary_of(sandbox.run(source)) == "[]"
    assert summary_of(sandbox.run("import numpy as np\ndef f(): return np.ones(1 << 40)")) == "exception MemoryError"
    poison = "import numpy as np\nnp.ones = np.array = None\ndef f(): return np.ones"
    assert summary_of(sandbox.run(poison)) == "None"
    assert summary_of(sandbox.run("import numpy as np\ndef f(): return np.ones(3).tolist()")) == "[1.0, 1.0, 1.0]"


def test_other_profiles_draw_other_numbers(sandbox: BlockingSandbox) -> None:
    source = "import numpy as np\ndef f(): return np.random.default_rng().integers(1 << 40).item()"
    assert summary_of(sandbox.run(source)) != summary_of(sandbox.run(source, profile=1))


def test_without_the_option_there_is_no_package() -> None:
    if reason := why_not("bwrap"):
        pytest.skip(reason)
    command = [SYNTH, "run-code", "-", "--jail", "bwrap"]
    done = {
        option: subprocess.run(
            [*command, *option], input="import numpy\ndef f(): return 1", capture_output=True, text=True, check=False
        )
        for option in ((), ("--jail-package", "numpy"))
    }
    assert done[()].returncode == 1
    assert "ModuleNotFoundError: No module named 'numpy'" in " ".join(done[()].stdout.split())
    assert done["--jail-package", "numpy"].returncode == 0


def test_packages_are_part_of_the_identity() -> None:
    with_numpy, without = Sandbox(packages=["numpy"]).identity(), Sandbox().identity()
    assert "numpy" in str(with_numpy["packages"])
    assert without["packages"] == []

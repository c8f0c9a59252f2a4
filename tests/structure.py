"""What holds of the tree as a whole, read from its sources: `python -m tests.structure` prints it, and tests check it.

A check gives its findings, one line each, and none where all is well.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("cli", "pipelines", "sandbox", "schemas")
# Folders of `pipelines` that recipes share; every other folder there is a recipe.
SHARED = ("runtime", "engines", "retrieval")
# What each part may import beside itself. Recipes share one line.
MAY_IMPORT = {
    "cli": {"recipe", *SHARED, "sandbox", "schemas"},
    "recipe": {*SHARED, "sandbox", "schemas"},
    "runtime": {"engines", "retrieval", "sandbox", "schemas"},
    "retrieval": {"engines", "runtime", "schemas"},
    "engines": {"schemas"},
    "sandbox": {"schemas.errors"},
    "schemas": set(),
}
MOST_LINES_OF_A_FILE = 400

Graph = Mapping[str, Iterable[str]]


@dataclass(frozen=True)
class Module:
    """One file of a package: `name` starts with the package, without `synth`."""

    name: str
    lines: list[str]
    classes: list[str]
    imports: set[str] = field(default_factory=set)
    # Imports inside functions, and those that only the type checker sees.
    deferred: set[str] = field(default_factory=set)

    @property
    def part(self) -> str:
        """The part of the tree that the module belongs to: a package, a shared folder of `pipelines`, or a recipe."""
        package, _, rest = self.name.partition(".")
        return rest.split(".")[0] if package == "pipelines" and rest else package


@cache
def modules() -> dict[str, Module]:
    """Every file of the four packages, by its name."""
    files = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
        for package in PACKAGES
        for file in sorted((ROOT / package).rglob("*.py"))
    }
    found = {}
    for name, file in files.items():
        text = file.read_text()
        tree = ast.parse(text)
        classes = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        module = found[name] = Module(name, text.splitlines(), classes)
        for node, deferred in import_statements(tree):
            for imported in targets(node):
                if not imported.startswith("synth."):
                    continue
                own = imported.removeprefix("synth.")
                # What is imported from a module may be a module, or a name in it.
                target = next((each for each in (own, own.rpartition(".")[0]) if each in files), None)
                if target and target != name:
                    (module.deferred if deferred else module.imports).add(target)
    return found


def import_statements(node: ast.AST, deferred: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Every import below `node`, and whether it is carried out only later, or never."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, deferred
        else:
            for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or for_types
            yield from import_statements(child, deferred or inside)


def targets(node: ast.Import | ast.ImportFrom) -> list[str]:
    names = [alias.name for alias in node.names]
    return names if isinstance(node, ast.Import) else [f"{node.module}.{name}" for name in names]


def cycles(graph: Graph) -> list[str]:
    """Modules that import one another, directly or through others: each such group once, in order of names."""

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = set(graph[waiting.pop()]) - seen
            seen |= new
            waiting += new
        return seen

    reached = {name: reachable(name) for name in graph}
    groups = {frozenset(other for other in reached[name] if name in reached[other]) for name in graph}
    return sorted(" <-> ".join(sorted(group)) for group in groups if group)


def import_cycles() -> list[str]:
    return cycles({name: module.imports for name, module in modules().items()})


def deferred_cycles() -> list[str]:
    return cycles({name: module.imports | module.deferred for name, module in modules().items()})


def forbidden_imports() -> list[str]:
    """Imports upwards, from recipe to recipe, and of `sandbox` from anything of `schemas` but its errors."""
    found = []
    for name, module in modules().items():
        for target in sorted(module.imports | module.deferred):
            part = modules()[target].part
            kind, of = (each if each in MAY_IMPORT else "recipe" for each in (module.part, part))
            if module.part != part and not {of, target} & MAY_IMPORT[kind]:
                found.append(f"{name} imports {target}")
    return found


def repeated_classes() -> list[str]:
    homes = defaultdict(list)
    for name, module in modules().items():
        for each in module.classes:
            homes[each].append(name)
    return [f"{each} in {', '.join(names)}" for each, names in homes.items() if len(names) > 1]


def long_files() -> list[str]:
    lengths = {file: file.read_text().count("\n") for file in sources(".py")}
    return [f"{file.relative_to(ROOT)}: {lines}" for file, lines in lengths.items() if lines > MOST_LINES_OF_A_FILE]


def count_lines(counted: Iterable[Module]) -> tuple[int, int]:
    """All lines, and those that are not blank."""
    lines = [line for module in counted for line in module.lines]
    return len(lines), sum(1 for line in lines if line.strip())


def outside_synth() -> list[str]:
    """Modules imported without `synth.`, which finds them only where the repository itself is on the path."""
    found = []
    for file in sources(".py"):
        for tree in programs(ast.parse(file.read_text())):
            imported = {name for node, _ in import_statements(tree) for name in targets(node)}
            wrong = sorted(name for name in imported if name.split(".")[0] in PACKAGES)
            found += [f"{file.relative_to(ROOT)}: {name}" for name in wrong]
    for file in sources(".md", "Makefile"):
        lines = re.findall(rf"(?m)^ *(?:from|import) (?:{'|'.join(PACKAGES)})\b.*", file.read_text())
        found += [f"{file.relative_to(ROOT)}: {line.strip()}" for line in lines]
    return found


def programs(tree: ast.Module) -> Iterator[ast.Module]:
    """A file's tree, and those of the programs that it holds as text."""
    yield tree
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "import " in node.value:
            try:
                yield ast.parse(node.value)
            except (SyntaxError, ValueError):
                continue


def foreign_distributions() -> list[str]:
    """Advice to install from PyPI, where `synth` is somebody else's and ours is not: it is installed from a clone."""
    wrong = re.compile(r"pip3? install[^\n`]*[ '\"]synth(?:-recipes)?(?![-\w/.])|\bsynth(?:-recipes)?\[[a-z]")
    return [
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file in sources(".py", ".md", ".toml", "Makefile")
        for match in wrong.finditer(file.read_text())
    ]


def sources(*endings: str) -> list[Path]:
    """The repository's own files of these kinds."""
    folders = [*PACKAGES, "tests", "tiny_model", "benchmarks", "examples", "docs"]
    files = [*ROOT.iterdir(), *(file for folder in folders for file in (ROOT / folder).rglob("*"))]
    # The tests of these checks are full of faults.
    return sorted(
        file for file in files if file.name.endswith(endings) and file.stem != "test_structure" and file.is_file()
    )


CHECKS: dict[str, Callable[[], list[str]]] = {
    "import cycles": import_cycles,
    "import cycles through imports inside functions or for types": deferred_cycles,
    "imports upwards or between recipes": forbidden_imports,
    "class names used twice": repeated_classes,
    f"files of more than {MOST_LINES_OF_A_FILE} lines": long_files,
    "modules imported without synth.": outside_synth,
    "advice to install this package from PyPI": foreign_distributions,
}


def main() -> None:
    for package in PACKAGES:
        print_lines(package, [module for name, module in modules().items() if name.split(".")[0] == package])
    print_lines("in all", list(modules().values()))
    for name, check in CHECKS.items():
        print(f"\n{name}: {'' if (findings := check()) else 'none'}", *findings, sep="\n  ")


def print_lines(name: str, counted: list[Module]) -> None:
    lines, not_blank = count_lines(counted)
    print(f"{name:10} {len(counted):4} files {lines:7,} lines, {not_blank:6,} without blank ones")


if __name__ == "__main__":
    main()

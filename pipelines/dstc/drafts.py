"""Parse the programs and tests that a model wrote, without running them."""

import ast
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from synth.pipelines.engines import Completion
from synth.pipelines.runtime.stage import Reject, Rejected
from synth.pipelines.runtime.text.fences import without_fence

__all__ = ["CodeDraft", "Drafts", "join_program", "read_code", "read_test"]


@dataclass(frozen=True)
class CodeDraft:
    """A runnable program or test, and its syntax tree as text, which ignores comments and layout."""

    text: str
    tree: str


class Drafts:
    """The usable programs or tests of one row: `texts` and `reasoning` by sample number, in order.

    The others are `filtered`, as `<row id>/code-3` or `<row id>/test-0`, with their text in `column`.
    """

    def __init__(self, kind: str, row_id: str, column: str) -> None:
        self._kind = kind
        self._row_id = row_id
        self._column = column
        self.texts: dict[int, str] = {}
        self.reasoning: dict[int, str | None] = {}
        # What the model said, of all samples.
        self.replies: list[str] = []
        self.filtered: list[Rejected] = []

    def __len__(self) -> int:
        return len(self.texts)

    def read(self, replies: Iterable[Completion], reader: Callable[[str, str], CodeDraft], entry: str) -> None:
        """Parse the replies; filter unusable ones and duplicates."""
        first: dict[str, int] = {}
        for number, reply in enumerate(replies):
            self.replies.append(reply.said)
            self.texts[number], self.reasoning[number] = reply.text, reply.reasoning
            if reply.no_answer:
                reason, detail = reply.no_answer
                self.drop(number, f"{self._kind}_{reason.removesuffix('_answer')}", detail)
                continue
            try:
                draft = reader(reply.text, entry)
            except Reject as reject:
                self.drop(number, reject.reason, reject.detail)
                continue
            self.texts[number] = draft.text
            if (original := first.setdefault(draft.tree, number)) != number:
                self.drop(number, f"{self._kind}_duplicate", f"{self._kind}-{original} is the same")

    def drop(self, number: int, reason: str, detail: str) -> None:
        row = {"id": f"{self._row_id}/{self._kind}-{number}", self._column: self.texts.pop(number)}
        self.filtered.append(Rejected(row, reason, detail, [self.replies[number]]))


def read_code(reply: str, entry: str) -> CodeDraft:
    """The program of a reply. Raises `Reject`: `code_empty`, `code_not_python`, `code_without_entry`."""
    text, tree = _program(reply, "code")
    if not any(entry in _names(statement) for statement in tree.body):
        raise Reject("code_without_entry", f"it does not define {entry}")
    return CodeDraft(text, ast.dump(tree))


def read_test(reply: str, entry: str) -> CodeDraft:
    """The test of a reply, with calls of those functions appended that only a test framework would call.

    Raises `Reject`: `test_empty`, `test_not_python`, `test_redefines_entry`, `test_without_assert`,
    `test_needs_arguments`, `test_without_call`.
    """
    text, tree = _program(reply, "test")
    nodes = list(ast.walk(tree))
    if any(_binds(node, entry) for node in nodes):
        raise Reject("test_redefines_entry", f"it gives the name {entry} to something else")
    if not any(isinstance(node, ast.Assert) for node in nodes):
        raise Reject("test_without_assert", "it asserts nothing")
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name not in used]
    calls = {one.name: _call(one, entry) for one in functions if one.name == "check" or one.name.startswith("test")}
    if entry not in used and not any(call.endswith(f"({entry})") for call in calls.values()):
        raise Reject("test_without_call", f"it does not call {entry}")
    return CodeDraft("\n\n\n".join([text, "\n".join(calls.values())]) if calls else text, ast.dump(tree))


def join_program(code: str, test: str) -> str:
    """A program followed by a test: the text that is run and labelled."""
    return f"{code}\n\n\n# Test\n{test}\n"


def _program(reply: str, kind: str) -> tuple[str, ast.Module]:
    """The code of a reply as text and as a tree, both without `if __name__ == "__main__":` blocks."""
    # Split into lines as Python does.
    text = without_fence(reply).replace("\r\n", "\n").replace("\r", "\n").lstrip("\n").rstrip()
    if not text:
        raise Reject(f"{kind}_empty", "the reply has no code")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, kind)
        # Fails now on trees that are too deep to be dumped for comparison.
        ast.dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Reject(f"{kind}_not_python", f"it cannot be parsed: {error}") from None
    lines = text.split("\n")
    for node in reversed(tree.body):
        match node:
            case ast.If(ast.Compare(ast.Name("__name__"), [ast.Eq()], [ast.Constant("__main__")]), orelse=[]):
                del lines[node.lineno - 1 : node.end_lineno]
                tree.body.remove(node)
    return "\n".join(lines).rstrip(), tree


def _names(statement: ast.stmt) -> list[str]:
    """The names that a statement defines."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
    return []


def _binds(node: ast.AST, name: str) -> bool:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return node.name == name
        case ast.Name(ctx=ast.Store() | ast.Del()):
            return node.id == name
        case ast.arg():
            return node.arg == name
        case ast.alias():
            return (node.asname or node.name.partition(".")[0]) == name
    return False


def _call(function: ast.FunctionDef, entry: str) -> str:
    """A call of a test function, without arguments or with the entry point, as in HumanEval's `check(candidate)`."""
    arguments = function.args
    by_position = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    if by_position > 1 or None in arguments.kw_defaults:
        raise Reject("test_needs_arguments", f"{function.name} has parameters that nothing here knows")
    return f"{function.name}({entry if by_position else ''})"

"""Infer the expected type of each parameter from its annotation, default, uses and name, in this order of weight."""

import ast

from synth.pipelines.case2code.evidence import OBJECT, TYPES, Evidence, gather
from synth.pipelines.case2code.literals import Unreadable, read_value
from synth.pipelines.case2code.signature import Signature
from synth.pipelines.runtime.stage import Reject

__all__ = ["expectations"]

# An annotation outweighs all uses, a default most of them, a name hardly any.
ANNOTATED, DEFAULT, NAMED = 50.0, 2.0, 0.2

_GENERIC = {
    **dict.fromkeys(("list", "sequence", "mutablesequence", "iterable", "collection", "iterator", "sized"), "list"),
    **dict.fromkeys(("set", "frozenset", "mutableset", "abstractset"), "set"),
    **dict.fromkeys(("dict", "mapping", "mutablemapping", "defaultdict", "ordereddict", "typeddict"), "dict"),
    "tuple": "tuple",
}
_PLAIN = {
    **{name: name for name in ("int", "float", "str", "bytes", "bool")},
    **dict.fromkeys(("anystr", "text", "literalstring"), "str"),
    **dict.fromkeys(("number", "real", "supportsfloat"), "float"),
    **dict.fromkeys(("integral", "supportsindex", "supportsint"), "int"),
    "bytearray": "bytes",
    "none": "none",
}
_NAMES = {
    "int": "n m k i j x y a b num number count size length width height start end index year month day limit depth",
    "float": "f price rate ratio weight radius value temperature amount",
    "str": "s t text string word name line path char c key prefix suffix message title sentence pattern url filename",
    "list": "l lst arr array nums numbers items values data seq sequence words lines elements args list xs points",
    "dict": "d dct dic mapping table config params options record dict kwargs",
    "bool": "flag verbose reverse strict force",
}
_EXPECTED = {name: kind for kind, names in _NAMES.items() for name in names.split()}


def expectations(signature: Signature) -> dict[str, Evidence]:
    """Evidence on each parameter by name, in order. Raises `Reject` as `too_nested`."""
    try:
        found = gather(signature.node)
        for parameter in signature.parameters:
            evidence = found[parameter.name]
            if parameter.annotation:
                _vote_annotation(evidence, parameter.annotation)
            if parameter.default:
                _vote_default(evidence, parameter.default)
            if kind := _EXPECTED.get(parameter.name.lower().strip("_")):
                evidence.vote({kind: NAMED})
    except RecursionError:
        raise Reject("too_nested", f"{signature.name} is nested too deeply to be read") from None
    return found


def _vote_annotation(evidence: Evidence, annotation: ast.expr) -> None:
    match annotation:
        case ast.Constant(value=str(text)):
            try:
                _vote_annotation(evidence, ast.parse(text, mode="eval").body)
            except (SyntaxError, ValueError, MemoryError):
                return
        case ast.Constant(value=None):
            evidence.vote({"none": ANNOTATED / 10})
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            _vote_annotation(evidence, left)
            _vote_annotation(evidence, right)
        case ast.Subscript(value=generic, slice=arguments):
            inner = arguments.elts if isinstance(arguments, ast.Tuple) else [arguments]
            _vote_generic(evidence, _name(generic), inner)
        case ast.Name() | ast.Attribute():
            name = _name(annotation)
            kind = _PLAIN.get(name) or _GENERIC.get(name)
            if kind is None and name not in ("any", "object", "hashable", "typevar") and len(name) > 1:
                kind = OBJECT
            if kind:
                evidence.vote({kind: ANNOTATED})


def _vote_generic(evidence: Evidence, name: str, inner: list[ast.expr]) -> None:
    """An annotation such as `list[int]`, `Optional[str]`, `Literal['a', 'b']`."""
    kind = _GENERIC.get(name)
    if name in ("optional", "union", "annotated", "final"):
        for one in inner[:1] if name == "annotated" else inner:
            _vote_annotation(evidence, one)
        if name == "optional":
            evidence.vote({"none": ANNOTATED / 10})
    elif name == "literal":
        for one in inner:
            if isinstance(one, ast.Constant):
                evidence.compare(one.value)
                evidence.vote({type(one.value).__name__: ANNOTATED})
                evidence.is_choice = True
    elif kind == "tuple" and not (len(inner) == 2 and isinstance(inner[1], ast.Constant)):
        evidence.vote({"tuple": ANNOTATED})
        for index, one in enumerate(inner):
            _vote_annotation(evidence.part(index, len(inner)), one)
    elif kind:
        evidence.vote({kind: ANNOTATED})
        if kind == "dict":
            _vote_annotation(evidence.key, inner[0])
        _vote_annotation(evidence.item, inner[-1] if kind == "dict" else inner[0])
    else:
        evidence.vote({OBJECT: ANNOTATED})


def _vote_default(evidence: Evidence, default: ast.expr) -> None:
    try:
        value = read_value(default)
    except Unreadable:
        return
    kind = type(value).__name__
    if kind == "bool":
        evidence.vote({"bool": 3 * DEFAULT})
        return
    if kind in TYPES:
        evidence.vote({kind: DEFAULT})
    evidence.compare(value)


def _name(node: ast.expr) -> str:
    """The last part of a dotted name, in lower case: `list` for `typing.List`."""
    return ast.unparse(node).rpartition(".")[2].lower()

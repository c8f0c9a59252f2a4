"""What each parameter of a function expects: its annotation, then its default, then its uses, then its name."""

import ast

from synth.pipelines.case2code.evidence import OBJECT, TYPES, Evidence, gather
from synth.pipelines.case2code.literals import Unreadable, read_value
from synth.pipelines.case2code.signature import Signature
from synth.pipelines.runtime.stage import Reject

__all__ = ["expectations"]

# An annotation outweighs whatever the body says, a default most of it, a name next to nothing.
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
        return _expectations(signature)
    except RecursionError:
        raise Reject("too_nested", f"{signature.name} is nested too deeply to be read") from None


def _expectations(signature: Signature) -> dict[str, Evidence]:
    found = gather(signature.node)
    for parameter in signature.parameters:
        evidence = found[parameter.name]
        if parameter.annotation:
            _annotated(evidence, parameter.annotation)
        if parameter.default:
            _defaulted(evidence, parameter.default)
        if kind := _EXPECTED.get(parameter.name.lower().strip("_")):
            evidence.vote({kind: NAMED})
    return {parameter.name: found[parameter.name] for parameter in signature.parameters}


def _annotated(evidence: Evidence, annotation: ast.expr) -> None:
    match annotation:
        case ast.Constant(value=str(text)):
            try:
                _annotated(evidence, ast.parse(text, mode="eval").body)
            except (SyntaxError, ValueError, MemoryError):
                return
        case ast.Constant(value=None):
            evidence.vote({"none": ANNOTATED / 10})
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            _annotated(evidence, left)
            _annotated(evidence, right)
        case ast.Subscript(value=generic, slice=arguments):
            inner = arguments.elts if isinstance(arguments, ast.Tuple) else [arguments]
            _generic(evidence, _name(generic), inner)
        case ast.Name() | ast.Attribute():
            name = _name(annotation)
            kind = _PLAIN.get(name) or _GENERIC.get(name)
            if kind is None and name not in ("any", "object", "hashable", "typevar") and len(name) > 1:
                kind = OBJECT
            if kind:
                evidence.vote({kind: ANNOTATED})


def _generic(evidence: Evidence, name: str, inner: list[ast.expr]) -> None:
    """An annotation such as `list[int]`, `Optional[str]`, `Literal['a', 'b']`."""
    kind = _GENERIC.get(name)
    if name in ("optional", "union", "annotated", "final"):
        for one in inner[:1] if name == "annotated" else inner:
            _annotated(evidence, one)
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
            _annotated(evidence.part(index, len(inner)), one)
    elif kind:
        evidence.vote({kind: ANNOTATED})
        if kind == "dict":
            _annotated(evidence.key, inner[0])
        _annotated(evidence.item, inner[-1] if kind == "dict" else inner[0])
    else:
        evidence.vote({OBJECT: ANNOTATED})


def _defaulted(evidence: Evidence, default: ast.expr) -> None:
    try:
        value = read_value(default)
    except Unreadable:
        return
    if value is None:
        evidence.vote({"none": 1.0})
    elif isinstance(value, bool):
        evidence.vote({"bool": 3 * DEFAULT})
    else:
        kind = next((kind for kind, type_ in TYPES.items() if isinstance(value, type_)), None)
        if kind:
            evidence.vote({kind: DEFAULT})
            evidence.compare(value)


def _name(node: ast.expr) -> str:
    """The last part of a dotted name, in small letters: `list` for `typing.List`."""
    return ast.unparse(node).rpartition(".")[2].lower()

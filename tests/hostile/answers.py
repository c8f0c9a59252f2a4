"""Programs that forge or corrupt answers, or leave something behind for the next one. Rows 13 to 24, 39 to 41, 43 and 44."""

# ruff: noqa: E501  long lines of programs

from synth.sandbox.verdict import Limits
from tests.hostile.case import SHORT, TRIED, case

WRITE = "import os, json, struct\ndef say(data): os.write(3, len(data).to_bytes(4, 'big') + data)\n"
LEAVE = "\n    os._exit(0)"
FORGED = {
    "garbage": "os.write(3, b'garbage garbage')",
    "a frame of four gigabytes": "os.write(3, b'\\xff\\xff\\xff\\xff')",
    "a frame cut short": "os.write(3, b'\\0\\0\\0\\x09[0,')",
    "half a length": "os.write(3, b'\\0')",
    "a deep list": "say(b'[0,0,' + b'[' * 30_000 + b']' * 30_000 + b']')",
    "a very deep list": "say(b'[' * 200_000)",
    "an input twice": "say(b'[0,0,1]'); say(b'[0,0,1]')",
    "an input that there is not": "say(b'[5,0,1]')",
    "an input before the first": "say(b'[-1,0,1]')",
    "a number for an index": "say(b'[0.0,0,1]')",
    "true for an index": "say(b'[false,0,1]')",
    "a kind that there is not": "say(b'[0,7,1]')",
    "NaN": "say(b'[0,0,NaN]')",
    "a bare float": "say(b'[0,0,1.5]')",
    "a long number": "say(b'[0,0,' + b'9' * 900_000 + b']')",
    "a number too long for Python": "say(b'[0,0,' + b'9' * 5000 + b']')",
    "not ASCII": "say('[0,0,\"\\u00e9\"]'.encode())",
    "a lone surrogate": "say(b'[0,0,\"\\\\ud800\"]')",
    "an unknown tag": "say(b'[0,0,{\"object\":1}]')",
    "two tags": 'say(b\'[0,0,{"tuple":[],"set":[]}]\')',
    "a set out of order": "say(b'[0,0,{\"set\":[2,1]}]')",
    "a set of lists": "say(b'[0,0,{\"set\":[[1]]}]')",
    "a tag within a tag that has no right to it": 'say(b\'[0,0,{"int":["9007199254740993"]}]\')',
    "a late load error": "say(b'[0,0,1]'); say(b'[-1,3,\"x\"]')",
    "a name that is a list": "say(b'[0,1,[]]')",
    "an object": "say(b'{\"index\":0}')",
}

CASES = [
    *(case(f"forged: {name}", f"{WRITE}def f():\n    {call}{LEAVE}", "malformed; *") for name, call in FORGED.items()),
    case("a well-forged answer", f"{WRITE}def f():\n    say(b'[0,0,42]'){LEAVE}", "42"),
    case("a forged answer with another after it", f"{WRITE}def f():\n    say(b'[0,0,42]')\n    return 1", "malformed; 42"),
    case("a header of the worker's", WRITE + """
def f():
    head = json.dumps({"id": 1, "end": "exit", "code": 0, "wall": 0, "cpu": 0, "rss": 0}).encode()
    body = len(head).to_bytes(4, "big") + head
    os.write(3, len(body).to_bytes(4, "big") + body)
    os._exit(0)
""", "malformed; -"),
    case("closes its pipe and loops", "import os\ndef f():\n    os.close(3)\n    while True: pass", "no_exit; -", limits=SHORT),
    case("closes its pipe and returns", "import os\ndef f(): os.close(3)", "missing; -"),
    case("sys.exit", "import sys\ndef f(): sys.exit(0)", "exception SystemExit"),
    case("os._exit", "import os\ndef f(): os._exit(0)", "missing; -"),
    case("KeyboardInterrupt", "def f(): raise KeyboardInterrupt", "exception KeyboardInterrupt"),
    case("GeneratorExit", "def f(): raise GeneratorExit", "exception GeneratorExit"),
    case("SystemExit at import", "raise SystemExit(0)\ndef f(): return 1", "load_error; -"),
    case("os._exit at import", "import os\nos._exit(0)", "missing; -"),
    case("abort", "import os\ndef f(): os.abort()", "crashed; -"),
    case("a null pointer", "import ctypes\ndef f(): ctypes.string_at(0)", "crashed; -"),
    case("a deep list", "def f():\n    a = []\n    for _ in range(200_000): a = [a]\n    return a", "unencodable too deep"),
    case("a list in itself", "def f():\n    a = []\n    a.append(a)\n    return a", "unencodable too deep"),
    case("a list of lists of lists", "def f():\n    a = [0]\n    for _ in range(10): a = [a] * 10\n    return a", "unencodable too *"),
    case("a long list", "def f(): return [0] * 3_000_000", "unencodable too many"),
    case("a long text", "def f(): return 'x' * 50_000_000", "unencodable too long"),
    case("long bytes", "def f(): return bytes(1_000_000)", "unencodable too long"),
    case("text that grows when escaped", "def f(): return '\\u20ac' * 60_000", "unencodable too long"),
    case("a long number", "def f(): return 7 ** 20_000", "unencodable too long"),
    case("a number of 13,000 bits", "def f(): return (1 << 13_000) - 1", "*"),
    case(
        "values that JSON has not",
        "def f(): return [float('nan'), float('inf'), -0.0, 2 ** 100, '\\ud800', 'a\\0b', 1, 1.0, True]",
        f"[[]nan, inf, -0.0, {2**100}, '\\ud800', 'a\\x00b', 1, 1.0, True]",
    ),
    *(
        case(f"unencodable: {name}", f"import math\nclass A: pass\nasync def g(): pass\ndef f(): return {name}", f"unencodable {kind}")
        for name, kind in {
            "A()": "A",
            "A": "type",
            "lambda: 0": "function",
            "(i for i in 'a')": "generator",
            "math": "module",
            "g()": "coroutine",
            "[1, {2: A()}]": "A",
            "NotImplemented": "NotImplementedType",
            "...": "ellipsis",
            "ValueError('x')": "ValueError",
        }.items()
    ),
    case("a hostile subclass of int", """
class Bad(int):
    def __getattribute__(self, name): raise SystemExit
    def __repr__(self): raise SystemExit
    __index__ = __int__ = __eq__ = __hash__ = __str__ = __lt__ = __repr__
def f(): return Bad(3)
""", "unencodable Bad"),
    case("a hostile subclass of dict", """
class Bad(dict):
    def __iter__(self): print(1 / 0)
    items = keys = values = __len__ = __getitem__ = __repr__ = __iter__
def f(): return Bad(a=1)
""", "unencodable Bad"),
    case("a hostile subclass of str", """
class Bad(str):
    def encode(self, *a): return b'[0,0,42]'
    __len__ = isascii = __str__ = __repr__ = encode
def f(): return [Bad('x')]
""", "unencodable Bad"),
    case("a hostile metaclass", """
import os
class Meta(type):
    __name__ = property(lambda self: os._exit(0))
    def __getattribute__(self, name): os._exit(0)
    def __hash__(self): os._exit(0)
    def __eq__(self, other): os._exit(0)
    def __instancecheck__(self, other): os._exit(0)
class Bad(metaclass=Meta): pass
def f(): return Bad()
""", "unencodable Bad"),
    case("equal to everything", "class A:\n    def __eq__(self, other): return True\ndef f(): return A()", "unencodable A"),
    case("a lying class", "class A:\n    __class__ = int\ndef f(): return A()", "unencodable A"),
    case("a hostile key", """
class K:
    def __hash__(self): return 1
    def __eq__(self, other): raise SystemExit
def f(): return {K(): 1, 2: 3}
""", "unencodable K"),
    case("a hostile exception", """
class Bad(Exception):
    __class__ = property(lambda self: 1 / 0)
    def __str__(self): raise SystemExit
    __repr__ = __str__
    args = property(__str__)
    with_traceback = __str__
    __traceback__ = property(__str__, lambda self, value: 1 / 0)
Bad.__name__ = 'Bad' * 4000
def f(): raise Bad('x')
""", f"exception {('Bad' * 40)[:100]}"),
    case("an exception named in many lines", "E = type('a\\nb', (Exception,), {})\ndef f(): raise E", "exception a\\nb"),
    case("builtins replaced", """
import builtins, json, os, struct
def f():
    for name in ('len', 'type', 'str', 'repr', 'isinstance', 'dict', 'list', 'int', 'sorted', 'bool'):
        setattr(builtins, name, lambda *a, **k: 42)
    json.dumps = json.loads = os.write = os._exit = struct.pack = lambda *a, **k: 42
    return [1, 2]
""", "*"),
    case("the encoder found and replaced", """
import gc, sys
def f():
    frame = sys._getframe().f_back
    for name in list(frame.f_globals): frame.f_globals[name] = None
    return 1
""", "*"),
    case("everything found by gc", """
import gc
def f():
    for thing in gc.get_objects():
        if type(thing) is dict and '_WRITERS' in thing: thing.clear()
    return 1
""", "*"),
    case("a trace that loops", "import sys\ndef g(*a):\n    while True: pass\ndef f():\n    sys.settrace(g)\n    return 1", "timeout; -", limits=SHORT),
    case("an audit hook that raises", "import sys\ndef g(*a): raise ValueError\ndef f():\n    sys.addaudithook(g)\n    return 1", "*"),
    case("work left for the end", """
import atexit, weakref
class A:
    def __del__(self):
        while True: pass
a, b = A(), A()
def loop(*_):
    while True: pass
atexit.register(loop)
r = weakref.ref(b, loop)
weakref.finalize(b, loop)
def f(): return 'done'
""", "'done'"),
    case("poison", """
import builtins, collections, json, math, os, random, sys
def f():
    math.pi = 3
    builtins.len = builtins.print = None
    collections.Counter = dict
    os.environ['LEFT'] = 'behind'
    sys.modules['re'] = sys.modules['left_behind'] = sys
    sys.path.insert(0, '/tmp')
    json.dumps = None
    sys.setrecursionlimit(50)
    random.random = lambda: 4
    return 'poisoned'
""", "*"),
    case("what poison left", """
import builtins, collections, json, math, os, random, re, sys
def f():
    return (math.pi > 3.1, len('abc'), collections.Counter.__name__, 'LEFT' in os.environ, 'left_behind' in sys.modules,
        re.__name__, '/tmp' in sys.path, json.dumps(1), sys.getrecursionlimit() > 500, 0 <= random.random() < 1, 'x' in globals())
""", "(True, 3, 'Counter', False, False, 're', False, '1', True, True, False)"),
    case("a syntax error", "def f(:", "load_error; -"),
    case("a NUL byte", "def f(): return 1\0", "load_error; -"),
    case("parentheses", "def f(): return " + "(" * 5000 + ")" * 5000, "load_error; -", "crashed; -"),
    case("unary minus", "def f(): return " + "-" * 60_000 + "1", "load_error; -", "crashed; -"),
    case("unary minus without end", "def f(): return " + "-" * 200_000 + "1", "refused; -"),
    case("two megabytes", "x = '" + "y" * 2_000_000 + "'\ndef f(): return 1", "refused; -"),
    case("a heavy literal", "x = [" + "1," * 30_000 + "]\ndef f(): return len(x)", "30000"),
    case("no function", "def g(): pass", "load_error; -"),
    case("no callable", "f = 3", "exception TypeError"),
    case("a missing import", "import numpy_of_another_world\ndef f(): pass", "load_error; -"),
    case("lone surrogates in the source", "def f(): return '\ud800'", "load_error; -"),
    case("a function named as what it is given to", "def f(r): return r", "exception TypeError"),
    case("a pickle as bytes", "import pickle\nclass A:\n    def __reduce__(self): return print, ('x',)\ndef f(): return pickle.dumps(A())", "b'*'"),
    case("input without an end", "def f(): return input()", "exception EOFError"),
    case(
        "a thousand inputs",
        "def f(n): return n + 1",
        "; ".join(str(n + 1) for n in range(1000)),
        calls=1000,
        limits=Limits(seconds=8.0),
    ),
    case("which files it can see", TRIED + "import os\ndef f(): return [n for n in os.listdir(os.path.dirname(os.__file__)) if 'sandbox' in n]", "[]"),
]  # fmt: skip

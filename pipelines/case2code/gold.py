"""Why a function does not give what is recorded of it (arXiv 2407.12504; the published test set has such tasks)."""

from synth.pipelines.case2code.given import ADDRESS, OF_NAMES, Given, agree

__all__ = ["why_it_differs"]

# The variables of the published harness, which a function of the same name shares with it.
HARNESS = frozenset({"r", "e", "ex", "examples", "json"})


def why_it_differs(func_name: str, given: Given, again: Given | None, record: Given) -> str:
    """The likely cause for a reader, from what a call gave in two runs and what is recorded of it."""
    if given.value is None and given.error is None:
        return "the value is too long, or of a kind that cannot be compared"
    if any(value and ADDRESS.search(value) for value in (given.value, record.value)):
        return "the value shows an address in memory, which changes from run to run"
    if not agree(again, given):
        return "it changes from run to run, as the order of a set, a hash or a random number does"
    if func_name in HARNESS and record.error is not None:
        return f"the published harness has a variable {func_name} of its own, and overwrote the function"
    if record.error in OF_NAMES:
        return f"a name was missing when it was recorded ({record.message})"
    if given.error in OF_NAMES:
        return f"a name is missing here that was there when it was recorded ({given.message})"
    if given.error is not None and record.error is not None:
        return "the type of an error differs between versions of Python"
    return "it was recorded with another version of Python, or after other calls"

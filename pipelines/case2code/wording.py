"""The sentences that composed tasks are made of: as many of each kind as in the paper, but in our own words.

The parts of a task come in any order, so no sentence says "above" or "below". Evaluation uses the first of each kind.
"""

__all__ = ["CALL_FORMATS", "ERRORS", "HEADINGS", "INSTRUCTIONS", "LEAD_INS", "NAMES", "NEWLINES", "RAW_FORMATS"]

INSTRUCTIONS = (
    "Work out which Python function gives these results, and write it.",
    "Here is what a Python function returned for some arguments. Write a function that behaves the same way.",
    "A Python function has been tried a few times. Find the rule behind its results and put it into code.",
    "The source of a Python function was lost; only some of its calls are on record. Restore the function.",
    "Study how the inputs turn into the outputs and write Python code that does the same.",
    "Write one Python function that agrees with every example.",
    "Infer the behaviour of an unknown Python function from examples and implement it.",
    "Each example pairs arguments with what a certain Python function made of them. Which function could it be?",
    "I know what comes out of this Python function but not how it works. Please write it for me.",
    "Reverse-engineer a Python function whose inputs and outputs are given.",
    "Look for the pattern in the examples, then express it as a Python function.",
    "Suppose that you see a Python function only from outside. Reconstruct its code from what you see.",
    "Can you come up with a Python function that would produce exactly these outputs?",
    "Give me Python code for the function that the examples describe.",
    "These observations were made on a black box written in Python. Write down what is inside the box.",
    "Your task is program induction: from cases of input and output, find the Python function.",
    "Think about what happens to the arguments, and write a Python function that does it too.",
    "Explain the data with code: one Python function from which all the results follow.",
    "What does this Python function do? Answer with an implementation that fits all the cases.",
    "Use the recorded cases as a specification and program the Python function that meets it.",
    "Someone noted a Python function's results but threw the function away. Program it anew.",
    "Turn these test cases into the Python function that passes them.",
    "Guess the Python function. It has to hold for the cases given and for others like them.",
    "Generalise from the cases: write the Python function that they are instances of.",
    "I need a Python function that maps each of the inputs to its output.",
    "Deduce the logic that connects inputs with outputs and code it in Python.",
    "Complete the picture: some calls are known, the Python function that was called is to be written.",
    "Find a Python implementation that is consistent with everything that was observed.",
)

HEADINGS = (
    "Examples:",
    "Some cases:",
    "Inputs and outputs:",
    "What was observed:",
    "Recorded calls:",
    "Test cases:",
    "Known results:",
    "A few trials:",
    "Here are the cases:",
    "Sample runs:",
    "The data:",
    "Behaviour:",
    "Observations",
    "## Examples",
    "## Input and output",
    "### Cases",
    "Look at these cases:",
    "This is what the function did:",
    "Results for some arguments:",
    "[examples]",
)

NAMES = (
    "The function is called `{name}`.",
    "Name it `{name}`.",
    "Function name: {name}",
    "Please call the function {name}.",
    "It should be defined as `{name}`.",
    "The name of the function is {name}.",
    "Use the name `{name}` for it.",
    "def {name}(...)",
)

# Formats of arguments and results.
RAW_FORMATS = (
    "Input: {input}\nOutput: {output}",
    "{input} -> {output}",
    "Arguments: {input}; result: {output}",
    "in:  {input}\nout: {output}",
    "- {input} => {output}",
    "From {input} comes {output}",
    "| {input} | {output} |",
    "Given: {input}\nObserved: {output}\n",
)

# Formats of calls as source.
CALL_FORMATS = (
    ">>> {call}\n{output}",
    "{call}  # {output}",
    "{call} -> {output}",
    "Call: {call}\nResult: {output}",
    "`{call}` gives `{output}`",
)

# Formats of errors, shown instead of an output.
ERRORS = (
    "an error: {error}",
    "{error} (raised)",
    "exception {error}",
    "raise {error}",
)

NEWLINES = ("\n",) * 5 + ("\n\n",) * 2 + ("\n\n\n",)

LEAD_INS = (
    "This function fits all the examples:",
    "A function that gives these results:",
    "The examples agree with this function:",
    "Here is such a function:",
    "This should be it:",
    "One implementation that is consistent with the cases:",
    "The rule can be written like this:",
    "In Python:",
)

"""How many threads share work that lets go of the GIL, such as reading files and computing with Arrow."""

import os

__all__ = ["THREADS"]

# More gain little: each holds its part in memory, and Python runs between the parts.
THREADS = min(os.cpu_count() or 1, 8)

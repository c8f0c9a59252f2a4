"""Run a job of Curator with a stand-in for the token counter that it downloads at its start: one that counts words.

usage: without_network.py JOB ARGUMENT...
"""

import runpy
import sys

import tiktoken


class WordCounter:
    def encode(self, text, **_):
        return text.split()


if __name__ == "__main__":
    tiktoken.get_encoding = lambda _name: WordCounter()
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")

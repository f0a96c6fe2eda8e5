#!/usr/bin/env python3
"""Runs the programs of this directory under `braid run`, with a stack process of their own."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "system"))
from harness import Stack, main  # noqa: E402

PROGRAMS = sys.argv[1:]


def run_program(path):
    def test():
        stack = Stack("--no-udp", capture=False)
        print(stack.run(path), end="", flush=True)
        stack.stop()
    test.__name__ = os.path.basename(path)
    return test


if __name__ == "__main__":
    main([run_program(path) for path in PROGRAMS])

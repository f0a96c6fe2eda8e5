#!/usr/bin/env python3
"""What every option and call of the socket API answers, in every state of a socket: Braid beside Linux.

linux-6.1.txt is what the probe says on the kernel (tests/system/test_kernel.py sees to it that it still does);
differences.txt has the lines in which Braid is not alike, each with its reason. `test_api.py FILE` compares what the probe
has written to FILE, instead of running it.
"""
import fnmatch
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
from harness import BUILD, Namespace, Stack, check, join, main, need_root  # noqa: E402

PROBE = os.path.join(BUILD, "tests", "api", "probe")
TABLE = os.path.join(HERE, "linux-6.1.txt")


def rows(text):
    """The probe's lines: name and answers."""
    found = {}
    for line in text.replace("\r", "").splitlines():
        name, colon, answers = line.partition(":")
        check(colon and name not in found, f"the probe said: {line}")
        found[name] = answers.strip()
    return found


def table():
    with open(TABLE, encoding="ascii") as file:
        return rows(file.read())


def differences():
    """The patterns of lines that may differ. A reason stands before its patterns, and begins with #."""
    with open(os.path.join(HERE, "differences.txt"), encoding="ascii") as file:
        return [line.strip() for line in file if line.strip() and not line.startswith("#")]


def compare(said, allowed):
    """Lines in which the probe said something else than on Linux; and the patterns that no line needed."""
    linux, unlike, used = table(), [], set()
    check(list(said) == list(linux), "not the same lines as in the table: was the probe changed? "
          f"{sorted(set(said) ^ set(linux))[:5]}")
    for name, answers in said.items():
        if answers == linux[name]:
            continue
        patterns = [p for p in allowed if fnmatch.fnmatchcase(name, p)]
        used.update(patterns)
        if not patterns:
            unlike.append(f"{name}:\n    Linux: {linux[name]}\n    here:  {answers}\n")
    return unlike, [p for p in allowed if p not in used]


def check_alike(said, allowed=()):
    unlike, needless = compare(rows(said), list(allowed))
    check(not unlike, f"{len(unlike)} lines are not what Linux says:\n{''.join(unlike)}")
    check(not needless, f"these lines of differences.txt are not needed any more: {needless}")
    return len(table())


def ask_braid():
    # a network in which nobody is at 10.8.0.77
    ours, other = Namespace(), Namespace()
    join(ours, other, "10.8.0.2/24", "10.8.0.1/24")
    stack = Stack("--raw", "--no-udp", namespace=ours, capture=False)
    said = stack.run(PROBE)
    stack.stop()
    return said


def braid():
    allowed = differences()
    print(f"{check_alike(ask_braid(), allowed)} lines as on Linux, but for {len(allowed)} patterns of differences.txt")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        with open(sys.argv[1], encoding="ascii") as opened:
            check_alike(opened.read(), differences())
    else:
        need_root()
        main([braid])

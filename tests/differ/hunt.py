#!/usr/bin/env python3
"""Random sequences of calls, on Braid and on Linux in a virtual machine: where do they first differ, and with how few calls?

    hunt.py FIRST LAST          the seeds from FIRST to LAST
    hunt.py --shorten SEED...   the fewest steps of these seeds that still differ
    hunt.py --record FIRST LAST what Linux says goes to linux-6.1.txt, which test_differ.py compares with Braid; seeds that
                                differ are left out, and told

What Linux said is kept in a cache folder (HUNT_CACHE, or one in /tmp): the machine starts only when something new is asked.
"""
import hashlib
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
import guest  # noqa: E402
from harness import BUILD, Namespace, Stack, main, need_root  # noqa: E402

DIFFER = os.path.join(BUILD, "tests", "differ", "differ")
CACHE = os.environ.get("HUNT_CACHE", "/tmp/braid-differ")
ADDRESSES = ("10.9.0.1/32", "10.9.0.2/32", "fd09::1/128", "fd09::2/128")
STEPS = 64
RECORDED = os.path.join(HERE, "linux-6.1.txt")


def transcripts(text):
    """{seed: lines}"""
    found = {}
    for part in text.replace("\r", "").split("seed ")[1:]:
        seed, *lines = part.splitlines()
        found[int(seed)] = lines
    return found


def command(first, last, skip, jobs):
    words = ["--jobs", jobs] + (["--skip", ",".join(map(str, skip))] if skip else [])
    return [*map(str, words), str(first), str(last)]


class Braid:
    def __init__(self):
        self.namespace = Namespace()
        for address in ADDRESSES:
            self.namespace.run("ip", "address", "add", address, "dev", "lo")
        self.stack = Stack("--raw", "--no-udp", namespace=self.namespace, capture=False)

    def run(self, first, last, skip=(), jobs=8):
        return transcripts(self.stack.run(DIFFER, *command(first, last, skip, jobs), seconds=300))


class Linux:
    """Starts when it is asked something that it was not asked before."""

    def __init__(self):
        self.machine = None
        with open(DIFFER, "rb") as file:
            self.version = hashlib.sha256(file.read()).hexdigest()[:12]
        os.makedirs(CACHE, exist_ok=True)

    def _file(self, seed, skip):
        name = hashlib.sha256(repr((self.version, seed, sorted(skip))).encode()).hexdigest()[:24]
        return os.path.join(CACHE, name)

    def _ask(self, first, last, skip, jobs):
        if not self.machine:
            self.machine = guest.Guest(Namespace(), links=(), programs=[DIFFER], seconds=3000)
            self.machine.run("; ".join(f"ip address add {a} dev lo" for a in ADDRESSES))
            self.machine.run("differ --jobs 3 1 9 >/dev/null")  # what is slow the first time
        said = transcripts(self.machine.run("differ " + " ".join(command(first, last, skip, jobs)), seconds=600))
        for seed, lines in said.items():
            with open(self._file(seed, skip), "w", encoding="utf-8") as file:
                file.write("\n".join(lines))

    def run(self, first, last, skip=(), jobs=3):
        missing = [s for s in range(first, last + 1) if not os.path.exists(self._file(s, skip))]
        if missing:
            self._ask(missing[0], missing[-1], skip, jobs)
        found = {}
        for seed in range(first, last + 1):
            with open(self._file(seed, skip), encoding="utf-8") as file:
                found[seed] = file.read().splitlines()
        return found


def allowed():
    """Pairs of patterns: what Linux says, and Braid. A reason stands before them, and begins with #."""
    with open(os.path.join(HERE, "differences.txt"), encoding="ascii") as file:
        lines = [line.rstrip("\n") for line in file if line.strip() and not line.startswith("#")]
    return [(re.compile(lines[i]), re.compile(lines[i + 1])) for i in range(0, len(lines), 2)]


def first_difference(linux, braid):
    """The lines, or None; also if it is one that may be: what follows may be of it."""
    for number in range(max(len(linux), len(braid))):
        one = linux[number] if number < len(linux) else "(nothing)"
        other = braid[number] if number < len(braid) else "(nothing)"
        if one != other:
            fine = any(there.search(one) and here.search(other) for there, here in ALLOWED)
            return None if fine else (one, other)
    return None


ALLOWED = allowed()


def kind(difference):
    """What makes two differences alike: the answers of a step, whatever its number."""
    one, other = difference
    return (re.sub(r"^\d+ ", "", one).split(" = ")[-1], re.sub(r"^\d+ ", "", other).split(" = ")[-1],
            one.split()[1:2])


def compare(braid, linux):
    """Runs on Braid what Linux has said, tells what differs, and returns the seeds."""
    unlike, said = [], braid.run(min(linux), max(linux))
    for seed, lines in linux.items():
        found = first_difference(lines, said.get(seed, []))
        for _ in range(2):  # again, alone: the machine may have been too busy
            if found:
                found = first_difference(lines, braid.run(seed, seed, jobs=1)[seed])
        if found:
            unlike.append(seed)
            print(f"seed {seed}:\n  Linux: {found[0]}\n  Braid: {found[1]}", flush=True)
    return unlike


class Hunt:
    def __init__(self):
        self.braid, self.linux = Braid(), Linux()

    def difference(self, seed, skip=()):
        one, other = self.linux.run(seed, seed, skip), self.braid.run(seed, seed, skip, jobs=1)
        found = first_difference(one[seed], other[seed])
        if found is None:
            return None, one[seed]
        return found, one[seed][:one[seed].index(found[0])] if found[0] in one[seed] else one[seed]

    def shorten(self, seed):
        found, before = self.difference(seed)
        if not found:
            print(f"seed {seed}: no difference")
            return
        wanted = kind(found)
        last = int(found[0][:2]) if found[0][:2].isdigit() else STEPS
        skip = set(range(last + 1, STEPS))
        if last < STEPS:
            skip.add(0)
        tries = 0
        size = max(1, min(last, STEPS - 1) // 2)
        while size:
            changed = False
            left = [s for s in range(1, min(last, STEPS - 1) + 1) if s not in skip]
            for at in range(0, len(left), size):
                tries += 1
                if tries > 45:
                    break
                attempt = skip | set(left[at:at + size])
                here, lines = self.difference(seed, attempt)
                if here and kind(here) == wanted:
                    skip, before, found, changed = attempt, lines, here, True
            size = 0 if tries > 45 else size // 2 if not changed or size > 1 else size
        print(f"==== seed {seed} --skip {','.join(map(str, sorted(skip)))}")
        print("\n".join(before))
        print(f"  Linux: {found[0]}\n  Braid: {found[1]}", flush=True)

    def search(self, first, last):
        unlike = compare(self.braid, self.linux.run(first, last))
        print(f"{len(unlike)} of {last - first + 1} seeds differ: {' '.join(map(str, unlike))}")
        return unlike

    def record(self, first, last):
        unlike = self.search(first, last)
        with open(RECORDED, "w", encoding="ascii") as file:
            for seed, lines in self.linux.run(first, last).items():
                if seed not in unlike:
                    file.write(f"seed {seed}\n" + "".join(line + "\n" for line in lines))


def hunt():
    if sys.argv[1] == "--shorten":
        both = Hunt()
        for seed in sys.argv[2:]:
            both.shorten(int(seed))
    elif sys.argv[1] == "--record":
        Hunt().record(int(sys.argv[2]), int(sys.argv[3]))
    else:
        Hunt().search(int(sys.argv[1]), int(sys.argv[2]))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    need_root()
    main([hunt])

#!/usr/bin/env python3
"""Has a message become more expensive? Instructions are counted by callgrind, not seconds: they do not depend on what else the
machine does.

    check_instructions.py ENGINE_PAIR COMPILER [--keep]

Two engines on the network in memory (bench/engine_pair.c) send a fixed number of messages, with a fixed seed, in virtual time.
Only our own functions count, not those of libc or ISA-L, and what the setup costs is taken off. More than 5 % above the number
that is kept in instructions.json for this compiler is a failure; --keep writes the numbers as they are now.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

KEPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "instructions.json")
RUNS = {64: (4000, 24000), 1024: (1000, 6000), 16384: (100, 600)}  # bytes: two numbers of messages
GROWTH_MAXIMUM = 1.05
SECONDS = 240
SKIPPED = 77


def own_instructions(path, program):
    """The sum of what the functions of one object file cost by themselves, in a file of callgrind."""
    names, own, after_calls, total = {}, False, False, 0
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("ob="):
                number, name = re.match(r"ob=(\(\d+\))(?: (.*))?", line).groups()
                if name:
                    names[number] = name
                own = names[number] == program
            elif line.startswith("cob="):
                number, name = re.match(r"cob=(\(\d+\))(?: (.*))?", line).groups()
                if name:
                    names[number] = name
            elif line.startswith("calls="):
                after_calls = True  # the next line is what the called function costs
            elif line[0].isdigit() or line[0] in "+-*":
                if own and not after_calls:
                    total += int(line.split()[1])
                after_calls = False
    return total


def count(program, size, messages):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--dump-line=no", program, "-l",
                        str(size), "-n", str(messages), "--crc"], check=True, capture_output=True, timeout=SECONDS)
        return own_instructions(out, program)


def main():
    program, compiler = os.path.abspath(sys.argv[1]), sys.argv[2]
    if not shutil.which("valgrind"):
        print("valgrind is not installed")
        sys.exit(SKIPPED)
    found = {}
    for size, (few, many) in RUNS.items():
        found[str(size)] = round((count(program, size, many) - count(program, size, few)) / (many - few), 1)
    with open(KEPT, encoding="utf-8") as file:
        all_kept = json.load(file)
    if "--keep" in sys.argv:
        all_kept[compiler] = found
        with open(KEPT, "w", encoding="utf-8") as file:
            json.dump(all_kept, file, indent=2)
            file.write("\n")
    kept = all_kept.get(compiler)
    if not kept:
        print(f"nothing is kept for {compiler}: {found}")
        sys.exit(SKIPPED)
    failed = False
    for size, instructions in found.items():
        growth = instructions / kept[size]
        print(f"{size} bytes: {instructions:.1f} instructions a message, kept {kept[size]:.1f}: {growth:.3f}")
        failed |= growth > GROWTH_MAXIMUM
    if failed:
        print("more than 5 % above: if it is worth that, check_instructions.py ... --keep")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

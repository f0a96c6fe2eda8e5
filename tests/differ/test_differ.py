#!/usr/bin/env python3
"""Random sequences of calls: Braid says what Linux has said (linux-6.1.txt). hunt.py tries more of them, and records."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hunt  # noqa: E402
from harness import check, main, need_root  # noqa: E402


def same_sequences():
    with open(hunt.RECORDED, encoding="ascii") as file:
        linux = hunt.transcripts(file.read())
    check(len(linux) > 20, "too few are recorded")
    unlike = hunt.compare(hunt.Braid(), linux)
    check(not unlike, f"not as on Linux: {unlike}; was the generator changed, without hunt.py --record?")
    print(f"        {len(linux)} sequences, {sum(map(len, linux.values()))} lines")


if __name__ == "__main__":
    need_root()
    main([same_sequences])

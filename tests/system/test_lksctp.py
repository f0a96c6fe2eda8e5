#!/usr/bin/env python3
"""The functional tests of lksctp-tools, the kernel's own of its socket API, over IPv4 and IPv6: all pass under `braid run`.

scripts/install-dependencies fetches their source.
"""
import glob
import os
import re
import sys

from harness import SKIPPED, Stack, check, directory, main_parallel, run

SOURCE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "braid", "lksctp-tools", "src")
TESTS = sorted(os.path.basename(path)[:-2] for path in glob.glob(os.path.join(SOURCE, "func_tests", "test_*.c")))
# As their Makefile has it: what is about one-to-one sockets alone has one variant.
VARIANTS = [(name, False) for name in TESTS] + [(name, True) for name in TESTS if not name.startswith("test_1_to_1_")]
LANES = 7


def compile_them(variants):
    """The functions that they share once, then each."""
    paths = []
    for name, ipv6 in variants:
        command = ["gcc", "-w", "-fno-strict-aliasing", "-DHAVE_SCTP_SENDV=1", *(["-DTEST_V6=1"] if ipv6 else []),
                   "-I", os.path.join(SOURCE, "testlib")]
        shared = os.path.join(directory(), "shared_v6.o" if ipv6 else "shared.o")
        if not os.path.exists(shared):
            run([*command, "-c", os.path.join(SOURCE, "testlib", "sctputil.c"), "-o", shared])
        paths.append(os.path.join(directory(), name + ("_v6" if ipv6 else "")))
        run([*command, os.path.join(SOURCE, "func_tests", name + ".c"), shared, "-lsctp", "-lpthread", "-o", paths[-1]])
    return paths


def lane(number):
    """They mostly wait, so several go at once; each lane has a stack of its own, since they use the same ports."""
    def run_lane():
        stack, passed = Stack("--no-udp", capture=False), 0
        for path in compile_them(VARIANTS[number::LANES]):
            found = len(re.findall(r" PASS ", stack.run(path)))
            check(found > 0, f"{os.path.basename(path)} did not say that anything passed")
            passed += found
        stack.stop()
        print(f"{passed} cases of lksctp-tools passed")

    run_lane.__name__ = f"lane{number}"
    return run_lane


if __name__ == "__main__":
    if not TESTS:
        print(f"the source of lksctp-tools is not there ({SOURCE}): scripts/install-dependencies test")
        sys.exit(SKIPPED)
    # One of them reads memory that it has only allocated, and wants zeros there.
    os.environ.pop("MALLOC_PERTURB_", None)
    main_parallel([lane(number) for number in range(LANES)], LANES)

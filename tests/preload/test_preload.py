#!/usr/bin/env python3
"""Runs the programs of this directory under `braid run`, with a stack process of their own."""
import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "system"))
from harness import BRAID, BUILD, LIBRARY, PROCESSES, SOCKETS, Stack, check, main, run  # noqa: E402


def passes(path, libraries=None):
    stack = Stack("--no-udp", capture=False)
    if libraries:
        # stronger than LD_LIBRARY_PATH, which is what the program was built with
        said = stack.run("sh", "-c", f"LD_PRELOAD=$LD_PRELOAD:{libraries} exec {path}")
    else:
        said = stack.run(path)
    check("[  PASSED  ]" in said, said)
    stack.stop()


def sockets():
    passes(SOCKETS)


def processes():
    passes(PROCESSES)


def unseen():
    passes(os.path.join(BUILD, "tests", "preload", "unseen"))


def statically_linked():
    """Started by a program that is not."""
    stack = Stack("--no-udp", capture=False)
    for program in (SOCKETS, PROCESSES):
        path = os.path.join(os.path.dirname(program), "static_" + os.path.basename(program))
        said = stack.run("sh", "-c", f"{path}; exit $?")
        check("[  PASSED  ]" in said, said)
    stack.stop()


def started_again():
    """A program whose stack has ended gets another with its next socket, and sees nothing of that."""
    name = f"again-{os.getpid()}"
    stop = [BRAID, "stack", "--name", name, "--stop"]
    script = ("import os, socket, subprocess, sys\n"
              "for turn in range(2):\n"
              "    socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()\n"
              "    subprocess.run(sys.argv[1:], check=True)\n"
              "assert len(os.listdir('/proc/self/fd')) == 4\n"
              "try:\n"
              "    os.wait()\n"
              "except ChildProcessError:\n"
              "    print('no child is left')\n")
    said = run([BRAID, "run", "--name", name, "--udp", "9911", "python3", "-c", script, *stop])
    check(said == "no child is left\n", said)


def library():
    """With our libsctp.so.1."""
    passes(LIBRARY, os.path.join(BUILD, "src", "libsctp", "libsctp.so.1"))


def library_of_debian():
    paths = glob.glob("/usr/lib/*/libsctp.so.1")
    check(paths, "Debian's libsctp1 is not installed")
    passes(LIBRARY, paths[0])


if __name__ == "__main__":
    main([sockets, processes, unseen, statically_linked, started_again, library, library_of_debian])

#!/usr/bin/env python3
"""Runs the programs of this directory under `braid run`, with a stack process of their own."""
import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "system"))
from harness import BRAID, BUILD, FULL, LIBRARY, PARTS, PROCESSES, SOCKETS, Stack, check, directory, main, run  # noqa: E402


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


def full():
    passes(FULL)


def parts():
    passes(PARTS)


def busy():
    passes(os.path.join(BUILD, "tests", "preload", "busy"))


def stress():
    stack = Stack("--no-udp", capture=False)
    said = stack.run(os.path.join(BUILD, "tests", "preload", "stress"), "6")
    check("[  PASSED  ]" in said, said)
    stack.stop()


def ends():
    passes(os.path.join(BUILD, "tests", "preload", "ends"))


def window():
    passes(os.path.join(BUILD, "tests", "preload", "window"))


def unseen():
    passes(os.path.join(BUILD, "tests", "preload", "unseen"))


def deep():
    """Libraries that find libc before what `braid run` loads."""
    if os.environ.get("SANITIZED", "none") != "none":
        return  # the sanitizer has no RTLD_DEEPBIND
    passes(os.path.join(BUILD, "tests", "preload", "deep"))


def copied(count, length, ahead):
    """Bytes that the stack and the program copied while so many messages went from one socket to the other."""
    programs = os.path.join(BUILD, "tests", "preload")
    counter = {"LD_PRELOAD": os.path.join(programs, "libcount-copies.so"), "COUNT_COPIES": directory()}
    stack = Stack("--no-udp", capture=False, environment={**os.environ, **counter})
    stack.run("sh", "-c", f"COUNT_COPIES={directory()} LD_PRELOAD=$LD_PRELOAD:{counter['LD_PRELOAD']} "
              f"exec {programs}/copies {count} {length} {ahead}")
    stack.stop()
    return [int(open(os.path.join(directory(), name)).read()) for name in ("braid", "copies")]


def one_copy():
    """The channel copies a payload once in the stack, and never in the program. The stack's other copies are the
    engine's: into a packet, and out of it into the message that is read; of a large one there is only the second. So it
    is, too, when the sender is always ahead and finds no room."""
    if os.environ.get("SANITIZED", "none") != "none":
        return  # memcpy() is the sanitizer's
    for length, ahead, copies in ((1024, 1, 3), (60000, 1, 2), (60000, 1000, 2)):
        count = 4_000_000 // length
        stack, program = ((many - few) / (count * length)
                          for few, many in zip(copied(10, length, ahead), copied(10 + count, length, ahead)))
        print(f"        {length} bytes, {ahead} ahead: {stack:.2f} copies in the stack, {program:.2f} in the program", flush=True)
        check(copies - 0.5 < stack < copies + 0.5, f"{stack:.2f} copies of each byte in the stack")
        check(program < 0.5, f"{program:.2f} copies of each byte in the program")


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
    main([sockets, processes, full, parts, window, busy, stress, ends, unseen, deep, one_copy, statically_linked, started_again, library, library_of_debian])

#!/usr/bin/env python3
"""What bash, fish and zsh offer after `braid ...`: commands, the options that --help tells, and the values of some.

    check_completion.py BRAID FOLDER
"""
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SCRIPT = """
PATH=$1:$PATH
. "$2"
shift 2
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_braid
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(braid, folder, *words):
    result = subprocess.run(["bash", "--norc", "-c", SCRIPT, "bash", os.path.dirname(braid), f"{folder}/braid", "braid", *words],
                            capture_output=True, text=True, timeout=20)
    assert result.stderr == "", result.stderr
    return set(result.stdout.split())


def check_bash(braid, folder):
    commands = offered(braid, folder, "")
    assert {"run", "stack", "ss", "dump", "ladder", "--help", "--version"} <= commands, commands
    assert offered(braid, folder, "st") == {"stack"}
    for command in commands - {"--help", "--version"}:
        options = offered(braid, folder, command, "-")
        assert "--help" in options and "-h" in options, (command, options)
        assert all(option.startswith("-") for option in options), options
        # what is offered is understood: --help at the end ends it before anything is done
        told = subprocess.run([braid, command, "--help"], capture_output=True, text=True, timeout=20).stdout
        assert all(option in told for option in options), (command, options)
    assert offered(braid, folder, "ss", "--ver") == {"--verbose"}
    assert offered(braid, folder, "stack", "--user-") == {"--user-sockets", "--user-associations", "--user-memory"}
    assert offered(braid, folder, "perf", "") == {"server", "client"}
    assert offered(braid, folder, "perf", "client", "--only", "l") == {"latency"}
    assert offered(braid, folder, "plot", "--from", "") == {"first", "second"}
    assert "lo" in offered(braid, folder, "dump", "-i", "")
    assert offered(braid, folder, "ss", "--name", "-") == set()
    assert "env" in offered(braid, folder, "run", "--raw", "en")
    assert offered(braid, folder, "run", "--name", "x", "cat", "--r") == set()  # of cat, not of us
    with tempfile.TemporaryDirectory() as work:
        capture = f"{work}/a.pcapng"
        open(capture, "w").close()
        assert offered(braid, folder, "dump", f"{work}/") == {capture}
        assert offered(braid, folder, "ladder", "-o", f"{work}/a") == {capture}


def check_fish(braid, folder):
    """In fish itself, which can be asked what it would offer."""
    if not shutil.which("fish"):
        return

    def offered_by_fish(line):
        environment = {"HOME": "/nonexistent", "PATH": os.path.dirname(braid) + ":" + os.environ["PATH"]}
        result = subprocess.run(["fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", f"{folder}/braid.fish", line],
                                capture_output=True, text=True, timeout=60, env=environment)
        assert result.stderr == "", result.stderr
        return {line.split("\t")[0] for line in result.stdout.splitlines()}

    assert {"run", "stack", "ss", "dump", "ladder"} <= offered_by_fish("braid ")
    assert offered_by_fish("braid st") == {"stack"}
    assert offered_by_fish("braid ss --ver") == {"--verbose"}
    assert offered_by_fish("braid stack --user-") == {"--user-sockets", "--user-associations", "--user-memory"}
    assert offered_by_fish("braid perf client --only l") == {"latency"}
    assert "lo" in offered_by_fish("braid dump -i ")
    assert "env" in offered_by_fish("braid run --raw en")
    assert offered_by_fish("braid run --name x cat --r") == set()  # of cat, not of us
    with tempfile.TemporaryDirectory() as work:
        capture = f"{work}/a.pcapng"
        open(capture, "w").close()
        assert offered_by_fish(f"braid ladder {work}/") == {capture}


def check_zsh(braid, folder):
    """In zsh itself, on a terminal: what is typed with Tab is completed, and runs."""
    if not shutil.which("zsh"):
        return
    process, terminal = pty.fork()
    if process == 0:
        os.environ.update(TERM="dumb", PATH=os.path.dirname(braid) + ":" + os.environ["PATH"])
        os.execvp("zsh", ["zsh", "-f", "-i"])
    said = b""

    def until(wanted):
        nonlocal said
        end = time.monotonic() + 30
        while wanted not in said:
            assert time.monotonic() < end, said
            if select.select([terminal], [], [], 1)[0]:
                said += os.read(terminal, 4096)

    try:
        os.write(terminal, f"fpath=({folder} $fpath); autoload -U compinit; compinit -D -u; print rea''dy\n".encode())
        until(b"ready")
        os.write(terminal, b"braid lad\t--hel\t\n")
        until(b"usage: braid ladder")
        os.write(terminal, b"braid sta\t--user-m\t1M --help\n")
        until(b"usage: braid stack")
        assert b"unrecognized" not in said, said
    finally:
        os.kill(process, signal.SIGKILL)
        os.close(terminal)
        os.waitpid(process, 0)


check_bash(sys.argv[1], sys.argv[2])
check_fish(sys.argv[1], sys.argv[2])
check_zsh(sys.argv[1], sys.argv[2])

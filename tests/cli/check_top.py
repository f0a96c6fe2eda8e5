#!/usr/bin/env python3
"""braid top on a terminal: what it shows, its keys, and that it leaves the terminal as it was, however it ends.

    check_top.py BRAID
"""
import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time

SECONDS = 60  # for anything to happen
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
TALK = """
import socket, time
server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
server.bind(("127.0.0.1", 5000))
server.listen()
client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
client.connect(("127.0.0.1", 5000))
accepted = server.accept()[0]
for i in range(6000):
    client.send(bytes(1000))
    accepted.recv(2000)
    time.sleep(0.02)
"""


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Terminal:
    """A terminal with a shell in it."""

    def __init__(self):
        self.process, self.descriptor = pty.fork()
        if self.process == 0:
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"],
                       {**os.environ, "PS1": "", "TERM": "xterm", "HISTFILE": ""})
        self.seen = ""
        self.resize(40, 160)

    def resize(self, rows, columns):
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        """What was seen before is forgotten."""
        self.seen = ""
        os.write(self.descriptor, text.encode())

    def wait_for(self, pattern):
        deadline = time.monotonic() + SECONDS
        while not (found := re.search(pattern, self.seen, re.DOTALL)):
            left = deadline - time.monotonic()
            assert left > 0, f"no {pattern!r} in {self.seen!r}"
            if select.select([self.descriptor], [], [], left)[0]:
                self.seen += os.read(self.descriptor, 65536).decode(errors="replace")
        return found

    def settings(self):
        # the quotes keep what is echoed apart from what is answered
        self.type('echo "set""tings $(stty -g) end"\n')
        return self.wait_for(r"settings (\S+) end").group(1)

    def close(self):
        os.close(self.descriptor)
        os.waitpid(self.process, 0)


def frame(terminal):
    """The lines of the next whole screen, without control sequences."""
    terminal.seen = ""
    text = terminal.wait_for(r"\x1b\[H(.*?)\x1b\[J").group(1)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r", "").split("\n")


def frame_with(terminal, condition):
    deadline = time.monotonic() + SECONDS
    while not condition(lines := frame(terminal)):
        assert time.monotonic() < deadline, lines
    return lines


def associations(lines):
    return [line.split() for line in lines if line.startswith("ESTABLISHED")]


def check_shown(terminal):
    lines = frame_with(terminal, lambda lines: len(associations(lines)) == 2 and "-" not in associations(lines)[0][3:8])
    assert "2 associations" in lines[1], lines
    # the client's is first: it sends most. 1,000 bytes in 20 ms are at most 50 kB/s, and much less on a machine with other work
    first, second = associations(lines)
    assert first[2] == "127.0.0.1:5000" and second[1] == "127.0.0.1:5000", lines
    assert 0 < float(first[5]) <= 60 and second[5] == "0", lines

    terminal.type("p")
    lines = frame_with(terminal, lambda lines: any(line.startswith("  * 127.0.0.1") for line in lines))
    assert sum("cwnd" in line for line in lines) >= 2, lines  # more, if the host has more addresses
    terminal.type("p>")
    frame_with(terminal, lambda lines: "Recv/s*" in lines[3] and associations(lines)[0][1] == "127.0.0.1:5000")
    terminal.type("\x1b[D")
    frame_with(terminal, lambda lines: "Sent/s*" in lines[3] and associations(lines)[0][2] == "127.0.0.1:5000")
    terminal.type("r")
    frame_with(terminal, lambda lines: "Sent/s^" in lines[3] and associations(lines)[0][1] == "127.0.0.1:5000")
    terminal.type("/nowhere\x7f\n")
    frame_with(terminal, lambda lines: lines[2] == "0 with 'nowher'" and not associations(lines))
    terminal.type("/ESTAB\n")
    frame_with(terminal, lambda lines: lines[2] == "2 with 'ESTAB'")
    terminal.type("/\x1b")
    frame_with(terminal, lambda lines: lines[2] == "" and len(associations(lines)) == 2)
    terminal.type("j")
    frame_with(terminal, lambda lines: len(associations(lines)) == 1)
    terminal.type("k")
    frame_with(terminal, lambda lines: len(associations(lines)) == 2)
    terminal.resize(40, 80)
    frame_with(terminal, lambda lines: len(lines) > 3 and "MsgO/s" not in lines[3] and "RTT ms" in lines[3])
    assert max(len(line) for line in frame(terminal)) <= 80
    terminal.resize(5, 160)
    frame_with(terminal, lambda lines: len(lines) <= 5 and not associations(lines))
    terminal.resize(40, 160)
    frame_with(terminal, lambda lines: len(associations(lines)) == 2)


def check_stopped(terminal, command):
    settings = terminal.settings()
    terminal.type(f"{command}\n")
    terminal.wait_for(re.escape(ENTER))
    terminal.type("\x1a")
    terminal.wait_for(re.escape(LEAVE) + ".*Stopped")
    assert terminal.settings() == settings
    terminal.type("fg\n")
    terminal.wait_for(re.escape(ENTER) + ".*Stack")
    terminal.type("q")
    terminal.wait_for(re.escape(LEAVE))
    assert terminal.settings() == settings


def check_ended(terminal, command):
    settings = terminal.settings()
    terminal.type(f"{command}; echo status $?\n")
    terminal.wait_for(re.escape(ENTER))
    terminal.type("\x03")
    terminal.wait_for(re.escape(LEAVE))
    assert terminal.settings() == settings
    terminal.type(f"{command} & echo pid $! ends; fg; echo status $?\n")
    process = int(terminal.wait_for(r"pid (\d+) ends").group(1))
    terminal.wait_for(re.escape(ENTER))
    os.kill(process, signal.SIGTERM)
    terminal.wait_for(re.escape(LEAVE) + ".*status 0")
    assert terminal.settings() == settings


def check_errors(braid, terminal):
    result = subprocess.run([braid, "top"], capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
    assert result.returncode == 1 and "braid ss --watch" in result.stderr and result.stdout == "", result
    for arguments in (["--sort", "weight"], ["--delay", "0"], ["more"]):
        result = subprocess.run([braid, "top", *arguments], capture_output=True, text=True, timeout=SECONDS)
        assert result.returncode == 2 and "Try 'braid top --help'" in result.stderr, result
    terminal.type(f"{braid} top --name nobody-{os.getpid()}; echo status $?\n")
    text = terminal.wait_for("no stack named.*status 1").string
    assert ENTER not in text, text


def main():
    braid, name = sys.argv[1], f"top-{os.getpid()}"
    terminal = Terminal()
    command = f"{braid} top --name {name} --delay 0.2"
    talk = subprocess.Popen([braid, "run", "--name", name, "--udp", str(free_port()), sys.executable, "-c", TALK])
    try:
        check_errors(braid, terminal)
        deadline = time.monotonic() + SECONDS
        while subprocess.run([braid, "ss", "--name", name], capture_output=True, text=True).stdout.count("ESTAB") < 2:
            assert talk.poll() is None and time.monotonic() < deadline, "no association"
            time.sleep(0.1)
        terminal.type(f"{command}\n")
        check_shown(terminal)
        terminal.type("q")
        terminal.wait_for(re.escape(LEAVE))
        check_stopped(terminal, command)
        check_ended(terminal, command)
    finally:
        talk.kill()
        talk.wait()
        subprocess.run([braid, "stack", "--name", name, "--stop"], check=False)
        terminal.close()


main()

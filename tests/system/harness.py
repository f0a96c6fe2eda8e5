"""What the system tests share: processes with an end, network namespaces, captures read by tshark.

A test is a Python program: `main(tests)` runs the functions it is given, says what happened, and exits with 0, 1, or 77 if
the machine lacks something that all of it needs (root, usrsctp).
"""
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

BUILD = os.path.abspath(os.environ.get("BRAID_BUILD", "build"))
BRAID = os.path.join(BUILD, "braid")
PROGRAMS = os.path.join(BUILD, "tests", "system")
TRANSFER = os.path.join(PROGRAMS, "sctp_transfer")
SOCKETS = os.path.join(BUILD, "tests", "preload", "sockets")
PROCESSES = os.path.join(BUILD, "tests", "preload", "processes")
LIBRARY = os.path.join(BUILD, "tests", "preload", "library")
FULL = os.path.join(BUILD, "tests", "preload", "full")
PARTS = os.path.join(BUILD, "tests", "preload", "parts")
USRSCTP_PEER = os.path.join(PROGRAMS, "usrsctp_peer")
USRSCTP_TOOLS = "/usr/lib/usrsctp"

SKIPPED = 77


class Failure(Exception):
    """A test failed, and this is why."""


def check(condition, text):
    if not condition:
        raise Failure(text)


# ---- Processes -------------------------------------------------------------------------------------------------------


class Process:
    """A program in the background. It ends by itself after `seconds`, whatever happens to the test."""

    def __init__(self, arguments, seconds=60, namespace=None, directory=None, user=None, environment=None, stack=None):
        self.arguments = [str(a) for a in arguments]
        self.stack = stack
        self.end = time.monotonic() + seconds
        self.output_file = tempfile.TemporaryFile()
        command = ["timeout", "--kill-after=5", str(seconds)] + self.arguments
        if user:
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] + command
        if namespace:
            command = namespace.prefix + command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=self.output_file,
                                        stderr=subprocess.STDOUT, cwd=directory, env=environment, text=True)
        _started.append(self)

    def output(self):
        """What it said so far. The file's offset is the program's too, and stays where it is."""
        descriptor = self.output_file.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")

    def end_of_output(self):
        """As much as a reader wants to see when something went wrong."""
        return self.output()[-1500:]

    def wait_for(self, text, seconds=20, times=1):
        """Waits until it has said something (a regular expression, within a line), so many times."""
        end = time.monotonic() + seconds
        while len(re.findall(text, self.output())) < times:
            if self.process.poll() is not None:
                raise Failure(f"{self} ended before it said '{text}':\n{self.end_of_output()}")
            if time.monotonic() > end:
                raise Failure(f"{self} did not say '{text}' within {seconds} s:\n{self.end_of_output()}")
            time.sleep(0.02)

    def write(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def wait(self, status=0):
        """Waits for its end; `status` is what it must exit with (None: anything). Returns its output."""
        hung = self._wait_or_look()
        if status is not None and self.process.returncode != status:
            raise Failure(f"{self} exited with {self.process.returncode}, not {status}:\n{self.end_of_output()}{hung}")
        return self.output()

    def _wait_or_look(self):
        """Waits for its end. If that will only be because its time is up, says what it and its stack do just before."""
        try:
            self.process.wait(max(self.end - time.monotonic() - 2, 0))
            return ""
        except subprocess.TimeoutExpired:
            seen = f"\n{_what_processes_do(self.process.pid)}{self.stack.look() if self.stack else ''}"
            self.process.wait()
            return seen

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __str__(self):
        return " ".join(os.path.basename(a) for a in self.arguments[:8])


_started = []


def _read(path):
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "?"


def _what_processes_do(pid):
    """Where in the kernel the threads of a process and of its children are, and by which system calls: proc(5)."""
    said, tasks = "", f"/proc/{pid}/task"
    for thread in os.listdir(tasks) if os.path.exists(tasks) else []:
        name, place, call, children = (_read(f"{tasks}/{thread}/{file}") for file in ("comm", "wchan", "syscall", "children"))
        said += f"{name} {thread}: {place}, system call {call}\n"
        said += "".join(map(_what_processes_do, children.split()))
    return said


def run(arguments, seconds=60, status=0, **options):
    """Runs a program to its end. Returns what it said."""
    return Process(arguments, seconds, **options).wait(status)


# ---- Network namespaces ----------------------------------------------------------------------------------------------


class Namespace:
    """A network of its own, with loopback."""

    count = 0

    def __init__(self):
        Namespace.count += 1
        self.name = f"braid{os.getpid()}-{Namespace.count}"
        run(["ip", "netns", "add", self.name])
        self.prefix = ["ip", "netns", "exec", self.name]
        _namespaces.append(self)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *arguments):
        return run(arguments, namespace=self)

    def delete(self):
        subprocess.run(["ip", "netns", "delete", self.name], check=False, stderr=subprocess.DEVNULL)


_namespaces = []


def join(one, other, address_one, address_other, name="veth0", mtu=1500):
    """A cable between two namespaces. Addresses are with prefix length: "10.0.0.1/24"."""
    one.run("ip", "link", "add", name, "mtu", mtu, "type", "veth", "peer", "name", name, "netns", other.name, "mtu", mtu)
    for namespace, address in ((one, address_one), (other, address_other)):
        namespace.run("ip", "address", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
        namespace.run("ip", "link", "set", name, "up")


def wait_for_link(namespace, name="veth0", seconds=10):
    """Until the cable carries packets."""
    end = time.monotonic() + seconds
    while "LOWER_UP" not in namespace.run("ip", "link", "show", "dev", name):
        check(time.monotonic() < end, f"{name} does not come up")
        time.sleep(0.02)


# ---- Braid -----------------------------------------------------------------------------------------------------------


class Stack:
    """A stack process of the test's own, which captures what it sends and receives."""

    count = 0

    def __init__(self, *options, namespace=None, user=None, capture=True, seconds=600, environment=None):
        Stack.count += 1
        self.name = f"test-{os.getpid()}-{Stack.count}"
        self.namespace = namespace
        self.user = user
        self.capture = os.path.join(directory(), f"{self.name}.pcapng") if capture else None
        self.udp_ports = [options[i + 1] for i, o in enumerate(options) if o in ("--udp", "--peer-udp")]
        arguments = [BRAID, "stack", "--name", self.name, *options]
        if capture:
            arguments += ["--capture", self.capture]
        self.process = Process(arguments, seconds=seconds, namespace=namespace, user=user, environment=environment)
        end = time.monotonic() + 10
        while subprocess.run(self._prefix() + [BRAID, "ss", "--name", self.name], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, check=False).returncode != 0:
            if self.process.process.poll() is not None or time.monotonic() > end:
                raise Failure(f"the stack did not start: {self.process.output()}")
            time.sleep(0.05)

    def _prefix(self):
        return self.namespace.prefix if self.namespace else []

    def run_command(self, *arguments):
        return [BRAID, "run", "--name", self.name, *arguments]

    def start(self, *arguments, seconds=120):
        """`braid run` of a program, in the background."""
        return Process(self.run_command(*arguments), seconds, namespace=self.namespace, user=self.user, stack=self)

    def run(self, *arguments, seconds=120, status=0):
        return self.start(*arguments, seconds=seconds).wait(status)

    def run_client(self, *arguments, seconds=20):
        """Runs a client to its end, again as long as it is refused: the server does not say when it listens."""
        end = time.monotonic() + seconds
        while True:
            client = self.start(*arguments)
            said = client.wait(None)
            if "Connection refused" not in said or time.monotonic() > end:
                return client.wait()
            time.sleep(0.1)

    def status(self):
        """What `braid ss` tells of it."""
        return json.loads(run([BRAID, "ss", "--json", "--name", self.name], namespace=self.namespace))

    def look(self):
        """For who reads why a test failed: the associations, and the last packets."""
        commands = [[BRAID, "ss", "--all", "--verbose", "--name", self.name]]
        if self.capture:
            commands.append(["sh", "-c", f"{BRAID} dump {self.capture} | tail -n 40"])
        return "".join(subprocess.run(self._prefix() + command, capture_output=True, text=True, timeout=20, check=False).stdout
                       for command in commands)

    def association(self):
        """The first that is established, or None."""
        for socket in self.status()["sockets"]:
            for association in socket["associations"]:
                if association["state"] == "ESTABLISHED":
                    return association
        return None

    def stop(self):
        """Ends it, and gives its capture to tshark."""
        run([BRAID, "stack", "--name", self.name, "--stop"], namespace=self.namespace)
        self.process.wait()
        if self.capture:
            tshark_check(self.capture, self.udp_ports)
            os.remove(self.capture)


# ---- Captures --------------------------------------------------------------------------------------------------------


def tshark(path, *arguments, udp_ports=()):
    command = ["tshark", "-n", "-r", path, "-o", "sctp.checksum:CRC 32c"]
    for port in {"9899", *map(str, udp_ports)}:
        command += ["-d", f"udp.port=={port},sctp"]
    result = subprocess.run(command + list(arguments), capture_output=True, text=True, timeout=300, check=False)
    check(result.returncode == 0, f"tshark {path}: {result.stderr}")
    return result.stdout


def tshark_check(path, udp_ports=()):
    """No malformed packet, a good CRC32c on each, and some packets at all."""
    read = tshark(path, "-T", "fields", "-e", "frame.number", "-e", "sctp.checksum.status", "-e", "_ws.malformed",
                  "-E", "separator=;", udp_ports=udp_ports).splitlines()
    check(read, f"{path}: no packets")
    for line in read:
        number, checksum, malformed = line.split(";")
        # What user data looks like to a protocol whose port it happens to have is not our affair.
        if checksum != "1" or re.search("Malformed Packet: (SCTP|UDP|IP)", malformed):
            keep = os.path.join(tempfile.gettempdir(), os.path.basename(path))
            shutil.copy(path, keep)
            raise Failure(f"packet {number} of {keep}: checksum status '{checksum}', malformed '{malformed}'")
    return len(read)


# ---- Running tests ---------------------------------------------------------------------------------------------------

_directory = None


def directory():
    """A directory of the test's own, gone at its end."""
    global _directory
    if not _directory:
        _directory = tempfile.mkdtemp(prefix="braid-test-")
        os.chmod(_directory, 0o777)
    return _directory


def need_root():
    if os.geteuid() != 0:
        print("this test makes network namespaces, and needs root")
        sys.exit(SKIPPED)


def _clean_up():
    for process in reversed(_started):
        process.stop()
    for namespace in _namespaces:
        namespace.delete()
    _started.clear()
    _namespaces.clear()


def _run_test(test):
    """True if it passed."""
    begin = time.monotonic()
    try:
        test()
        print(f"ok      {test.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
        return True
    except (Failure, OSError, subprocess.SubprocessError) as failure:
        print(f"FAILED  {test.__name__}: {failure}", flush=True)
        if not isinstance(failure, Failure):
            traceback.print_exc()
        return False
    finally:
        _clean_up()


def _die_with_parent():
    # Should this process's parent die, it dies too.
    ctypes.CDLL(None).prctl(1, 15)


def main(tests):
    _die_with_parent()
    passed = [_run_test(test) for test in tests]
    if _directory:
        shutil.rmtree(_directory, ignore_errors=True)
    sys.exit(0 if all(passed) else 1)


def _in_child(test):
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        main([test])
    return child


def main_parallel(tests, processes, again_alone=False):
    """The same, for tests that mostly wait: so many at once, each in a process of its own. `again_alone`: they measure
    time, and what was too slow beside others is measured once more, by itself."""
    _die_with_parent()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    waiting, running, failed = list(tests), {}, []
    while waiting or running:
        while waiting and len(running) < processes:
            test = waiting.pop(0)
            running[_in_child(test)] = test
        child, status = os.wait()
        test = running.pop(child)
        if status != 0:
            failed.append(test)
    for test in list(failed) if again_alone else []:
        print(f"{test.__name__} once more, alone:", flush=True)
        if os.waitpid(_in_child(test), 0)[1] == 0:
            failed.remove(test)
    sys.exit(1 if failed else 0)

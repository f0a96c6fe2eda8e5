#!/usr/bin/env python3
"""Braid on one host and between two: without privileges, over bad cables, with a stack that dies, and with commands that
make no sense."""
import os
import signal
import socket
import subprocess
import sys

from harness import (BRAID, BUILD, TRANSFER, Namespace, Process, Stack, check, directory, join, main,
                     need_root, run, tshark, wait_for_link)

NOBODY = 65534


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        return str(probe.getsockname()[1])


def is_good(said):
    check("good" in said and "BAD" not in said, said)


# ---- One host ----


def unprivileged():
    """Two programs of a user without any right, 100 MB."""
    stack = Stack("--udp", free_udp_port(), user=NOBODY)
    server = stack.start(TRANSFER, "-c", "1", "server", "5001")
    server.wait_for("ready")
    is_good(stack.run(TRANSFER, "send", "127.0.0.1", "5001", 100_000_000, 3000, 8))
    server.wait()
    stack.stop()


HOPS = """
import socket
def options(of):
    of.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 7)
    of.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 9)
listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 132)
options(listener)
listener.bind(("::", 5001))
listener.listen()
for to in ("::1", "::ffff:127.0.0.1"):
    client = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 132)
    options(client)
    client.connect((to, 5001))
    accepted = listener.accept()[0]
    client.send(b"there")
    accepted.recv(10)
    accepted.send(b"back")
    client.recv(10)
"""


def hops():
    """IP_TTL and IPV6_UNICAST_HOPS: every packet goes so far, of those who were accepted, too."""
    stack = Stack("--udp", free_udp_port())
    stack.run("python3", "-c", HOPS)
    run([BRAID, "stack", "--name", stack.name, "--stop"])
    stack.process.wait()
    limits = [set(tshark(stack.capture, "-Y", of, "-T", "fields", "-e", f"{of}.{field}").split())
              for of, field in (("ip", "ttl"), ("ipv6", "hlim"))]
    check(limits == [{"7"}, {"9"}], f"IPv4, IPv6: {limits}")


def one_to_many():
    stack = Stack("--udp", free_udp_port())
    server = stack.start(TRANSFER, "-m", "-c", "2", "echo-server", "5001")
    server.wait_for("ready")
    is_good(stack.run(TRANSFER, "-m", "echo", "127.0.0.1", "5001", 1_000_000, 1000, 4))
    is_good(stack.run(TRANSFER, "echo", "127.0.0.1", "5001", 1_000_000, 1000, 4))
    server.wait()
    stack.stop()


def forking_server():
    """The child of a fork() serves, the parent accepts."""
    stack = Stack("--udp", free_udp_port())
    server = stack.start(TRANSFER, "-f", "-c", "3", "echo-server", "5001")
    server.wait_for("ready")
    clients = [stack.start(TRANSFER, "echo", "127.0.0.1", "5001", 500_000, 2000, 2) for _ in range(3)]
    for client in clients:
        is_good(client.wait())
    server.wait()
    stack.stop()


def dump_live():
    """What the stack sends while somebody looks, two of them, with a capture to a file and without; then nobody does."""
    for capture in (True, False):
        stack = Stack("--udp", free_udp_port(), capture=capture)
        dumps = [Process([BRAID, "dump", f"--live={stack.name}", "-c", "shutdown-complete", "-n", "1"]),
                 Process([BRAID, "dump", f"--live={stack.name}"])]
        for dump in dumps:
            dump.wait_for("listening on")
        server = stack.start(TRANSFER, "-c", "2", "server", "5001")
        server.wait_for("ready")
        is_good(stack.run(TRANSFER, "send", "127.0.0.1", "5001", 1000, 300, 8))
        check("SHUTDOWN COMPLETE" in dumps[0].wait(), "the first did not end with the association")
        dumps[1].wait_for("SHUTDOWN COMPLETE")
        check("INIT ACK" in dumps[1].output() and "crc bad" not in dumps[1].output(), dumps[1].end_of_output())
        is_good(stack.run(TRANSFER, "send", "127.0.0.1", "5001", 1000, 300, 8))
        server.wait()
        check(Process([BRAID, "dump", f"--live={stack.name}"], user=NOBODY).wait(1).find("another user's") > 0,
              "nobody may look at root's packets")
        stack.stop()
        dumps[1].wait()


def first_run_starts_the_stack():
    """`braid run` alone is enough, and the example programs work."""
    name = f"test-{os.getpid()}-auto"
    examples = os.path.join(BUILD, "examples")
    server = Process([BRAID, "run", "--name", name, "--udp", free_udp_port(), os.path.join(examples, "echo_server"), "5000"])
    server.wait_for("waiting")
    said = run([BRAID, "run", "--name", name, os.path.join(examples, "echo_client"), "127.0.0.1", "5000", "one", "two"])
    check(said == "one\ntwo\n", said)
    server.wait_for("shut down by the client")
    server.stop()
    run([BRAID, "stack", "--name", name, "--stop"])


# ---- Two hosts ----


def between(options, conditions, transfer):
    one, other = Namespace(), Namespace()
    join(one, other, "10.9.0.1/24", "10.9.0.2/24")
    wait_for_link(one)
    stacks = [Stack(*options, namespace=n) for n in (one, other)]
    if conditions:
        for namespace in (one, other):
            # loss by the packet filter: not every kernel has the module for tc's netem
            namespace.run("nft", "add table ip bad; add chain ip bad in { type filter hook input priority 0; }; "
                                 f"add rule ip bad in {conditions}")
    server = stacks[0].start(TRANSFER, "-c", "1", "server", "5001", seconds=100)
    server.wait_for("ready")
    is_good(stacks[1].run(TRANSFER, *transfer, seconds=100))
    server.wait()
    for stack in stacks:
        stack.stop()


def two_hosts_udp():
    between([], None, ["send", "10.9.0.1", "5001", 50_000_000, 3000, 8])


def two_hosts_raw():
    between(["--raw", "--no-udp"], None, ["fetch", "10.9.0.1", "5001", 50_000_000, 3000, 8])


def two_hosts_with_loss():
    between(["--raw", "--no-udp"], "numgen random mod 100 < 1 drop", ["send", "10.9.0.1", "5001", 2_000_000, 3000, 8])


# ---- The stack dies ----

WAITER = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
s.connect(("127.0.0.1", 5001))
print("connected", flush=True)
try:
    s.recv(100)
    print("received")
except OSError as error:
    print(error.errno)
"""


def stack_killed():
    """A program that waits sees ECONNRESET; the next `braid run` works."""
    stack = Stack("--udp", free_udp_port(), capture=False)
    server = stack.start(TRANSFER, "-c", "1", "server", "5001")
    server.wait_for("ready")
    waiter = stack.start("python3", "-c", WAITER)
    waiter.wait_for("connected")
    for line in run(["ps", "-eo", "pid,args"]).splitlines():
        pid, _, command = line.strip().partition(" ")
        if command.startswith("timeout"):
            continue
        if f"stack --name {stack.name} " in command:
            os.kill(int(pid), signal.SIGKILL)
    said = waiter.wait(None)
    check(str(104) in said.split(), f"expected ECONNRESET (104): {said}")
    server.wait(None)
    again = Process([BRAID, "run", "--name", stack.name, "--udp", free_udp_port(), TRANSFER, "-c", "1", "echo-server", "5001"])
    again.wait_for("ready")
    is_good(stack.run(TRANSFER, "echo", "127.0.0.1", "5001", 10_000, 100, 1))
    again.wait()
    run([BRAID, "stack", "--name", stack.name, "--stop"])


# ---- Commands that make no sense ----


def says(arguments, status, text, **options):
    """One line, with this in it, and this exit status."""
    said = run(arguments, status=status, **options)
    check(text in said, f"'{text}' is not in: {said}")
    check(len(said.splitlines()) <= 2, f"more than is needed: {said}")


def run_without_program():
    says([BRAID, "run"], 125, "which program")


def run_program_that_is_not_there():
    says([BRAID, "run", "no-such-program"], 127, "'no-such-program' is not found in PATH")
    says([BRAID, "run", "./no-such-program"], 127, "No such file or directory")


def run_program_that_cannot_be_run():
    path = os.path.join(directory(), "text")
    with open(path, "w", encoding="utf-8") as file:
        file.write("not a program\n")
    says([BRAID, "run", path], 126, "not a program that may be executed")


def run_raw_without_rights():
    says([BRAID, "run", "--name", f"test-{os.getpid()}-raw", "--raw", "true"], 125, "CAP_NET_RAW", user=NOBODY)


def run_with_port_in_use():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", 0))
        port = str(taken.getsockname()[1])
        says([BRAID, "run", "--name", f"test-{os.getpid()}-port", "--udp", port, "true"], 125, f"port {port}")


def without_standard_descriptors():
    """The stack process does not take theirs for its own, and what is told of it does not go astray."""
    name = f"test-{os.getpid()}-closed"
    run(["sh", "-c", f"{BRAID} run --name {name} --udp {free_udp_port()} --start <&- >&- 2>&-"])
    says([BRAID, "ss", "--name", name], 0, "State")
    run([BRAID, "stack", "--name", name, "--stop"])


def run_with_options_for_a_running_stack():
    stack = Stack("--udp", free_udp_port(), capture=False)
    says(stack.run_command("--raw", "true"), 125, "is running already")
    stack.stop()


def programs_without_sctp_are_left_alone():
    stack = Stack("--udp", free_udp_port(), capture=False)
    said = stack.run("python3", "-c", """
import socket, os
a, b = socket.socketpair()
a.send(b"x")
assert b.recv(10) == b"x"
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
peer, _ = server.accept()
client.sendall(b"hello")
assert peer.recv(10) == b"hello"
print(open("/proc/self/comm").read(), end="")
print(len(os.listdir("/proc/self/fd")) < 20)
""")
    check(said == "python3\nTrue\n", said)
    check(subprocess.run(stack.run_command("sh", "-c", "exit 7"), check=False).returncode == 7, "exit status")
    stack.stop()


if __name__ == "__main__":
    need_root()
    TESTS = [unprivileged, hops, one_to_many, dump_live, forking_server, first_run_starts_the_stack, two_hosts_udp, two_hosts_raw,
             two_hosts_with_loss, stack_killed, run_without_program, run_program_that_is_not_there,
             run_program_that_cannot_be_run, run_raw_without_rights, run_with_port_in_use,
             without_standard_descriptors, run_with_options_for_a_running_stack, programs_without_sctp_are_left_alone]
    main([t for t in TESTS if len(sys.argv) < 2 or t.__name__ in sys.argv[1:]])

#!/usr/bin/env python3
"""Braid and the Linux kernel's SCTP: both roles, over raw IP."""
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "api"))
import guest
import test_api
from harness import BUILD, FULL, LIBRARY, PARTS, PROCESSES, SKIPPED, SOCKETS, TRANSFER, Namespace, Stack, check, main, need_root

MEGABYTES = 3_000_000
HOST, HOST6 = "10.8.0.1", "fd08::1"

PROGRAMS = ("iperf3", "ncat", "socat")

machine = None


def compare(client, server):
    """All checksums that either end tells of its data are one."""
    sums = {s for s in re.findall(r"messages=[1-9]\d* bytes=\d+ checksum=([0-9a-f]{16})", client + server)}
    check("good" in client and "BAD" not in client, client)
    check(len(sums) == 1, f"the ends do not agree:\n{client}{server}")


def stack(*options):
    return Stack("--raw", "--no-udp", *options, namespace=machine.namespace)


def kernel_server(mode, options="", arguments=(MEGABYTES, 3000, 8), address=None):
    """Braid is the client."""
    braid = stack(*(["--interleaving"] if "-I" in options else []))
    role = "echo-server" if mode == "echo" else "server"
    machine.run(f"timeout 60 sctp_transfer -6 {options} -c 1 {role} 5001 >/tmp/server 2>&1 &")
    machine.wait_for_port(5001)
    said = braid.run(TRANSFER, *options.split(), mode, address or machine.ipv4, "5001", *arguments)
    braid.stop()
    compare(said, machine.run("wait; for i in $(seq 100); do pidof sctp_transfer >/dev/null || break; usleep 100000; done; "
                              "cat /tmp/server"))


def kernel_client(mode, options="", arguments=(MEGABYTES, 3000, 8), address=HOST):
    """Braid is the server."""
    braid = stack(*(["--interleaving"] if "-I" in options else []))
    server = braid.start(TRANSFER, "-6", *options.split(), "-c", "1", "echo-server" if mode == "echo" else "server", "5001")
    server.wait_for("ready")
    said = machine.run(f"timeout 60 sctp_transfer {options} {mode} {address} 5001 {' '.join(map(str, arguments))}")
    compare(said, server.wait())
    braid.stop()


def interleaving():
    """RFC 8260, messages of one chunk: Linux gives the second chunk of a message the number 0, which the RFC gives the first."""
    machine.run("echo 1 > /proc/sys/net/sctp/intl_enable")
    kernel_server("send", "-I", (300_000, 1000, 4))
    kernel_client("send", "-I", (300_000, 1000, 4))
    machine.run("echo 0 > /proc/sys/net/sctp/intl_enable")


def kernel_server_receives():
    kernel_server("send")


def kernel_server_sends():
    kernel_server("fetch")


def kernel_server_echoes_ipv6():
    kernel_server("echo", arguments=(1_000_000, 2000, 3), address=machine.ipv6)


def kernel_client_sends():
    kernel_client("send")


def kernel_client_fetches():
    kernel_client("fetch")


def kernel_client_echoes_ipv6():
    kernel_client("echo", arguments=(1_000_000, 2000, 3), address=HOST6)


def one_to_many():
    kernel_server("echo", "-m", (500_000, 1000, 4))
    kernel_client("echo", "-m", (500_000, 1000, 4))


def unordered():
    kernel_server("send", "-u -r", (1_000_000, 10_000, 4))
    kernel_client("send", "-u -r", (1_000_000, 10_000, 4))


def large_messages():
    kernel_server("send", arguments=(1_000_000, 100_000, 2))
    kernel_client("send", arguments=(1_000_000, 100_000, 2))


def plain_programs():
    """No options, no ancillary data: the example client and an echo server in the guest."""
    braid = stack()
    machine.run("timeout 60 sctp_transfer -P -c 1 echo-server 5001 >/tmp/server 2>&1 &")
    machine.wait_for_port(5001)
    said = braid.run(os.path.join(BUILD, "examples", "echo_client"), machine.ipv4, "5001", "hello", "kernel")
    check(said == "hello\nkernel\n", said)
    braid.stop()


def refused():
    braid = stack()
    said = braid.run(TRANSFER, "send", machine.ipv4, "5999", 1000, 100, 1, status=1)
    check("Connection refused" in said, said)
    said = machine.run(f"timeout 20 sctp_transfer send {HOST} 5999 1000 100 1", status=1)
    check("Connection refused" in said, said)
    braid.stop()


def same_answers():
    """tests/api/linux-6.1.txt is what this kernel says, but for one line: there the value is taken from the place of an
    association's identifier, and too small only as long as few associations were set up before."""
    unlike, _ = test_api.compare(test_api.rows(machine.run("probe")), ["set SCTP_MAXSEG length 4"])
    check(not unlike, f"{len(unlike)} lines are not what the table says:\n{''.join(unlike)}")
    print(f"        {len(test_api.table())} lines of the table", flush=True)


def guest_listens(port):
    machine.run(f"for i in $(seq 100); do netstat -ltn | grep -q ':{port} ' && exit 0; usleep 100000; done; exit 1")


def iperf3():
    """The same program at both ends, each in both roles."""
    braid = stack()
    machine.run("mknod /dev/urandom c 1 9")
    for options in ("-P 2", "-R", "--nstreams 4"):
        machine.run("iperf3 -s -1 -p 5201 >/tmp/iperf3 2>&1 &")
        guest_listens(5201)
        said = braid.run("iperf3", "--sctp", "-c", machine.ipv4, "-p", "5201", "-t", "1", *options.split(), seconds=60)
        check(re.search("[1-9][0-9.]* [KMG]?bits/sec +receiver", said), said)
    server = braid.start("iperf3", "--forceflush", "-s", "-1", "-p", "5201")
    server.wait_for("Server listening")
    said = machine.run(f"timeout 60 iperf3 --sctp -c {HOST} -p 5201 -t 1 -P 2")
    check(re.search("[1-9][0-9.]* [KMG]?bits/sec +receiver", said), said)
    server.wait()
    braid.stop()


def ncat_and_socat():
    """A line to the kernel's server and back, a line to Braid's."""
    braid = stack()
    for port, serves, calls in (
            (5001, "ncat --sctp -l -k -e /bin/cat {}", "ncat --sctp {} {}"),
            (5002, "socat SCTP-LISTEN:{},fork EXEC:cat", "socat - SCTP-CONNECT:{}:{}")):
        machine.run(f"timeout 90 {serves.format(port)} >/tmp/server 2>&1 &")
        machine.wait_for_port(port)
        client = braid.start(*calls.format(machine.ipv4, port).split(), seconds=60)
        client.write("to the kernel and back\n")
        client.wait_for("to the kernel and back")
        client.stop()
        server = braid.start(*serves.format(port).split(), seconds=60)
        said = machine.run("for i in 1 2 3 4 5; do (echo to Braid and back; sleep 2) | "
                           f"timeout 20 {calls.format(HOST, port)} | grep Braid && exit 0; sleep 1; done; exit 1")
        check(said.endswith("to Braid and back\n"), said)
        server.stop()
    braid.stop()


def same_sockets():
    """What tests/preload asks of Braid holds for the kernel."""
    for program in ("sockets", "processes", "library", "full", "parts"):
        said = machine.run(f"timeout 90 {program}")
        check("[  PASSED  ]" in said, said)


if __name__ == "__main__":
    need_root()
    if not guest.available():
        print("there is no kernel for the virtual machine: scripts/install-dependencies test fetches one")
        sys.exit(SKIPPED)

    def start():
        global machine
        machine = guest.Guest(Namespace(), programs=[SOCKETS, PROCESSES, LIBRARY, FULL, PARTS, test_api.PROBE,
                                                     *(shutil.which(p) for p in PROGRAMS)])

    def run(test):
        """Without a network between the two nothing is to be learned, of Braid or of the kernel: then again, once."""
        try:
            test()
        except Exception:
            print(f"in {test.__name__}; the guest {machine.state()}", flush=True)
            if machine.answers_ping():
                raise
            print("the guest's network is dead: once more in another guest", flush=True)
            start()
            test()

    def all_tests():
        """One machine for all: it takes a while to start."""
        start()
        print(machine.run("uname -sr").strip(), flush=True)
        for test in TESTS:
            if len(sys.argv) < 2 or test.__name__ in sys.argv[1:]:
                run(test)
                print(f"        {test.__name__}", flush=True)

    TESTS = [kernel_server_receives, kernel_server_sends, kernel_server_echoes_ipv6, kernel_client_sends,
             kernel_client_fetches, kernel_client_echoes_ipv6, one_to_many, unordered, large_messages, interleaving,
             plain_programs, refused,
             iperf3, ncat_and_socat, same_sockets, same_answers]
    main([all_tests])

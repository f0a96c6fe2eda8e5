#!/usr/bin/env python3
"""Streams that are reset and added (RFC 6525) between Braid and the Linux kernel, at either end."""
import os
import sys

import guest
from harness import BUILD, SKIPPED, Namespace, Stack, check, main, need_root

HOST = "10.8.0.1"
RECONFIG = os.path.join(BUILD, "tests", "system", "sctp_reconfig")

# What the client says. Notifications that come of one request come in any order.
CLIENT = [["message stream 1 ssn 0"], ["message stream 1 ssn 1"], ["message stream 2 ssn 0"],
          ["reset flags 0x2 streams 1"], ["message stream 1 ssn 2"],
          ["reset flags 0x1 streams 1"], ["message stream 1 ssn 0"],
          ["reset flags 0x1 streams", "reset flags 0x2 streams"], ["message stream 2 ssn 0"],
          ["change flags 0 in 0 out 2", "change flags 0 in 3 out 0"], ["message stream 11 ssn 0"],
          ["association reset flags 0"], ["message stream 11 ssn 0"], ["end"]]
# Whoever asks for a reset of both directions may send on before his answer to the other's request has left.
SERVER = [["message stream 1 ssn 0"], ["message stream 1 ssn 1"], ["message stream 2 ssn 0"],
          ["reset flags 0x1 streams 1"], ["message stream 1 ssn 0"],
          ["reset flags 0x2 streams 1"], ["message stream 1 ssn 1"],
          ["reset flags 0x1 streams", "reset flags 0x2 streams", "message stream 2 ssn 0"],
          ["change flags 0 in 2 out 0", "change flags 0 in 0 out 3"], ["message stream 11 ssn 0"],
          ["association reset flags 0"], ["message stream 11 ssn 0"], ["end"]]

machine = None


def compare(said, expected):
    lines = [line for line in said.splitlines() if line != "ready"]
    for group in expected:
        check(sorted(lines[:len(group)]) == sorted(group), f"expected {group}:\n{said}")
        lines = lines[len(group):]
    check(not lines, said)


def kernel_server():
    braid = Stack("--raw", "--no-udp", namespace=machine.namespace)
    machine.run("timeout 60 sctp_reconfig server 5001 >/tmp/server 2>&1 &")
    machine.wait_for_port(5001)
    compare(braid.run(RECONFIG, "client", machine.ipv4, "5001"), CLIENT)
    compare(machine.run("for i in $(seq 100); do pidof sctp_reconfig >/dev/null || break; usleep 100000; done; "
                        "cat /tmp/server"), SERVER)
    braid.stop()


def kernel_client():
    braid = Stack("--raw", "--no-udp", namespace=machine.namespace)
    server = braid.start(RECONFIG, "server", "5001")
    server.wait_for("ready")
    compare(machine.run(f"timeout 60 sctp_reconfig client {HOST} 5001"), CLIENT)
    compare(server.wait(), SERVER)
    braid.stop()


def braid_alone():
    braid = Stack(namespace=machine.namespace)
    server = braid.start(RECONFIG, "server", "5001")
    server.wait_for("ready")
    compare(braid.run(RECONFIG, "client", "127.0.0.1", "5001"), CLIENT)
    compare(server.wait(), SERVER)
    braid.stop()


if __name__ == "__main__":
    need_root()
    if not guest.available():
        print("there is no kernel for the virtual machine: scripts/install-dependencies test fetches one")
        sys.exit(SKIPPED)

    def all_roles():
        """One machine for all: it takes a while to start."""
        global machine
        namespace = Namespace()
        machine = guest.Guest(namespace, programs=[RECONFIG])
        for test in (braid_alone, kernel_server, kernel_client):
            try:
                test()
            except Exception:
                print(f"in {test.__name__}:", flush=True)
                raise
            print(f"        {test.__name__}", flush=True)

    main([all_roles])

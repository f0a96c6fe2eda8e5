#!/usr/bin/env python3
"""Addresses that come and go (RFC 5061) between Braid and the Linux kernel, at either end, while a transfer goes on."""
import os
import sys
import time

import guest
from harness import SKIPPED, TRANSFER, Namespace, Stack, check, directory, main, need_root

HOST, HOST_NEW, GUEST_NEW = "10.8.0.1", "10.8.0.11", "10.8.0.12"
BYTES = (1_000_000, 1000, 4)

machine = None


def kernel_has(*addresses):
    """Until these are the addresses that the kernel knows of Braid."""
    wanted = " ".join(sorted(addresses))
    said = machine.run("for i in $(seq 200); do set -- $(tail -n +2 /proc/net/sctp/remaddr | cut -d' ' -f1 | sort); "
                       f"[ \"$*\" = '{wanted}' ] && exit 0; usleep 100000; done; cat /proc/net/sctp/remaddr; exit 1",
                       status=None)
    check("ADDR" not in said, said)


def braid_has(braid, *addresses, seconds=20):
    """The other way round; and messages pass."""
    end = time.monotonic() + seconds
    before = None
    while True:
        association = braid.association()
        paths = {p["address"]: p["state"] for p in association["paths"]} if association else {}
        if set(paths) == set(addresses) and set(paths.values()) == {"ACTIVE"}:
            if before is None:
                before = association["messages_received"]
            elif association["messages_received"] > before:
                return
        check(time.monotonic() < end, f"paths {paths}, wanted {addresses}")
        time.sleep(0.05)


def change_addresses(braid):
    """Braid's host gains an address and loses it. (Not the one that the kernel sends to: what is then on its way the
    kernel does not always send again.) The kernel's gains one, loses the one in use, and goes back."""
    host = machine.namespace
    braid_has(braid, machine.ipv4)
    kernel_has(HOST)
    for change, addresses in (("add", (HOST, HOST_NEW)), ("del", (HOST,)), ("add", (HOST, HOST_NEW))):
        host.run("ip", "address", change, f"{HOST_NEW}/32", "dev", "tap0")
        kernel_has(*addresses)
    machine.run(f"ip address add {GUEST_NEW}/32 dev eth0")
    braid_has(braid, machine.ipv4, GUEST_NEW)
    machine.run(f"ip address del {machine.ipv4}/24 dev eth0")
    braid_has(braid, GUEST_NEW)
    machine.run(f"ip address add {machine.ipv4}/24 dev eth0")
    braid_has(braid, machine.ipv4, GUEST_NEW)
    machine.run(f"ip address del {GUEST_NEW}/32 dev eth0")
    braid_has(braid, machine.ipv4)
    host.run("ip", "address", "del", f"{HOST_NEW}/32", "dev", "tap0")
    kernel_has(HOST)


def finish(braid):
    """All were authenticated. (One may be refused: a kernel that has just started offers its loopback address.)"""
    counters = braid.status()["counters"]
    check(counters["asconf_refused"] <= 1, counters)
    for name in ("unauthenticated_chunks", "bad_authentication"):
        check(counters[name] == 0, counters)
    braid.stop()


def kernel_server():
    braid = Stack("--raw", "--no-udp", namespace=machine.namespace)
    hold = os.path.join(directory(), "hold")
    with open(hold, "w", encoding="ascii"):
        pass
    machine.run("timeout 120 sctp_transfer -A -c 1 echo-server 5001 >/tmp/server 2>&1 &")
    machine.wait_for_port(5001)
    client = braid.start(TRANSFER, "-A", "-H", hold, "echo", machine.ipv4, "5001", *BYTES)
    change_addresses(braid)
    os.remove(hold)
    said = client.wait()
    check("good" in said and "BAD" not in said, said)
    machine.run("for i in $(seq 100); do pidof sctp_transfer >/dev/null || break; usleep 100000; done; cat /tmp/server")
    finish(braid)


def kernel_client():
    braid = Stack("--raw", "--no-udp", namespace=machine.namespace)
    server = braid.start(TRANSFER, "-A", "-c", "1", "echo-server", "5001")
    server.wait_for("ready")
    machine.run("touch /tmp/hold")
    machine.run(f"timeout 120 sctp_transfer -A -H /tmp/hold echo {HOST} 5001 {' '.join(map(str, BYTES))} "
                ">/tmp/client 2>&1 &")
    change_addresses(braid)
    machine.run("rm /tmp/hold")
    said = machine.run("for i in $(seq 300); do pidof sctp_transfer >/dev/null || break; usleep 100000; done; cat /tmp/client")
    check("good" in said and "BAD" not in said, said)
    server.wait()
    finish(braid)


if __name__ == "__main__":
    need_root()
    if not guest.available():
        print("there is no kernel for the virtual machine: scripts/install-dependencies test fetches one")
        sys.exit(SKIPPED)

    def both_roles():
        """One machine for both: it takes a while to start."""
        global machine
        namespace = Namespace()
        machine = guest.Guest(namespace)
        # The route stays while addresses change.
        namespace.run("ip", "route", "add", "10.8.0.0/24", "dev", "tap0", "metric", "5")
        machine.run("ip route add 10.8.0.0/24 dev eth0 metric 5")
        machine.run("echo 0 > /proc/sys/net/sctp/addip_noauth_enable")
        # The kernel's accept() does not give the listener's options on.
        for setting in ("addip_enable", "auth_enable", "default_auto_asconf"):
            machine.run(f"echo 1 > /proc/sys/net/sctp/{setting}")
        for test in (kernel_server, kernel_client):
            try:
                test()
            except Exception:
                print(f"in {test.__name__}:", flush=True)
                raise
            print(f"        {test.__name__}", flush=True)

    main([both_roles])

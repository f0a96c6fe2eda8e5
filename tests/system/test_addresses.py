#!/usr/bin/env python3
"""Addresses that come and go (RFC 5061) between two hosts, while a transfer goes on of which nothing may be lost."""
import os
import time

from harness import TRANSFER, Namespace, Stack, check, directory, join, main, need_root, tshark, wait_for_link

BYTES = (3_000_000, 1000, 4)


class Pair:
    """Two hosts with two cables; what is sent between them slowly, and fast when it is let go."""

    def __init__(self, address="10.9.1.1", more=(), stack_decides=False):
        """The client calls `address` of the server. `more`: further addresses of both, without their last figure.
        `stack_decides`: the programs know nothing of addresses that change."""
        dynamic = [] if stack_decides else ["-A"]
        self.hosts = [Namespace(), Namespace()]
        join(*self.hosts, "10.9.1.1/24", "10.9.1.2/24")
        join(*self.hosts, "10.9.2.1/24", "10.9.2.2/24", name="veth1")
        # An address of a host is reached by either cable.
        for number, host in enumerate(self.hosts, 1):
            wait_for_link(host)
            wait_for_link(host, "veth1")
            for network in more:
                host.run("ip", "address", "add", f"{network}{number}/64", "dev", "veth0", "nodad")
        self.stacks = [Stack("--raw", "--no-udp", *(["--asconf"] if stack_decides else []), namespace=host)
                       for host in self.hosts]
        self.hold = os.path.join(directory(), "hold")
        with open(self.hold, "w", encoding="ascii"):
            pass
        self.server = self.stacks[0].start(TRANSFER, *dynamic, "-6", "-c", "1", "echo-server", "5001")
        self.server.wait_for("ready")
        family = ["-6"] if ":" in address else []
        self.client = self.stacks[1].start(TRANSFER, *dynamic, *family, "-H", self.hold, "echo", address, "5001", *BYTES)

    def wait_for_paths(self, host, *addresses, seconds=20):
        """Until its peer has these addresses, all confirmed, and messages pass."""
        end = time.monotonic() + seconds
        before = None
        while True:
            association = self.stacks[host].association()
            paths = {p["address"]: p["state"] for p in association["paths"]} if association else {}
            if set(paths) == set(addresses) and set(paths.values()) == {"ACTIVE"}:
                if before is None:
                    before = association["packets_received"]
                elif association["packets_received"] > before:
                    return
            if time.monotonic() > end:
                check(False, f"host {host}: paths {paths}, wanted {addresses}")
            time.sleep(0.05)

    def finish(self):
        """Lets the transfer come to its end. Returns the counters of both stacks."""
        os.remove(self.hold)
        said = self.client.wait()
        check("good" in said and "BAD" not in said, said)
        self.server.wait()
        counters = [stack.status()["counters"] for stack in self.stacks]
        captures = [self.chunks(stack.capture) for stack in self.stacks]
        for stack in self.stacks:
            stack.stop()
        for counter in counters:
            check(counter["asconf_refused"] == 0 and counter["unauthenticated_chunks"] == 0 and
                  counter["bad_authentication"] == 0, counter)
        return captures

    @staticmethod
    def chunks(capture):
        """The packets with ASCONF or ASCONF ACK, all behind AUTH, as tshark reads them."""
        read = tshark(capture, "-Y", "sctp.chunk_type == 193 || sctp.chunk_type == 128", "-T", "fields",
                      "-e", "sctp.chunk_type").splitlines()
        for types in read:
            check(types.split(",")[0] == "15", f"not authenticated: {types}")
        return read


def address_is_added_and_deleted():
    """The client's host moves to another address, and back."""
    pair = Pair()
    client, server = pair.hosts[1], 0
    pair.wait_for_paths(server, "10.9.1.2", "10.9.2.2")
    client.run("ip", "address", "add", "10.9.1.77/24", "dev", "veth0")
    pair.wait_for_paths(server, "10.9.1.2", "10.9.2.2", "10.9.1.77")
    client.run("ip", "address", "del", "10.9.2.2/24", "dev", "veth1")
    pair.wait_for_paths(server, "10.9.1.2", "10.9.1.77")
    client.run("ip", "address", "add", "10.9.2.2/24", "dev", "veth1")
    pair.wait_for_paths(server, "10.9.1.2", "10.9.1.77", "10.9.2.2")
    captures = pair.finish()
    check(len(captures[0]) >= 6, f"{len(captures[0])} packets with ASCONF or its answers")


def address_in_use_is_deleted():
    """The very address that data comes from goes; its host says so from another."""
    pair = Pair()
    pair.wait_for_paths(0, "10.9.1.2", "10.9.2.2")
    # 10.9.1.1 is now reached by the other cable
    pair.hosts[1].run("ip", "address", "del", "10.9.1.2/24", "dev", "veth0")
    pair.hosts[1].run("ip", "route", "add", "10.9.1.0/24", "via", "10.9.2.1")
    pair.wait_for_paths(0, "10.9.2.2")
    pair.finish()


def interface_goes_and_comes():
    """An interface is switched off, and on again, at either host. The programs need not know."""
    pair = Pair(stack_decides=True)
    for host, other, mine in ((1, 0, "2"), (0, 1, "1")):
        both = (f"10.9.1.{mine}", f"10.9.2.{mine}")
        pair.wait_for_paths(other, *both)
        pair.hosts[host].run("ip", "link", "set", "veth1", "down")
        pair.wait_for_paths(other, both[0])
        pair.hosts[host].run("ip", "link", "set", "veth1", "up")
        pair.wait_for_paths(other, *both)
    pair.finish()


def ipv6_address_comes():
    """By an IPv6 socket, which has addresses of both families. The new one is tentative for a while (RFC 4862)."""
    pair = Pair("fd09:1::1", ["fd09:1::"])
    known = ("10.9.1.2", "10.9.2.2", "fd09:1::2")
    pair.wait_for_paths(0, *known)
    pair.hosts[0].run("ip", "address", "add", "fd09:2::1/64", "dev", "veth1", "nodad")
    pair.hosts[1].run("ip", "address", "add", "fd09:2::2/64", "dev", "veth1")
    pair.wait_for_paths(0, *known, "fd09:2::2")
    pair.wait_for_paths(1, "10.9.1.1", "10.9.2.1", "fd09:1::1", "fd09:2::1")
    pair.hosts[1].run("ip", "address", "del", "fd09:1::2/64", "dev", "veth0")
    pair.wait_for_paths(0, "10.9.1.2", "10.9.2.2", "fd09:2::2")
    pair.finish()


def route_changes():
    """The path MTU follows the route's."""
    pair = Pair()
    pair.wait_for_paths(1, "10.9.1.1", "10.9.2.1")

    def wait_for_mtu(mtu):
        end = time.monotonic() + 10
        while {p["address"]: p["mtu"] for p in pair.stacks[1].association()["paths"]}["10.9.1.1"] != mtu:
            check(time.monotonic() < end, f"the path's MTU does not become {mtu}")
            time.sleep(0.05)

    wait_for_mtu(1500)
    pair.hosts[1].run("ip", "route", "add", "10.9.1.1/32", "dev", "veth0", "mtu", "1000")
    wait_for_mtu(1000)
    pair.hosts[1].run("ip", "route", "del", "10.9.1.1/32")
    wait_for_mtu(1500)
    pair.finish()


def address_is_bound_at_once():
    """Who has added an address binds to it in the next moment, however many have come just before."""
    host = Namespace()
    stack = Stack("--no-udp", namespace=host, capture=False)
    said = stack.run("python3", "-c", """
import socket, subprocess
for i in range(1, 21):
    subprocess.run(["ip", "address", "add", f"10.9.9.{i}/32", "dev", "lo"], check=True)
    socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).bind((f"10.9.9.{i}", 0))
print("bound")
""")
    check(said == "bound\n", said)
    stack.stop()


if __name__ == "__main__":
    need_root()
    main([address_is_bound_at_once, address_is_added_and_deleted,
          address_in_use_is_deleted, interface_goes_and_comes, ipv6_address_comes, route_changes])

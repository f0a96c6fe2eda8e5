#!/usr/bin/env python3
"""Packets and interfaces: SO_BINDTODEVICE, with two cables between two hosts, and IP_FREEBIND with a network that is local as
a whole though no interface has an address of it."""
import os

from harness import Namespace, Stack, check, join, main, need_root, wait_for_link

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs", "interfaces.py")
PYTHON = "/usr/bin/python3"


class Hosts:
    def __init__(self, *options):
        self.hosts = [Namespace(), Namespace()]
        join(*self.hosts, "10.9.1.1/24", "10.9.1.2/24")
        join(*self.hosts, "10.9.2.1/24", "10.9.2.2/24", name="veth1")
        for host in self.hosts:
            wait_for_link(host)
            wait_for_link(host, "veth1")
        self.stacks = [Stack(*options, namespace=host, capture=False) for host in self.hosts]

    def serve(self, *arguments):
        server = self.stacks[0].start(PYTHON, PROGRAM, "serve", *arguments)
        server.wait_for("ready")
        return server

    def call(self, address, device, status=0):
        return self.stacks[1].run(PYTHON, PROGRAM, "call", address, "5001", device, status=status).strip()

    def stop(self):
        for stack in self.stacks:
            stack.stop()


def two_cables(*options):
    """Of two servers with one port the interface decides, not the address; the client's way out, too."""
    hosts = Hosts(*options)
    server = hosts.serve("0.0.0.0", 5001, 2, "veth0", "veth1")
    for address, device in (("10.9.1.1", "veth0"), ("10.9.2.1", "veth0"), ("10.9.1.1", "veth1"), ("10.9.2.1", "veth1")):
        said = hosts.call(address, device)
        check(said.startswith(device), f"to {address} by {device}: it was {said}")
    server.wait()
    server = hosts.serve("0.0.0.0", 5001, 1, "veth1")
    said = hosts.call("10.9.1.1", "any", status=1)
    check("ConnectionRefusedError" in said, f"a packet came in by another interface, and was taken: {said}")
    check(hosts.call("10.9.2.1", "any").startswith("veth1"), "it does not listen")
    server.wait()
    hosts.stop()


def over_ip():
    two_cables("--raw", "--no-udp")


def over_udp():
    two_cables()


def any_address():
    hosts = Hosts("--raw", "--no-udp")
    hosts.hosts[0].run("ip", "route", "add", "local", "192.0.2.0/24", "dev", "lo")
    hosts.hosts[1].run("ip", "route", "add", "192.0.2.0/24", "via", "10.9.1.1")
    server = hosts.serve("192.0.2.9", 5001, 1, "any")
    said = hosts.call("192.0.2.9", "any")
    check(said == "any of 192.0.2.9", said)
    server.wait()
    hosts.stop()


if __name__ == "__main__":
    need_root()
    main([over_ip, over_udp, any_address])

#!/usr/bin/env python3
"""Associations that survive their network: hosts on two and three disjoint links, a router on each that drops packets
silently, while a transfer goes on whose every message is checked. RFC 9260, sections 6.4 and 8; RFC 7829.

All tests run at once, each in namespaces of its own: they mostly wait.
"""
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import guest
from harness import (BRAID, BUILD, TRANSFER, USRSCTP_PEER, Namespace, Process, Stack, check, main_parallel, need_root, run,
                     wait_for_link)

# What a failover may take on top of one RTO (RFC 7829): the RTO's last start is some packets back, and machines are slow.
MARGIN = 700
RTO_MIN, IMPATIENT_RTO_MIN = 1000, 100  # ms


class Network:
    """Two hosts, and between them so many links, each with a subnet on either side of the router."""

    def __init__(self, links=2, ipv6=False, guest_kernel=False):
        self.links, self.ipv6 = range(1, links + 1), ipv6
        self.router = Namespace()
        self.hosts = [Namespace(), None if guest_kernel else Namespace()]
        self.router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self.guest = guest_kernel and guest.Guest(self.router, [([self.address(1, link) + "/24"], [self.gateway(1, link) + "/24"])
                                                                for link in self.links])
        for link in self.links:
            for side, host in enumerate(self.hosts):
                if host:
                    self._lay(host, side, link)
        for link in self.links:
            for side, host in enumerate(self.hosts):
                if host:
                    host.run("ip", *self._family(), "route", "add", self._subnet(1 - side, link), "via", self.gateway(side, link))
                    wait_for_link(host, f"link{link}")
                else:
                    self.guest.run(f"ip route add {self._subnet(0, link)} via {self.gateway(1, link)}")

    def _lay(self, host, side, link):
        """One end of a link, from a host to the router."""
        name = self.port(side, link)
        self.router.run("ip", "link", "add", name, "type", "veth", "peer", "name", f"link{link}", "netns", host.name)
        for namespace, device, address in ((host, f"link{link}", self.address(side, link)),
                                           (self.router, name, self.gateway(side, link))):
            namespace.run("ip", "address", "add", address + ("/64" if self.ipv6 else "/24"), "dev", device,
                          *(["nodad"] if self.ipv6 else []))
            namespace.run("ip", "link", "set", device, "up")

    def _family(self):
        return ["-6"] if self.ipv6 else []

    def _subnet(self, side, link):
        return f"fd0{link}:a{side}::/64" if self.ipv6 else f"10.{link}.{side}.0/24"

    def address(self, side, link):
        return f"fd0{link}:a{side}::1" if self.ipv6 else f"10.{link}.{side}.1"

    def gateway(self, side, link):
        return f"fd0{link}:a{side}::fe" if self.ipv6 else f"10.{link}.{side}.254"

    def port(self, side, link):
        """The router's end."""
        return f"tap{link - 1}" if side == 1 and not self.hosts[1] else f"port{side}{link}"

    def cut(self, link, sides=(0, 1)):
        """What comes from these sides over the link is dropped without a word."""
        for side in sides:
            self.router.run("ip", *self._family(), "rule", "add", "iif", self.port(side, link), "priority", "1", "blackhole")

    def mend(self, link, sides=(0, 1)):
        for side in sides:
            self.router.run("ip", *self._family(), "rule", "delete", "iif", self.port(side, link), "priority", "1", "blackhole")

    def bind(self, side):
        return [argument for link in self.links for argument in ("-b", self.address(side, link))]


class Transfer:
    """From host 0 to host 1 (or back, if it fetches), at a rate that makes it last. Braid is host 0."""

    def __init__(self, network, mode="send", options=(), peer="braid", braid_is_client=True):
        self.network = network
        self.impatient = "-T" in options
        self.stack = Stack("--raw", "--no-udp", namespace=network.hosts[0])
        self.stacks = [self.stack]
        common = (["-6"] if network.ipv6 else []) + list(options)
        pace = ["-i", "2000"]
        client = [*common, *pace, *network.bind(0 if braid_is_client else 1), mode,
                  network.address(1 if braid_is_client else 0, 1), "5001", "40000000", "1000", "4"]
        server = [*common, *pace, "-c", "1", *network.bind(1 if braid_is_client else 0), "server", "5001"]
        for turn, arguments in enumerate((server, client)):
            ours = (turn == 1) == braid_is_client
            process = self._start(peer, ours, arguments)
            if turn == 0:
                self.server = process
                process.wait_for("ready")
            else:
                self.client = process
        self.sender = self.client if mode == "send" else self.server
        self.sending_side = 1 if len(self.stacks) == 2 and self.sender == self.server else 0
        self.wait_for_paths({link: "ACTIVE" for link in network.links})

    def _start(self, peer, ours, arguments):
        if ours:
            return self.stack.start(TRANSFER, *arguments, seconds=150)
        if peer == "usrsctp":
            self._prepare_usrsctp(self.network.hosts[1])
            return Process([USRSCTP_PEER, *arguments], 150, namespace=self.network.hosts[1])
        if peer == "kernel":
            return GuestProcess(self.network.guest, arguments)
        other = Stack("--raw", "--no-udp", namespace=self.network.hosts[1])
        self.stacks.append(other)
        return other.start(TRANSFER, *arguments, seconds=150)

    def _prepare_usrsctp(self, host):
        """A raw socket that is full makes some kernels say Protocol Unreachable, which is an ABORT (RFC 9260, 10, 8).
        And usrsctp knows no routes: it sends from any of its addresses over any link. Then what goes back to where a packet
        came from (SACK, HEARTBEAT ACK) takes the link that is cut, while the other is there. So we set the source that
        belongs to the link, as a kernel would."""
        host.run("nft", "add table ip usrsctp; add chain ip usrsctp out { type filter hook output priority 0; };"
                 "add rule ip usrsctp out icmp type destination-unreachable drop;" +
                 "".join(f"add rule ip usrsctp out oifname link{link} ip protocol 132 ip saddr set {self.network.address(1, link)};"
                         for link in self.network.links))

    def _associations(self, side):
        said = json.loads(run([BRAID, "ss", "--json", "--name", self.stacks[side].name], namespace=self.network.hosts[side]))
        return [association for socket in said["sockets"] for association in socket["associations"]]

    def paths(self, side=None):
        """Those of the association at one end, by link; none if it has ended."""
        side = self.sending_side if side is None else side
        return {link: path for association in self._associations(side) for path in association["paths"]
                for link in self.network.links if path["address"] == self.network.address(1 - side, link)}

    def wait_for_paths(self, states, seconds=45):
        """At both ends if they are to be active; a failure is seen first by who sends."""
        end = time.monotonic() + seconds
        both = all(state == "ACTIVE" for state in states.values())
        for side in range(len(self.stacks)) if both else [self.sending_side]:
            while True:
                paths = self.paths(side)
                if all(re.fullmatch(state, paths.get(link, {}).get("state", "")) for link, state in states.items()):
                    break
                if time.monotonic() > end:
                    check(False, f"after {seconds} s the paths of side {side} are not {states} but "
                          f"{ {link: path['state'] for link, path in paths.items()} }\n"
                          f"{self.client.end_of_output()}{self.server.end_of_output()}")
                time.sleep(0.05)

    def flows(self, seconds=40):
        """Messages arrive, over whichever path: what was on its way when a link was cut does not count."""
        for _ in range(2):
            before, end = self._carried(), time.monotonic() + seconds
            while self._carried() <= before + 50:
                check(time.monotonic() < end,
                      f"nothing flows: {self.paths()}\n{self.client.end_of_output()}{self.server.end_of_output()}")
                time.sleep(0.1)

    def _carried(self):
        return sum(a["messages_sent"] + a["messages_received"] - a["outstanding_chunks"] for a in self._associations(0))

    def fail_over(self, link, sides=(0, 1), others="ACTIVE"):
        """A link is cut for a while; data goes on; it comes back."""
        self.network.cut(link, sides)
        self.wait_for_paths({link: "POTENTIALLY-FAILED|INACTIVE"})
        self.flows()
        self.network.mend(link, sides)
        self.wait_for_paths({each: "ACTIVE" if each == link else others for each in self.network.links})

    def finish(self, silence=None):
        """To the end at full speed; every message is there once, in order. Returns the longest silence."""
        self.sender.write("\n")
        client, server = self.client.wait(), self.server.wait()
        sums = {s for s in re.findall(r"messages=[1-9]\d* bytes=\d+ checksum=([0-9a-f]{16})", client + server)}
        check("good" in client and "BAD" not in client, client)
        check(len(sums) == 1, f"the ends do not agree:\n{client}{server}")
        longest = max(int(s) for s in re.findall(r"silence_ms=(\d+)", client + server))
        for stack in self.stacks:
            stack.stop()
        if silence:
            print(f"        {sys._getframe(1).f_code.co_name}: longest silence {longest} ms of {silence}", flush=True)
            check(longest <= silence, f"silence of {longest} ms, more than {silence}")
        return longest

    def one_rto(self):
        return (IMPATIENT_RTO_MIN if self.impatient else RTO_MIN) + MARGIN


class GuestProcess:
    """A transfer program in the virtual machine, which has one shell for all."""

    def __init__(self, machine, arguments):
        self.machine = machine
        self.file = f"/tmp/said{time.monotonic_ns()}"
        machine.run(f"timeout 150 sctp_transfer {' '.join(arguments)} >{self.file} 2>&1 </tmp/none & echo $! >{self.file}.pid")

    def output(self):
        return self.machine.run(f"cat {self.file}")

    end_of_output = output

    def wait_for(self, text, seconds=20):
        end = time.monotonic() + seconds
        while not re.search(text, self.output()):
            check(time.monotonic() < end, f"the guest did not say '{text}': {self.output()}")
            time.sleep(0.1)

    def write(self, text):
        self.machine.run("echo >/tmp/none")

    def wait(self, status=0):
        self.machine.run(f"for i in $(seq 600); do kill -0 $(cat {self.file}.pid) 2>/dev/null || break; usleep 100000; done")
        return self.output()


# ---- Two links, three links --------------------------------------------------------------------------------------------


def each_link_defaults():
    """The RFCs' and Linux's values: a path is left after one RTO, which is 1 s at least."""
    transfer = Transfer(Network())
    for link in (1, 2):
        transfer.fail_over(link)
    transfer.finish(transfer.one_rto())


def each_direction_defaults():
    """What goes one way is lost, what comes the other way is not."""
    transfer = Transfer(Network())
    transfer.fail_over(1, sides=(0,))
    transfer.fail_over(1, sides=(1,))
    transfer.finish(transfer.one_rto())


def each_link_impatient():
    transfer = Transfer(Network(), options=["-T"])
    for link in (1, 2, 1):
        transfer.fail_over(link)
        transfer.fail_over(link, sides=(0,))
        transfer.fail_over(link, sides=(1,))
    transfer.finish(transfer.one_rto())


def each_link_ipv6():
    transfer = Transfer(Network(ipv6=True), options=["-T"])
    for link in (1, 2):
        transfer.fail_over(link)
        transfer.fail_over(link, sides=(0,))
        transfer.fail_over(link, sides=(1,))
    transfer.finish(transfer.one_rto())


def three_links():
    """One of three is enough: two are cut, one after the other, in each pair."""
    network = Network(links=3)
    transfer = Transfer(network, options=["-T"])
    for first, second in ((1, 2), (2, 3), (3, 1)):
        network.cut(first)
        transfer.wait_for_paths({first: "INACTIVE"})
        network.cut(second)
        transfer.flows()
        network.mend(first)
        network.mend(second)
        transfer.wait_for_paths({link: "ACTIVE" for link in network.links})
    # the second cut may find data retransmitted over a path whose RTO has been doubled
    transfer.finish(2 * IMPATIENT_RTO_MIN + MARGIN)


def the_other_way():
    """The server sends."""
    transfer = Transfer(Network(), mode="fetch", options=["-T"])
    for link in (1, 2):
        transfer.network.cut(link)
        transfer.flows()
        transfer.network.mend(link)
        transfer.wait_for_paths({each: "ACTIVE" for each in transfer.network.links})
    transfer.finish(transfer.one_rto())


def primary_flaps():
    """Another path is made the primary every 50 ms, while links come and go."""
    transfer = Transfer(Network(), options=["-T", "-y", "50"])
    transfer.flows()
    for link in (1, 2):
        transfer.fail_over(link)
    transfer.finish(transfer.one_rto())


# ---- All links at once -------------------------------------------------------------------------------------------------


def all_links_for_a_while():
    """For less than the association's patience: of eight retransmissions to nobody, four or so are gone. What did not come
    back is not missed."""
    network = Network()
    transfer = Transfer(network, options=["-T"])
    for back in ((1, 2), (2,)):
        for link in network.links:
            network.cut(link)
        time.sleep(1)
        check(transfer.paths(), "the association has not waited")
        for link in back:
            network.mend(link)
        transfer.flows()
    network.mend(1)
    transfer.wait_for_paths({link: "ACTIVE" for link in network.links})
    transfer.finish()


def all_links_for_a_while_defaults():
    network = Network()
    transfer = Transfer(network)
    for link in network.links:
        network.cut(link)
    time.sleep(5)
    for link in network.links:
        network.mend(link)
    transfer.wait_for_paths({link: "ACTIVE" for link in network.links})
    transfer.flows()
    transfer.finish()


def all_links_for_good():
    """For more: 100, 100, 200, 200, ..., 1600 ms, as each path backs off by itself; then the program is told."""
    network = Network()
    transfer = Transfer(network, options=["-T"])
    begin = time.monotonic()
    for link in network.links:
        network.cut(link)
    said = transfer.client.wait(1)
    took = time.monotonic() - begin
    check("Connection timed out" in said or "no result" in said, said)
    print(f"        all_links_for_good: given up after {took:.1f} s", flush=True)
    check(2 < took < 12, f"given up after {took:.1f} s")
    check(not transfer.paths(), "the association is still there")
    # what did arrive, did so once and in order
    transfer.stacks[1].process.stop()
    check(" errors=0" in transfer.server.wait(None), transfer.server.output())


# ---- braid ss --watch --------------------------------------------------------------------------------------------------


def watch_on_a_pipe():
    """One block behind the other, in which the states of the paths change."""
    transfer = Transfer(Network(), options=["-T"])
    seen = Process([BRAID, "ss", "-v", "--watch", "0.1", "--name", transfer.stack.name], namespace=transfer.network.hosts[0])
    seen.wait_for("path 10.1.1.1 ACTIVE primary")
    transfer.network.cut(1)
    seen.wait_for("path 10.1.1.1 (POTENTIALLY-FAILED|INACTIVE) primary")
    transfer.network.mend(1)
    transfer.wait_for_paths({1: "ACTIVE", 2: "ACTIVE"})
    transfer.finish()
    said = seen.wait(1)  # the stack has ended
    check("no stack named" in said, said)
    blocks = said.split("\n\n")
    check(len(blocks) > 5 and all(block.startswith("Stack '") for block in blocks[:-1]), said[:1000])
    check("\033" not in said, "control sequences on a pipe")


def watch_on_a_terminal():
    """Drawn anew in its place; the terminal is left as it was."""
    stack = Stack(namespace=Namespace(), capture=False)
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*stack.namespace.prefix, BRAID, "ss", "-v", "--watch=0.05", "--name", stack.name], stdin=theirs,
                               stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    said, end = b"", time.monotonic() + 20
    while said.count(b"\033[H") < 5 and time.monotonic() < end:
        said += os.read(ours, 65536)
    process.send_signal(signal.SIGINT)
    try:
        while piece := os.read(ours, 65536):
            said += piece
    except OSError:  # nobody has the other end any more
        pass
    check(process.wait(10) == 0, f"exit status {process.returncode}")
    check(said.count(b"\033[H") >= 5 and said.startswith(b"\033[?1049h") and said.endswith(b"\033[?1049l"), repr(said[-300:]))
    check(said.count(b"\033[?25l") == said.count(b"\033[?25h") == 1, "the cursor is not as it was")
    stack.stop()


# ---- The demonstration -------------------------------------------------------------------------------------------------


def demonstration():
    """scripts/demo-failover looks for itself whether all is well."""
    begin = time.monotonic()
    said = run([os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "demo-failover"), BUILD], 60)
    check("10.1.1.1 POTENTIALLY-FAILED primary" in said and "10.1.1.1 has perhaps failed" in said, said)
    check(time.monotonic() - begin < 55, "it took too long")


# ---- Others as peers ---------------------------------------------------------------------------------------------------


def usrsctp(mode, braid_is_client):
    transfer = Transfer(Network(), mode=mode, options=["-T"], peer="usrsctp", braid_is_client=braid_is_client)
    for link in (1, 2):
        transfer.network.cut(link)
        transfer.flows()
        transfer.network.mend(link)
        transfer.wait_for_paths({each: "ACTIVE" for each in transfer.network.links})
    transfer.finish()


def usrsctp_receives():
    usrsctp("send", braid_is_client=True)


def usrsctp_sends():
    usrsctp("send", braid_is_client=False)


def usrsctp_serves():
    usrsctp("fetch", braid_is_client=True)


def kernel():
    """Both roles, on one machine: it takes a while to start."""
    network = Network(guest_kernel=True)
    network.guest.run("mkfifo /tmp/none; sleep 300 >/tmp/none &")
    for braid_is_client in (True, False):
        transfer = Transfer(network, options=["-T"], peer="kernel", braid_is_client=braid_is_client)
        for link in (1, 2):
            network.cut(link)
            transfer.flows()
            network.mend(link)
            transfer.wait_for_paths({each: "ACTIVE" for each in network.links})
        transfer.finish()


TESTS = [each_link_defaults, each_direction_defaults, each_link_impatient, each_link_ipv6, three_links, the_other_way,
         primary_flaps, all_links_for_a_while, all_links_for_a_while_defaults, all_links_for_good, watch_on_a_pipe,
         watch_on_a_terminal, demonstration]

if __name__ == "__main__":
    need_root()
    if guest.available():
        TESTS.insert(0, kernel)
    if os.path.exists(USRSCTP_PEER):
        TESTS += [usrsctp_receives, usrsctp_sends, usrsctp_serves]
    main_parallel([t for t in TESTS if len(sys.argv) < 2 or t.__name__ in sys.argv[1:]], 6, again_alone=True)

#!/usr/bin/env python3
"""Braid and usrsctp, an independent implementation: each in both roles, over UDP (RFC 6951) and over raw IP."""
import os
import re
import sys

from harness import (SKIPPED, TRANSFER, USRSCTP_PEER, USRSCTP_TOOLS, Namespace, Process, Stack, check, join, main,
                     need_root, tshark, wait_for_link)

LARGE = 100_000_000
SMALL = 5_000_000


class Pair:
    """Two namespaces on a cable: Braid's, and usrsctp's."""

    def __init__(self, raw=False, ipv6=False, interleaving=False):
        self.braid, self.peer = Namespace(), Namespace()
        if ipv6:
            self.braid_address, self.peer_address = "fd00::1", "fd00::2"
        else:
            self.braid_address, self.peer_address = "10.9.0.1", "10.9.0.2"
        length = 64 if ipv6 else 24
        join(self.braid, self.peer, f"{self.braid_address}/{length}", f"{self.peer_address}/{length}")
        wait_for_link(self.braid)
        self.stack = Stack(*(["--raw", "--no-udp"] if raw else []), *(["--interleaving"] if interleaving else []),
                           namespace=self.braid)
        self.common = ["-I", "-S", "200000"] if interleaving else []
        self.peer_options = self.common + ([] if raw else ["-L", "9899", "-U", "9899"])
        if ipv6:
            self.peer_options.append("-6")

    def usrsctp(self, *arguments):
        return Process([USRSCTP_PEER, *self.peer_options, *arguments], 120, namespace=self.peer)

    def braid_client(self, mode, size, count, *options, bytes_=SMALL):
        server = self.usrsctp("-c", "1", "echo-server" if mode == "echo" else "server", "5001")
        server.wait_for("ready")
        said = self.stack.run(TRANSFER, *self.common, *options, mode, self.peer_address, "5001", bytes_, size, count)
        compare(said, server.wait())
        self.stack.stop()

    def braid_server(self, mode, size, count, *options, bytes_=SMALL):
        server = self.stack.start(TRANSFER, *(["-6"] if "-6" in self.peer_options else []), *self.common, *options, "-c", "1",
                                  "echo-server" if mode == "echo" else "server", "5001")
        server.wait_for("ready")
        said = self.usrsctp(*options, mode, self.braid_address, "5001", bytes_, size, count).wait()
        compare(said, server.wait())
        self.stack.stop()


def compare(client, server):
    """All checksums that either end tells of its data are one."""
    sums = {s for s in re.findall(r"messages=[1-9]\d* bytes=\d+ checksum=([0-9a-f]{16})", client + server)}
    check("good" in client and "BAD" not in client, client)
    check(len(sums) == 1, f"the ends do not agree:\n{client}{server}")


def udp_client_sends():
    Pair().braid_client("send", 3000, 8, bytes_=LARGE)


def udp_client_fetches():
    Pair().braid_client("fetch", 3000, 8, bytes_=LARGE)


def udp_server_receives():
    Pair().braid_server("send", 3000, 8, bytes_=LARGE)


def udp_server_sends():
    Pair().braid_server("fetch", 3000, 8, bytes_=LARGE)


def udp_ipv6_echo():
    Pair(ipv6=True).braid_client("echo", 5000, 3)


def udp_unordered():
    Pair().braid_client("send", 20000, 5, "-u", "-r")


def raw_client_sends():
    Pair(raw=True).braid_client("send", 3000, 8, bytes_=LARGE)


def raw_client_fetches():
    Pair(raw=True).braid_client("fetch", 3000, 8, bytes_=LARGE)


def raw_server_receives():
    Pair(raw=True).braid_server("send", 3000, 8, bytes_=LARGE)


def raw_server_sends():
    Pair(raw=True).braid_server("fetch", 3000, 8, bytes_=LARGE)


def raw_ipv6_echo():
    Pair(raw=True, ipv6=True).braid_server("echo", 5000, 3)


def large_messages():
    Pair().braid_client("send", 200_000, 3, "-S", "1000000")


# ---- RFC 8260: messages of several streams beside each other ----


def check_interleaved(pair):
    """All user data went in I-DATA, both ways, and other messages stood between the chunks of one."""
    read = tshark(pair.stack.capture, "-T", "fields", "-e", "ip.src", "-e", "sctp.chunk_type", "-e", "sctp.data_sid",
                  "-e", "sctp.data_b_bit", "-e", "sctp.data_e_bit")
    open_streams, between = {}, {pair.braid_address: 0, pair.peer_address: 0}
    for line in read.splitlines():
        source, chunks, streams, begins, ends = line.split("\t")
        check("0" not in chunks.split(","), "there is DATA")
        for stream, begin, end in zip(*(field.split(",") for field in (streams, begins, ends))):
            if not stream:
                continue
            others = open_streams.setdefault(source, set())
            between[source] += len(others - {stream}) > 0
            (others.discard if end in ("1", "True") else others.add)(stream)
    return between


def interleaved_out():
    pair = Pair(interleaving=True)
    pair.stack_stop, pair.stack.stop = pair.stack.stop, lambda: None
    pair.braid_client("send", 8000, 4)
    check(check_interleaved(pair)[pair.braid_address] > 100, "our messages are not interleaved")
    pair.stack_stop()


def interleaved_in():
    pair = Pair(interleaving=True)
    pair.stack_stop, pair.stack.stop = pair.stack.stop, lambda: None
    pair.braid_server("send", 8000, 4)
    check(check_interleaved(pair)[pair.peer_address] > 100, "usrsctp's messages are not interleaved")
    pair.stack_stop()


def interleaved_unordered_echo():
    Pair(interleaving=True).braid_client("echo", 8000, 4, "-u")


# ---- The programs of Debian's libusrsctp-examples ----


def tool(name, *arguments, namespace):
    return Process(["stdbuf", "-oL", os.path.join(USRSCTP_TOOLS, name), *arguments], 60, namespace=namespace)


SENDER = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP) as s:
    s.connect((sys.argv[1], int(sys.argv[2])))
    for i in range(1000):
        assert s.send(b"x" * 700) == 700
print("sent")
"""


def debian_echo_server():
    pair = Pair()
    server = tool("echo_server", "9899", "9899", namespace=pair.peer)
    said = pair.stack.run_client(TRANSFER, "echo", pair.peer_address, "7", 1_000_000, 1000, 1)
    check("good" in said, said)
    server.stop()
    pair.stack.stop()


def debian_discard_server():
    pair = Pair()
    server = tool("discard_server", "9899", "9899", namespace=pair.peer)
    pair.stack.run_client("python3", "-c", SENDER, pair.peer_address, "9")
    server.wait_for("Msg of length 700 ", times=1000)
    server.stop()
    pair.stack.stop()


def debian_client():
    pair = Pair()
    server = pair.stack.start(TRANSFER, "-P", "-c", "1", "echo-server", "5001")
    server.wait_for("ready")
    client = tool("client", pair.braid_address, "5001", "0", "9899", "9899", namespace=pair.peer)
    client.write("hello from usrsctp\n")
    client.wait_for("hello from usrsctp")
    client.process.stdin.close()
    client.wait(None)
    server.wait(None)
    pair.stack.stop()


def debian_tsctp():
    pair = Pair()
    server = tool("tsctp", "-E", "9899", "-U", "9899", "-p", "5001", namespace=pair.peer)
    pair.stack.run_client("python3", "-c", SENDER, pair.peer_address, "5001")
    server.wait_for(r"\b700, \d+, 1000, 700000, ")  # length, ..., messages, bytes
    server.stop()
    pair.stack.stop()


def debian_tsctp_client():
    pair = Pair()
    server = pair.stack.start("python3", "-c", """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP) as s:
    s.bind(("", 5001))
    s.listen(1)
    print("ready", flush=True)
    c, _ = s.accept()
    total = 0
    while piece := c.recv(100000):
        total += len(piece)
    print("received", total)
""")
    server.wait_for("ready")
    client = tool("tsctp", "-E", "9899", "-U", "9899", "-p", "5001", "-n", "2000", "-l", "1400", pair.braid_address,
                  namespace=pair.peer)
    client.wait(None)
    check(f"received {2000 * 1400}" in server.wait(), server.output())
    pair.stack.stop()


if __name__ == "__main__":
    need_root()
    if not os.path.exists(USRSCTP_PEER):
        print("usrsctp is not installed")
        sys.exit(SKIPPED)
    TESTS = [udp_client_sends, udp_client_fetches, udp_server_receives, udp_server_sends, udp_ipv6_echo, udp_unordered,
             raw_client_sends, raw_client_fetches, raw_server_receives, raw_server_sends, raw_ipv6_echo, large_messages, interleaved_out,
             interleaved_in, interleaved_unordered_echo,
             debian_echo_server, debian_discard_server, debian_client, debian_tsctp, debian_tsctp_client]
    main([t for t in TESTS if len(sys.argv) < 2 or t.__name__ in sys.argv[1:]])

#!/usr/bin/env python3
"""Peers that lie about addresses: what they say is refused as the RFCs say and counted, and the association lives on.

RFC 9260, sections 5.1.2, 5.4, 8.3; RFC 5061, section 5.2, 5.3. Each test has a program under `braid run` that sends each
message back, and a peer whose packets are made by hand.
"""
import struct
import time

from harness import BUILD, Namespace, Stack, check, join, main_parallel, need_root, wait_for_link
from raw_peer import (ADD_IP, DELETE_IP, HEARTBEAT, HEARTBEAT_ACK, ASCONF_ACK, SET_PRIMARY, RawPeer,
                      chunk)

HOST, PEER = "10.9.0.1", ("10.9.0.2", "10.9.0.3", "10.9.0.4")
DELETE_LAST, UNRESOLVABLE = 0x00a0, 0x0005


class Pair:
    """Braid with its program, and the peer on the same cable."""

    def __init__(self, *options):
        self.host, self.there = Namespace(), Namespace()
        join(self.host, self.there, HOST + "/24", PEER[0] + "/24")
        wait_for_link(self.host)
        for address in PEER[1:]:
            self.there.run("ip", "address", "add", address + "/24", "dev", "veth0")
        self.host.run("ip", "route", "add", "default", "via", PEER[0])
        self.stack = Stack("--raw", "--no-udp", *options, namespace=self.host)
        self.stack.start(f"{BUILD}/examples/echo_server", "5001").wait_for("waiting")
        self.peer = RawPeer(self.there, PEER, HOST, 5001)

    def counter(self, name):
        return self.stack.status()["counters"][name]

    def counts(self, name, count, seconds=5):
        end = time.monotonic() + seconds
        while (now := self.counter(name)) != count:
            check(time.monotonic() < end, f"{name} is {now}, not {count}")
            time.sleep(0.05)

    def paths(self):
        association = self.stack.association()
        check(association, "the association is gone")
        return {path["address"]: path["state"] for path in association["paths"]}

    def finish(self):
        """It lives."""
        for turn in range(3):
            self.peer.echo(b"still here %d" % turn)
        check(self.stack.association()["error_count"] == 0, self.stack.association())
        self.stack.stop()


def addresses_that_cannot_be():
    """Broadcast, multicast, loopback, unspecified, our own: not taken. A stranger's, and the network's broadcast address:
    nothing but HEARTBEATs goes there, and a broadcast never."""
    pair = Pair()
    pair.peer.connect(["255.255.255.255", "224.0.0.1", "127.0.0.1", "0.0.0.0", HOST, "10.9.0.255", "10.77.0.1"])
    pair.counts("addresses_refused", 5)
    for turn in range(20):
        pair.peer.echo(b"%d" % turn)
    check(pair.paths() == {PEER[0]: "ACTIVE", "10.9.0.255": "UNCONFIRMED", "10.77.0.1": "UNCONFIRMED"}, pair.paths())
    for path in pair.stack.association()["paths"]:
        if path["address"] != PEER[0]:
            check(path["packets_sent"] <= 6 and path["bytes_sent"] <= 6 * 100, path)
    check(pair.peer.destinations == {PEER[0]}, pair.peer.destinations)
    pair.finish()


def two_hundred_addresses():
    pair = Pair()
    pair.peer.connect([f"10.77.0.{number + 1}" for number in range(200)])
    pair.counts("addresses_refused", 200 - 31)
    check(len(pair.paths()) == 32, pair.paths())
    pair.finish()


def heartbeat_acks():
    """Not asked for, altered, again, or from an address that is nobody's."""
    pair = Pair()
    peer = pair.peer
    peer.answers_heartbeats = False
    peer.connect(PEER[1:2])
    info = peer.expect(HEARTBEAT, destination=PEER[1])
    peer.send(chunk(HEARTBEAT_ACK, struct.pack("!HH", 1, 12) + b"not asked"))
    pair.counts("bad_heartbeat_ack", 1)
    for byte in range(4, 12):  # the nonce
        peer.send(chunk(HEARTBEAT_ACK, info[:byte] + bytes([info[byte] ^ 1]) + info[byte + 1:]), source=PEER[1])
    pair.counts("bad_heartbeat_ack", 9)
    before = pair.counter("out_of_the_blue")
    peer.send(chunk(HEARTBEAT_ACK, info), source=PEER[2])
    pair.counts("out_of_the_blue", before + 1)
    check(pair.paths() == {PEER[0]: "ACTIVE", PEER[1]: "UNCONFIRMED"}, pair.paths())
    # The latest is answered as it should be; once.
    info = peer.expect(HEARTBEAT, destination=PEER[1])
    for _ in range(2):
        peer.send(chunk(HEARTBEAT_ACK, info), source=PEER[1])
    pair.counts("bad_heartbeat_ack", 10)
    check(pair.paths() == {PEER[0]: "ACTIVE", PEER[1]: "ACTIVE"}, pair.paths())
    pair.finish()


def asconf():
    """Not authenticated, with a wrong key, again, out of order; additions of what cannot be; the last address deleted."""
    pair = Pair("--asconf")
    peer = pair.peer
    serial = peer.tsn
    peer.connect(asconf=True)

    peer.asconf(serial, (ADD_IP, PEER[1]), authenticate=False)
    pair.counts("unauthenticated_chunks", 1)
    peer.asconf(serial, (ADD_IP, PEER[1]), key=b"another")
    pair.counts("bad_authentication", 1)
    check(pair.paths() == {PEER[0]: "ACTIVE"}, pair.paths())

    peer.asconf(serial, (ADD_IP, PEER[1]))
    check(not peer.expect_asconf_ack(serial), "the addition was refused")
    peer.echo(b"between")
    check(pair.paths() == {PEER[0]: "ACTIVE", PEER[1]: "ACTIVE"}, pair.paths())
    # Again: the answer was lost, perhaps. Nothing happens but that it comes once more.
    peer.asconf(serial, (ADD_IP, PEER[1]))
    check(not peer.expect_asconf_ack(serial), "another answer than before")
    pair.counts("asconf_ignored", 1)
    peer.asconf(serial + 7, (DELETE_IP, PEER[1]))
    peer.asconf(serial - 7, (DELETE_IP, PEER[1]))
    peer.expect_none(ASCONF_ACK)
    pair.counts("asconf_ignored", 3)
    check(len(pair.paths()) == 2, pair.paths())

    peer.asconf(serial + 1, *[(ADD_IP, address) for address in ("255.255.255.255", "224.0.0.1", "127.0.0.1", HOST)],
                (SET_PRIMARY, "10.77.0.1"))
    causes = peer.expect_asconf_ack(serial + 1)
    check(causes == [UNRESOLVABLE] * 5, causes)
    pair.counts("asconf_refused", 5)
    peer.asconf(serial + 2, (DELETE_IP, PEER[1]))
    check(not peer.expect_asconf_ack(serial + 2), "the deletion was refused")
    check(pair.paths() == {PEER[0]: "ACTIVE"}, pair.paths())
    peer.asconf(serial + 3, (DELETE_IP, PEER[0]))
    causes = peer.expect_asconf_ack(serial + 3)
    check(causes == [DELETE_LAST], causes)
    pair.counts("asconf_refused", 6)
    pair.finish()


if __name__ == "__main__":
    need_root()
    main_parallel([addresses_that_cannot_be, two_hundred_addresses, heartbeat_acks, asconf], 4)

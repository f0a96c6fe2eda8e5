#!/usr/bin/env python3
"""The whole stack over raw IP, asked by hand: one packet in, and what comes back, byte by byte.

The most important of the purposes that the packet scripts (tests/conformance) put to the engine alone; their names stand at
each. RFC 9260, sections 3.2, 3.3, 5.1, 6.2, 6.5, 8.4, 8.5, 9.
"""
import select
import struct
import time

from harness import BUILD, Namespace, Stack, check, join, main_parallel, need_root, wait_for_link
from raw_peer import (ABORT, COOKIE_ACK, COOKIE_ECHO, DATA, ERROR, HEARTBEAT, HEARTBEAT_ACK, INIT, INIT_ACK, PORT, SACK,
                      STATE_COOKIE, RawPeer, chunk, crc32c, parameter, parameters)

HOST, PEER, SERVER = "10.9.0.1", "10.9.0.2", 5001
SHUTDOWN, SHUTDOWN_ACK, SHUTDOWN_COMPLETE = 7, 8, 14
REFLECTED, WHOLE = 1, 3  # flags
INVALID_STREAM, MISSING_PARAMETER, UNRESOLVABLE, UNRECOGNIZED_CHUNK, NO_USER_DATA = 1, 2, 5, 6, 9
TAG, TSN, QUIET = 0x01020304, 1000, 0.3


class Wire(RawPeer):
    """A peer that answers nothing by itself."""

    def __init__(self):
        self.host, self.there = Namespace(), Namespace()
        join(self.host, self.there, HOST + "/24", PEER + "/24")
        wait_for_link(self.host)
        self.stack = Stack("--raw", "--no-udp", namespace=self.host, capture=False)
        self.stack.start(f"{BUILD}/examples/echo_server", SERVER).wait_for("waiting")
        super().__init__(self.there, [PEER], HOST, SERVER)

    def answer(self, seconds=5):
        """The next packet: (its Verification Tag, [(chunk type, flags, value)]); None: there is none."""
        if not select.select([self.incoming], [], [], seconds)[0]:
            return None
        packet = self.incoming.recv(65536)
        packet = packet[(packet[0] & 15) * 4:]
        whole, chunks, at = packet[:8] + bytes(4) + packet[12:], [], 12
        check(packet[8:12] == struct.pack("<I", crc32c(whole)), "the checksum")
        if self.remote_port is None:  # it calls us
            self.remote_port = struct.unpack_from("!H", packet)[0]
        check(struct.unpack_from("!HH", packet) == (self.remote_port, PORT), "the ports")
        while at < len(packet):
            kind, flags, length = struct.unpack_from("!BBH", packet, at)
            chunks.append((kind, flags, packet[at + 4:at + length]))
            at += length + -length % 4
        return struct.unpack_from("!I", packet, 4)[0], chunks

    def expect(self, *wanted, tag=None):
        """The next packet has these chunks, (type, flags) or a type; returns their values."""
        wanted = [kind if isinstance(kind, tuple) else (kind, 0) for kind in wanted]
        answer = self.answer()
        check(answer, f"no answer, {wanted} was expected")
        said = [(kind, flags) for kind, flags, _ in answer[1]]
        check(said == wanted, f"{answer[1]}, {wanted} was expected")
        tag = self.tag if tag is None else tag
        check(answer[0] == tag, f"a Verification Tag of {answer[0]:#x}, not {tag:#x}")
        return [value for _, _, value in answer[1]]

    def expect_silence(self, why):
        answer = self.answer(QUIET)
        check(answer is None, f"{why}: {answer}")

    def init(self, tag=None, a_rwnd=100000, outbound=10, inbound=10, rest=b""):
        return chunk(INIT, struct.pack("!IIHHI", self.tag if tag is None else tag, a_rwnd, outbound, inbound, TSN) + rest)

    def set_up(self):
        self.send(self.init(), tag=0)
        value = self.expect(INIT_ACK)[0]
        self.peer_tag, a_rwnd, _, _, initial_tsn = struct.unpack_from("!IIHHI", value)
        check(self.peer_tag != 0 and a_rwnd >= 1500, value)
        self.received_tsn = initial_tsn - 1
        self.tsn = TSN
        return dict(parameters(value[16:]))[STATE_COOKIE]

    def connect(self, listed=(), asconf=False):
        self.send(chunk(COOKIE_ECHO, self.set_up()))
        self.expect(COOKIE_ACK)

    def data(self, text=b"ask", stream=0, tsn=None, ssn=0):
        return chunk(DATA, struct.pack("!IHHI", self.tsn if tsn is None else tsn, stream, ssn, 0) + text, flags=WHOLE)

    def expect_sack(self, cumulative, gaps=(), duplicates=()):
        """In one of the next packets: the echo may go with it, or come before."""
        end = time.monotonic() + 2
        while (answer := self.answer(end - time.monotonic())) is not None:
            for kind, _, value in answer[1]:
                if kind == SACK:
                    said, _, gap_count, duplicate_count = struct.unpack_from("!IIHH", value)
                    numbers = struct.unpack_from(f"!{2 * gap_count}H{duplicate_count}I", value, 12)
                    check((said, numbers) == (cumulative, tuple(gaps) + tuple(duplicates)), (said, numbers))
                    return
        check(False, f"no SACK of {cumulative}")

    def finish(self):
        """Another association can be had all the same."""
        self.tag += 1
        self.send(self.init(), tag=0)
        self.expect(INIT_ACK)
        self.stack.stop()


def association():
    """SCTP-AS-V-1-1-2, -BDC-V-7-4, -FH-V-5-2, -D-O-8-6, -AT-V-2-14: set up with DATA, again, heartbeat, duplicate, shut down."""
    wire = Wire()
    cookie = wire.set_up()
    wire.send(chunk(COOKIE_ECHO, cookie[:-1] + bytes([cookie[-1] ^ 1])))
    wire.expect_silence("a forged cookie")
    wire.send(chunk(COOKIE_ECHO, cookie), wire.data(b"with the cookie"))
    answer = wire.answer()
    check(answer[0] == TAG and [kind for kind, _, _ in answer[1]][:2] == [COOKIE_ACK, SACK], answer)
    said = wire.answer() if len(answer[1]) == 2 else answer
    check(said[1][-1][0] == DATA and said[1][-1][2][12:] == b"with the cookie", said)
    echoed = struct.unpack_from("!I", said[1][-1][2])[0]
    wire.send(chunk(SACK, struct.pack("!IIHH", echoed, 100000, 0, 0)))
    wire.send(chunk(COOKIE_ECHO, cookie))
    wire.expect(COOKIE_ACK)
    info = struct.pack("!HH", 1, 12) + b"anything"
    wire.send(chunk(HEARTBEAT, info))
    check(wire.expect(HEARTBEAT_ACK) == [info], "another Heartbeat Info")
    wire.send(wire.data(b"with the cookie"))
    wire.expect_sack(TSN, duplicates=[TSN])
    wire.send(chunk(SHUTDOWN, struct.pack("!I", echoed)))
    wire.expect(SHUTDOWN_ACK)
    wire.send(chunk(SHUTDOWN_COMPLETE))
    wire.expect_silence("SHUTDOWN COMPLETE")
    wire.send(wire.data(tsn=TSN + 1))
    wire.expect((ABORT, REFLECTED), tag=wire.peer_tag)
    wire.finish()


def bad_inits():
    """SCTP-AS-I-1-4, -1-7-2, -1-8-1, -1-12-1, -1-14-1, -BDC-I-7-1, -IMH-I-3-4; RFC 9260, 3.3.2."""
    wire = Wire()
    for why, packet, tag in (("a tag of 0", wire.init(tag=0), 0), ("a Verification Tag", wire.init(), 7),
                             ("company", wire.init() + chunk(COOKIE_ACK), 0), ("too short", chunk(INIT, bytes(12)), 0)):
        wire.send(packet, tag=tag)
        wire.expect_silence(f"an INIT with {why}")
    packet = struct.pack("!HHII", PORT, SERVER, 0, 0x12345678) + wire.init()
    wire.sockets[PEER].sendto(packet, (HOST, 0))
    wire.expect_silence("a bad checksum")
    for bad in (wire.init(outbound=0), wire.init(inbound=0), wire.init(a_rwnd=1499)):
        wire.send(bad, tag=0)
        wire.expect(ABORT)
    name = parameter(11, b"example.org\0")
    wire.send(wire.init(rest=name), tag=0)
    check(wire.expect(ABORT)[0][:2] == struct.pack("!H", UNRESOLVABLE), "another cause")
    wire.remote_port = SERVER + 1
    wire.send(wire.init(), tag=0)
    wire.expect(ABORT)
    wire.remote_port = SERVER
    # Parameters that nobody knows: what the two highest bits of their types ask for (3.2.1), all in one INIT ACK.
    unknown = [parameter(kind, b"what") for kind in (0x8fff, 0xcfff, 0xcffe, 0x4fff, 0xcffd)]
    wire.send(wire.init(rest=b"".join(unknown)), tag=0)
    reported = [value for kind, value in parameters(wire.expect(INIT_ACK)[0][16:]) if kind == 8]
    check(reported == [unknown[1], unknown[2], unknown[3]], reported)
    wire.finish()


def out_of_the_blue():
    """SCTP-FH-O-5-3-1 to -4: RFC 9260, 8.4, each rule."""
    wire, tag = Wire(), 0x0badcafe
    stale = struct.pack("!HHI", 3, 8, 0)
    for kind, value, wanted in ((DATA, struct.pack("!IHHI", 1, 0, 0, 0) + b"x", ABORT), (SACK, bytes(12), ABORT),
                                (HEARTBEAT, struct.pack("!HHI", 1, 8, 0), ABORT), (SHUTDOWN, bytes(4), ABORT),
                                (ERROR, struct.pack("!HH", 4, 4), ABORT), (0x3f, b"", ABORT), (0xff, b"", ABORT),
                                (SHUTDOWN_ACK, b"", SHUTDOWN_COMPLETE), (SHUTDOWN_COMPLETE, b"", None), (ABORT, b"", None),
                                (COOKIE_ACK, b"", None), (ERROR, stale, None), (COOKIE_ECHO, bytes(100), None)):
        wire.send(chunk(kind, value), tag=tag)
        if wanted is None:
            wire.expect_silence(f"chunk type {kind} out of the blue")
        else:
            wire.expect((wanted, REFLECTED), tag=tag)
    wire.send(chunk(HEARTBEAT, struct.pack("!HHI", 1, 8, 0)), chunk(ABORT), tag=tag)
    wire.expect_silence("an ABORT behind others")
    wire.finish()


def chunks_and_data():
    """SCTP-E-I-6-3, -D-I-8-11, -A-O-9-3, -IMH-I-3-7; RFC 9260, 3.2, 6.2, 6.5, 8.5."""
    wire = Wire()
    wire.connect()
    wire.send(wire.data(), tag=wire.peer_tag ^ 1)
    wire.expect_silence("another tag")
    for kind in (0x3f, 0x7f, 0xbf, 0xff):  # unknown: is it reported, is the rest done?
        wire.send(chunk(kind, b"what"), chunk(HEARTBEAT, struct.pack("!HHI", 1, 8, kind)))
        wanted = ([ERROR] if kind & 0x40 else []) + ([HEARTBEAT_ACK] if kind & 0x80 else [])
        if not wanted:
            wire.expect_silence("an unknown chunk")
            continue
        said = wire.answer()
        kinds = [kind for kind, _, _ in said[1]] if said else []
        check(sorted(kinds) == sorted(wanted), f"{said}, {wanted} was expected")
        causes = [value for kind, _, value in said[1] if kind == ERROR]
        check(all(cause == struct.pack("!HH", UNRECOGNIZED_CHUNK, 12) + chunk(kind, b"what") for cause in causes), causes)
    # A stream that is not there: the TSN is acknowledged, and the stream named (6.5).
    wire.send(wire.data(stream=99))
    said = wire.answer()
    check(sorted(kind for kind, _, _ in said[1]) == [SACK, ERROR], said)
    causes = [value for kind, _, value in said[1] if kind == ERROR]
    check(causes == [struct.pack("!HHHH", INVALID_STREAM, 8, 99, 0)], causes)
    wire.send(wire.data(tsn=TSN + 2, ssn=1))
    wire.expect_sack(TSN, gaps=[2, 2])
    wire.send(wire.data(tsn=TSN + 1), chunk(ABORT), tag=wire.peer_tag ^ 1)
    wire.expect_silence("an ABORT with another tag")
    check(wire.stack.association(), "the association is gone")
    wire.send(wire.data(b"", tsn=TSN + 1))
    wanted = struct.pack("!HHI", NO_USER_DATA, 8, TSN + 1)
    check(wire.expect(ABORT) == [wanted], "another cause")
    wire.finish()


def ends():
    """SCTP-AT-V-2-2, -DM-O-4-2-1, RFC 9260, 8.5.1: an ABORT that reflects our tag; a restart; SHUTDOWN ACK from nowhere."""
    wire = Wire()
    wire.connect()
    wire.send(chunk(ABORT, flags=REFLECTED), tag=TAG + 9)
    check(wire.stack.association(), "the association is gone")
    wire.send(chunk(ABORT, flags=REFLECTED), tag=TAG)
    end = time.monotonic() + 2
    while wire.stack.association():
        check(time.monotonic() < end, "an ABORT with the peer's tag and the T bit")
    wire.connect()
    before = wire.peer_tag
    wire.tag = TAG + 2
    wire.connect()  # it has crashed, and begins anew
    check(wire.peer_tag != before, "the same tag again")
    wire.send(wire.data(b"anew", ssn=1))  # which waits for another
    wire.expect_sack(TSN)
    check(wire.stack.association()["peer_tag"] == wire.tag, "another association")
    wire.send(chunk(ABORT))
    wire.expect_silence("an ABORT")
    wire.finish()


def calls():
    """SCTP-AS-V-1-1-1, -AS-I-1-2-1, -E-I-6-4, -AT-V-2-6: the stack calls. An INIT ACK without a cookie ends that; an INIT that is
    not answered comes again."""
    wire = Wire()
    for good in (False, True):
        wire.remote_port = None
        client = wire.stack.start(f"{BUILD}/examples/hello_client", PEER, PORT)
        first = wire.expect(INIT, tag=0)[0]
        wire.peer_tag, _, _, _, wire.received_tsn = struct.unpack_from("!IIHHI", first)
        if good:
            check(wire.expect(INIT, tag=0) == [first], "another INIT")
        said = struct.pack("!IIHHI", TAG, 100000, 10, 10, TSN)
        wire.send(chunk(INIT_ACK, said + (parameter(STATE_COOKIE, b"a biscuit") if good else b"")))
        if not good:
            check(wire.expect(ABORT)[0][:2] == struct.pack("!H", MISSING_PARAMETER), "another cause")
            client.wait(1)
    check(wire.expect(COOKIE_ECHO) == [b"a biscuit"], "another cookie")
    # in one packet: before the program can send anything
    wire.send(chunk(COOKIE_ACK) + chunk(SHUTDOWN, struct.pack("!I", wire.received_tsn - 1)))
    wire.expect(SHUTDOWN_ACK)
    wire.send(chunk(SHUTDOWN_COMPLETE))
    wire.expect_silence("SHUTDOWN COMPLETE")
    wire.stack.stop()


if __name__ == "__main__":
    need_root()
    main_parallel([association, bad_inits, out_of_the_blue, chunks_and_data, ends, calls], 3)

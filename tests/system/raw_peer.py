"""A peer of Braid's that says what a test wants it to say: SCTP chunks made by hand, over a raw socket in a namespace.

RFC 9260, sections 3 and 5.1; AUTH (RFC 4895) with the empty shared key and SHA-1.
"""
import ctypes
import hashlib
import hmac
import os
import select
import socket
import struct
import time

from harness import check

DATA, INIT, INIT_ACK, SACK, HEARTBEAT, HEARTBEAT_ACK, ABORT, ERROR, COOKIE_ECHO, COOKIE_ACK = 0, 1, 2, 3, 4, 5, 6, 9, 10, 11
AUTH, ASCONF_ACK, ASCONF = 0x0f, 0x80, 0xc1
STATE_COOKIE, RANDOM, CHUNKS, HMAC_ALGORITHM, EXTENSIONS = 7, 0x8002, 0x8003, 0x8004, 0x8008
ADD_IP, DELETE_IP, ERROR_CAUSE, SET_PRIMARY = 0xc001, 0xc002, 0xc003, 0xc004
HMAC_SHA1 = 1
PORT = 4001


def _crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82f63b78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _crc32c_table()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xff]
    return crc ^ 0xffffffff


def _padded(data):
    return data + bytes(-len(data) % 4)


def chunk(kind, value=b"", flags=0):
    return _padded(struct.pack("!BBH", kind, flags, 4 + len(value)) + value)


def parameter(kind, value=b""):
    return _padded(struct.pack("!HH", kind, 4 + len(value)) + value)


def address_parameter(address):
    return parameter(5, socket.inet_aton(address))


def parts(data, length_at=2):
    """The chunks or parameters that stand behind one another: (their first bytes, the value)."""
    while len(data) >= 4:
        length = struct.unpack_from("!H", data, length_at)[0]
        check(4 <= length <= len(data), f"a chunk or parameter of {length} bytes, with {len(data)} left")
        yield data[:2], data[4:length]
        data = data[length + -length % 4:]


def parameters(data):
    return [(struct.unpack("!H", kind)[0], value) for kind, value in parts(data)]


def raw_socket(namespace, address=""):
    """In another namespace than this process is in."""
    library = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net", "rb") as home, open(f"/run/netns/{namespace.name}", "rb") as there:
        check(library.setns(there.fileno(), 0) == 0, "setns")
        try:
            made = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_SCTP)
            made.bind((address, 0))
        finally:
            check(library.setns(home.fileno(), 0) == 0, "setns")
    return made


class RawPeer:
    """It calls Braid at `remote`, from the first of its addresses."""

    def __init__(self, namespace, addresses, remote, remote_port):
        self.sockets = {address: raw_socket(namespace, address) for address in addresses}
        self.incoming = raw_socket(namespace)
        self.first, self.remote, self.remote_port = addresses[0], remote, remote_port
        self.tag, self.tsn = 0x01020304, 1000
        self.peer_tag = self.received_tsn = 0
        self.key = None
        self.answers_heartbeats = True
        self.destinations = set()  # where Braid's packets came to

    # ---- Packets ----

    def send(self, *chunks, source=None, tag=None, authenticate=False, key=None):
        body = b"".join(chunks)
        if authenticate:
            blank = chunk(AUTH, struct.pack("!HH", 0, HMAC_SHA1) + bytes(20))
            digest = hmac.new(self.key if key is None else key, blank + body, hashlib.sha1).digest()
            body = blank[:8] + digest + body
        packet = struct.pack("!HHII", PORT, self.remote_port, self.peer_tag if tag is None else tag, 0) + body
        packet = packet[:8] + struct.pack("<I", crc32c(packet)) + packet[12:]
        self.sockets[source or self.first].sendto(packet, (self.remote, 0))

    def packets(self, seconds):
        """Braid's, as they come: (their destination, [(chunk type, value)]). HEARTBEAT and DATA are seen to."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.incoming], [], [], left)[0]:
                return
            packet = self.incoming.recv(65536)
            destination, packet = socket.inet_ntoa(packet[16:20]), packet[(packet[0] & 15) * 4:]
            self.destinations.add(destination)
            chunks = [(kind[0], value) for kind, value in parts(packet[12:])]
            for kind, value in chunks:
                if kind == HEARTBEAT and self.answers_heartbeats and destination in self.sockets:
                    self.send(chunk(HEARTBEAT_ACK, value), source=destination)
                elif kind == DATA:
                    self.received_tsn = struct.unpack_from("!I", value)[0]
                    self.send(chunk(SACK, struct.pack("!IIHH", self.received_tsn, 100000, 0, 0)))
            yield destination, chunks

    def expect(self, wanted, destination=None, seconds=10):
        """The value of the first such chunk that comes; all before it is let go."""
        for to, chunks in self.packets(seconds):
            for kind, value in chunks:
                check(kind != ABORT or to != self.first, f"ABORT while waiting for chunk type {wanted}: {value!r}")
                if kind == wanted and destination in (None, to):
                    return value
        check(False, f"no chunk of type {wanted} within {seconds} s")
        return b""

    def expect_none(self, unwanted, seconds=0.5):
        for _, chunks in self.packets(seconds):
            check(unwanted not in [kind for kind, _ in chunks], f"a chunk of type {unwanted}")

    # ---- The association ----

    def connect(self, listed=(), asconf=False):
        """Sets it up; the INIT lists these addresses."""
        offer = [parameter(RANDOM, os.urandom(32)), parameter(CHUNKS, bytes([ASCONF, ASCONF_ACK])),
                 parameter(HMAC_ALGORITHM, struct.pack("!H", HMAC_SHA1))] if asconf else []
        extensions = [parameter(EXTENSIONS, bytes([AUTH, ASCONF, ASCONF_ACK]))] if asconf else []
        listed = b"".join(address_parameter(address) for address in listed)
        self.send(chunk(INIT, struct.pack("!IIHHI", self.tag, 100000, 10, 10, self.tsn) + listed + b"".join(extensions + offer)),
                  tag=0)
        answer = self.expect(INIT_ACK)
        self.peer_tag, _, _, _, initial_tsn = struct.unpack_from("!IIHHI", answer)
        self.received_tsn = initial_tsn - 1
        found = dict(parameters(answer[16:]))
        if asconf:
            # A key vector: RANDOM, CHUNKS and HMAC-ALGO as they were sent, without padding.
            ours = b"".join(offer)[:36 + 6] + b"".join(offer)[44:44 + 6]
            theirs = b"".join(struct.pack("!HH", kind, 4 + len(found[kind])) + found[kind]
                              for kind in (RANDOM, CHUNKS, HMAC_ALGORITHM))
            self.key = b"".join(sorted((ours, theirs), key=lambda vector: (int.from_bytes(vector, "big"), len(vector))))
        self.send(chunk(COOKIE_ECHO, found[STATE_COOKIE]))
        self.expect(COOKIE_ACK)

    def echo(self, text):
        """The program on Braid sends each message back."""
        self.send(chunk(DATA, struct.pack("!IHHI", self.tsn, 0, self.tsn - 1000, 0) + text, flags=3))
        self.tsn += 1
        said = self.expect(DATA)
        check(said[12:] == text, f"'{said[12:]}' came back, not '{text}'")

    def asconf(self, serial, *requests, address=None, **how):
        """Each request is (parameter type, address); their correlation identifiers are 1, 2, ..."""
        body = struct.pack("!I", serial) + address_parameter(address or self.first)
        for number, (kind, wanted) in enumerate(requests, 1):
            body += parameter(kind, struct.pack("!I", number) + address_parameter(wanted))
        self.send(chunk(ASCONF, body), **{"authenticate": True, **how})

    def expect_asconf_ack(self, serial):
        """Returns the causes of what was refused."""
        value = self.expect(ASCONF_ACK)
        said = struct.unpack_from("!I", value)[0]
        check(said == serial, f"ASCONF ACK {said}, not {serial}")
        return [cause for kind, refused in parameters(value[4:]) if kind == ERROR_CAUSE for cause, _ in parameters(refused[4:])]

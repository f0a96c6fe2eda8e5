"""Captures made by hand, for the tests of what reads captures: IPv4, SCTP chunks, a pcap file."""
import socket
import struct

LINKTYPE_RAW = 101

_table = []
for _byte in range(256):
    _value = _byte
    for _ in range(8):
        _value = _value >> 1 ^ (0x82F63B78 if _value & 1 else 0)
    _table.append(_value)


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _table[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def chunk(kind, value=b"", flags=0):
    """A chunk with its padding."""
    data = struct.pack(">BBH", kind, flags, 4 + len(value)) + value
    return data + bytes(-len(data) % 4)


def parameter(kind, value):
    data = struct.pack(">HH", kind, 4 + len(value)) + value
    return data + bytes(-len(data) % 4)


def init(kind, tag, tsn, addresses=()):
    parameters = b"".join(parameter(5, socket.inet_aton(a)) for a in addresses)
    return chunk(kind, struct.pack(">IIHHI", tag, 65536, 10, 10, tsn) + parameters)


def data(tsn, stream=0, ssn=0, payload=b"hello", flags=3):
    return chunk(0, struct.pack(">IHHI", tsn, stream, ssn, 0) + payload, flags)


def sack(cumulative, gaps=(), twice=(), a_rwnd=65536):
    return chunk(3, struct.pack(">IIHH", cumulative, a_rwnd, len(gaps), len(twice)) +
                 b"".join(struct.pack(">HH", *gap) for gap in gaps) +
                 b"".join(struct.pack(">I", tsn) for tsn in twice))


def sctp(source_port, destination_port, tag, *chunks):
    packet = struct.pack(">HHII", source_port, destination_port, tag, 0) + b"".join(chunks)
    return packet[:8] + struct.pack("<I", crc32c(packet)) + packet[12:]


def ipv4(source, destination, packet):
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(packet), 0, 0x4000, 64, 132, 0,
                         socket.inet_aton(source), socket.inet_aton(destination))
    return header + packet


class Capture:
    """A pcap file of raw IP packets."""

    def __init__(self, path):
        self.path = path
        self.file = open(path, "wb")
        self.file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, LINKTYPE_RAW))

    def add(self, seconds, frame):
        self.file.write(struct.pack("<IIII", int(seconds), round(seconds % 1 * 1e6), len(frame), len(frame)) + frame)

    def close(self):
        self.file.close()
        return self.path

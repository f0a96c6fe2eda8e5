#!/usr/bin/env python3
"""What `braid dump` says of a capture.

    check_dump.py BRAID WRITE_SAMPLES

WRITE_SAMPLES writes a capture with one packet of every kind (tests/packet/samples.c). It is read
as it is, and with its packets wrapped in whatever a capture may have around them.
"""
import json
import os
import pty
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

from sctp_capture import Capture, chunk, data, ipv4, parameter, sctp

BRAID, WRITE_SAMPLES = sys.argv[1:3]
FOLDER = tempfile.TemporaryDirectory()

LINKTYPE_NULL = 0
LINKTYPE_ETHERNET = 1
LINKTYPE_RAW = 101
LINKTYPE_LOOP = 108
LINKTYPE_LINUX_SLL = 113
LINKTYPE_USB = 189
LINKTYPE_IPV4 = 228
LINKTYPE_IPV6 = 229
LINKTYPE_LINUX_SLL2 = 276


def path_of(name):
    return os.path.join(FOLDER.name, name)


def sample_capture(link):
    path = path_of(link + ".pcap")
    subprocess.run([WRITE_SAMPLES, path, link], check=True)
    return path


def read_capture(path):
    """The frames of a pcap file."""
    frames = []
    with open(path, "rb") as file:
        file.read(24)
        while header := file.read(16):
            frames.append(file.read(struct.unpack("<IIII", header)[2]))
    return frames


def write_capture(name, link_type, frames, cut_to=65535):
    path = path_of(name + ".pcap")
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link_type))
        for number, frame in enumerate(frames):
            kept = frame[:cut_to]
            file.write(struct.pack("<IIII", 1000, number, len(kept), len(frame)) + kept)
    return path


def dump(*arguments, **options):
    return subprocess.run([BRAID, "dump", *arguments], capture_output=True, text=True, **options)


def dump_json(*arguments):
    done = dump("--json", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


IPV4_FRAMES = read_capture(sample_capture("ipv4"))
IPV6_FRAMES = read_capture(sample_capture("ipv6"))
CHUNK_NAMES = [[chunk["type"] for chunk in packet["chunks"]]
               for packet in dump_json(path_of("ipv4.pcap"))]


def ipv6_with(extensions, first):
    """The first sample over IPv6, with these bytes of extension headers in front of it."""
    frame = IPV6_FRAMES[0]
    length = struct.pack(">H", len(frame) - 40 + len(extensions))
    return frame[:4] + length + bytes([first]) + frame[7:40] + extensions + frame[40:]


class Text(unittest.TestCase):
    def test_one_line_a_chunk(self):
        lines = dump(path_of("ipv4.pcap")).stdout.splitlines()
        self.assertEqual(lines[0], "0.000000  192.0.2.1:40000 > 192.0.2.2:5001"
                                   "  tag 0x1a2b3c4d  crc ok  80 bytes")
        for line in ("DATA tsn 1000 stream 3 ssn 4 ppid 0 [BE] 29 bytes",
                     "DATA tsn 1001 stream 3 ssn 4 ppid 0 [IUBE] 1 bytes",
                     "SACK cumulative 1000 a_rwnd 65536 gaps 2-3,5-9 duplicates 998,999",
                     "SACK cumulative 1001 a_rwnd 65536",
                     "HEARTBEAT 21 bytes",
                     "SHUTDOWN cumulative 1001",
                     "SHUTDOWN ACK",
                     "SHUTDOWN COMPLETE [T]",
                     'ABORT [T] User-Initiated Abort "enough", '
                     'Protocol Violation "a chunk out of place", No User Data',
                     "FORWARD TSN cumulative 1010 stream 3 ssn 4 stream 5 ssn 6",
                     "I-FORWARD TSN cumulative 1011 stream 3 mid 70000 stream 5 unordered mid 0",
                     "RE-CONFIG Outgoing SSN Reset Request 1000 last tsn 3000 streams 3,5, "
                     "Incoming SSN Reset Request 1001 streams 3",
                     "RE-CONFIG Re-configuration Response 1000 Denied, "
                     "Re-configuration Response 1001 Success - Performed",
                     "AUTH key 0 SHA-256 32 bytes"):
            self.assertIn("    " + line, lines)
        self.assertTrue(lines[3].startswith("0.001500  "))
        self.assertNotIn("malformed", "".join(lines))

    def test_verbose(self):
        text = dump("-v", path_of("ipv4.pcap")).stdout
        for line in ("        initiate_tag 0x55667788",
                     "            Cookie Preservative (0x0009), 8 bytes",
                     "                increment_milliseconds 30000",
                     "            Stale Cookie (0x0003), 8 bytes",
                     "                staleness_microseconds 1500000",
                     "            2-3"):
            self.assertIn(line + "\n", text)

    def test_ipv6_and_udp(self):
        line = dump(path_of("ipv6.pcap")).stdout.splitlines()[0]
        self.assertIn("  [2001:db8::1]:40000 > [2001:db8::2]:5001  ", line)
        line = dump(sample_capture("udp")).stdout.splitlines()[0]
        self.assertIn("  udp 9899 > 9899  ", line)

    def test_text_from_the_wire_does_no_harm(self):
        hostile = IPV4_FRAMES[6].replace(b"enough", b"\x1b[2J\"\\")
        text = dump("-v", write_capture("hostile", LINKTYPE_RAW, [hostile])).stdout
        self.assertIn(r'"\x1b[2J\x22\x5c"', text)
        self.assertNotIn("\x1b", text)
        packet = dump_json(path_of("hostile.pcap"))[0]
        self.assertEqual(packet["chunks"][0]["causes"][0]["text"], "\x1b[2J\"\\")

    def test_colour_on_a_terminal_only(self):
        def on_a_terminal(**environment):
            master, slave = pty.openpty()
            subprocess.run([BRAID, "dump", path_of("single.pcap")], stdout=slave, check=True,
                           env={"TERM": "xterm", **environment})
            os.close(slave)
            text = os.read(master, 4096)
            os.close(master)
            return text
        write_capture("single", LINKTYPE_RAW, IPV4_FRAMES[:1])
        self.assertIn(b"\x1b[", on_a_terminal())
        self.assertNotIn(b"\x1b[", on_a_terminal(NO_COLOR="1"))
        self.assertNotIn("\x1b[", dump(path_of("single.pcap")).stdout)


class Json(unittest.TestCase):
    def test_fields(self):
        packets = dump_json(path_of("ipv4.pcap"))
        self.assertEqual(len(packets), len(IPV4_FRAMES))
        self.assertTrue(all(packet["checksum"] == "good" for packet in packets))
        self.assertFalse(any(packet["malformed"] for packet in packets))
        self.assertNotIn('"malformed": true', json.dumps(packets))
        self.assertEqual(packets[0]["source"], {"address": "192.0.2.1", "port": 40000})
        self.assertEqual(packets[0]["destination"], {"address": "192.0.2.2", "port": 5001})
        self.assertEqual(packets[0]["verification_tag"], 0x1A2B3C4D)
        self.assertEqual(packets[1]["time"], 0.0015)
        data = packets[0]["chunks"][0]
        self.assertEqual((data["tsn"], data["stream"], data["ssn"]), (1000, 3, 4))
        self.assertEqual(bytes.fromhex(data["payload"]), b"thirty-two bytes that mean no")
        sack = packets[3]["chunks"][0]
        self.assertEqual(sack["gap_ack_blocks"], [[2, 3], [5, 9]])
        self.assertEqual(sack["duplicate_tsns"], [998, 999])
        refused = packets[18]["chunks"][0]["parameters"][1]["causes"][0]
        self.assertEqual(refused["parameters"][0]["address"], "192.0.2.3")
        skipping = packets[-1]["chunks"][0]
        self.assertEqual(skipping["new_cumulative_tsn"], 1011)
        self.assertEqual(skipping["skipped_messages"], [{"stream": 3, "unordered": False, "mid": 70000},
                                                        {"stream": 5, "unordered": True, "mid": 0}])


class Wrappings(unittest.TestCase):
    def check(self, name, link_type, frames):
        packets = dump_json(write_capture(name, link_type, frames))
        self.assertEqual([[chunk["type"] for chunk in packet["chunks"]] for packet in packets],
                         CHUNK_NAMES[:len(frames)])
        self.assertTrue(all(packet["checksum"] == "good" for packet in packets))

    def test_link_types(self):
        mac = bytes(12)
        self.check("ethernet", LINKTYPE_ETHERNET, [mac + b"\x08\x00" + f for f in IPV4_FRAMES])
        self.check("ethernet6", LINKTYPE_ETHERNET, [mac + b"\x86\xdd" + f for f in IPV6_FRAMES])
        self.check("vlan", LINKTYPE_ETHERNET,
                   [mac + b"\x88\xa8\x00\x01\x81\x00\x00\x02\x08\x00" + f for f in IPV4_FRAMES])
        self.check("padded", LINKTYPE_ETHERNET,
                   [mac + b"\x08\x00" + f + b"\xee" * 9 for f in IPV4_FRAMES])
        self.check("sll", LINKTYPE_LINUX_SLL, [bytes(14) + b"\x08\x00" + f for f in IPV4_FRAMES])
        self.check("sll2", LINKTYPE_LINUX_SLL2,
                   [b"\x86\xdd" + bytes(18) + f for f in IPV6_FRAMES])
        self.check("null", LINKTYPE_NULL, [b"\x02\x00\x00\x00" + f for f in IPV4_FRAMES])
        self.check("loop", LINKTYPE_LOOP, [b"\x00\x00\x00\x18" + f for f in IPV6_FRAMES])
        self.check("raw", LINKTYPE_RAW, IPV6_FRAMES)
        self.check("ip4", LINKTYPE_IPV4, IPV4_FRAMES)
        self.check("ip6", LINKTYPE_IPV6, IPV6_FRAMES)

    def test_ip_headers(self):
        frame = IPV4_FRAMES[0]
        options = bytes([0x46]) + frame[1:2] + struct.pack(">H", len(frame) + 4) + frame[4:20]
        self.check("options", LINKTYPE_RAW, [options + b"\x01\x01\x01\x00" + frame[20:]])
        self.check("extensions", LINKTYPE_RAW,
                   [ipv6_with(bytes([60]) + bytes(7) + bytes([51]) + bytes(7) +
                              bytes([132, 2]) + bytes(14), 0)])
        self.check("whole-fragment", LINKTYPE_RAW, [ipv6_with(bytes([132]) + bytes(7), 44)])

    def test_fragments(self):
        frame = IPV4_FRAMES[0]
        first = frame[:6] + b"\x20\x00" + frame[8:]
        later = frame[:6] + b"\x00\x05" + frame[8:]
        later6 = ipv6_with(bytes([132, 0, 0, 8, 0, 0, 0, 1]), 44)
        path = write_capture("fragments", LINKTYPE_RAW, [first, later, later6])
        packets = dump_json(path)
        self.assertEqual([packet["frame"] for packet in packets], [1])
        self.assertTrue(packets[0]["incomplete"])
        self.assertEqual(packets[0]["checksum"], "unknown")
        self.assertIn("2 fragments", dump(path).stderr)

    def test_udp_port(self):
        other = [f[:20] + b"\x30\x39" + b"\x04\xd2" + f[24:]
                 for f in read_capture(sample_capture("udp"))]
        path = write_capture("other-port", LINKTYPE_RAW, other)
        self.assertEqual(dump_json(path), [])
        self.assertEqual(len(dump_json("--udp-port", "12345", path)), len(other))
        self.assertEqual(len(dump_json("--udp-port", "1234", path)), len(other))
        self.assertEqual(dump_json("--udp-port", "1235", path), [])

    def test_other_packets_are_passed_over(self):
        frame = IPV4_FRAMES[0]
        tcp = frame[:9] + b"\x06" + frame[10:]
        short = [frame[:length] for length in range(20)]
        done = dump(write_capture("others", LINKTYPE_RAW, [tcp, b"", b"\x00" * 40] + short))
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertIn("no SCTP packets", done.stderr)


class Damage(unittest.TestCase):
    def test_checksum(self):
        frame = IPV4_FRAMES[0]
        bad = frame[:-1] + b"\x01"
        zero = frame[:28] + bytes(4) + frame[32:]
        path = write_capture("checksums", LINKTYPE_RAW, [frame, bad, zero])
        self.assertEqual([packet["checksum"] for packet in dump_json(path)],
                         ["good", "bad", "zero"])
        self.assertIn("  crc bad (0x", dump(path).stdout)

    def test_zero_checksum(self):
        """RFC 9653: whether the receiver had said that it takes a checksum of zero is told."""
        def zero(packet):
            return packet[:8] + bytes(4) + packet[12:]

        accepting = chunk(1, struct.pack("!IIHHI", 7, 65536, 1, 1, 1) + parameter(0x8001, struct.pack("!I", 1)))
        frames = [ipv4("192.0.2.1", "192.0.2.2", sctp(5001, 5002, 0, accepting)),
                  ipv4("192.0.2.2", "192.0.2.1", zero(sctp(5002, 5001, 7, data(1)))),
                  ipv4("192.0.2.1", "192.0.2.2", zero(sctp(5001, 5002, 8, data(1))))]
        path = write_capture("zero", LINKTYPE_RAW, frames)
        self.assertEqual([(packet["checksum"], packet.get("zero_checksum_agreed")) for packet in dump_json(path)],
                         [("good", None), ("zero", True), ("zero", False)])
        text = dump(path).stdout
        self.assertIn("  crc zero, as agreed  ", text)
        self.assertIn("  crc zero, not seen to be agreed  ", text)

    def test_cut_off_anywhere(self):
        for length in range(max(map(len, IPV4_FRAMES))):
            path = write_capture("cut", LINKTYPE_RAW, IPV4_FRAMES, cut_to=length)
            for packet in dump_json("-v", path):
                complete = length >= len(IPV4_FRAMES[packet["frame"] - 1])
                self.assertEqual(packet["incomplete"], not complete)
            self.assertEqual(dump("-v", path).returncode, 0)

    def test_malformed_chunk(self):
        frame = bytearray(IPV4_FRAMES[3])
        frame[20 + 12 + 15] = 200  # the number of duplicate TSNs
        path = write_capture("malformed", LINKTYPE_RAW, [bytes(frame)])
        self.assertIn("    SACK malformed, 32 bytes\n", dump(path).stdout)
        self.assertTrue(dump_json(path)[0]["chunks"][0]["malformed"])
        frame[20 + 12 + 3] = 3  # the length of the chunk
        path = write_capture("malformed", LINKTYPE_RAW, [bytes(frame)])
        self.assertIn("    malformed, 48 bytes\n", dump(path).stdout)
        self.assertTrue(dump_json(path)[0]["malformed"])


class Filters(unittest.TestCase):
    def shown(self, *arguments):
        return [[chunk["type"] for chunk in packet["chunks"]] for packet in dump_json(*arguments, path_of("ipv4.pcap"))]

    def test_chunk(self):
        for name in ("SACK", "sack", "3"):
            self.assertEqual(self.shown("-c", name), [chunks for chunks in CHUNK_NAMES if "SACK" in chunks])
        self.assertEqual(self.shown("-c", "init-ack", "-c", "init"),
                         [chunks for chunks in CHUNK_NAMES if {"INIT", "INIT ACK"} & set(chunks)])

    def test_stream(self):
        streams = {chunk["stream"] for packet in dump_json(path_of("ipv4.pcap")) for chunk in packet["chunks"]
                   if chunk["type"] == "DATA"}
        for stream in streams:
            found = dump_json("-s", str(stream), path_of("ipv4.pcap"))
            self.assertTrue(all(any(chunk.get("stream") == stream for chunk in packet["chunks"]) for packet in found))
            self.assertTrue(found)
        self.assertIn("none is as asked for", dump("-s", "65535", path_of("ipv4.pcap")).stderr)

    def test_association(self):
        capture = Capture(path_of("two.pcap"))
        for port in (1000, 2000, 1000):
            capture.add(1, ipv4("10.0.0.1", "10.0.0.2", sctp(port, 9, port, data(1))))
        ports = [packet["source"]["port"] for packet in dump_json("-a", "2", capture.close())]
        self.assertEqual(ports, [2000])

    def test_count(self):
        self.assertEqual(self.shown("-n", "2"), CHUNK_NAMES[:2])

    @unittest.skipUnless(os.geteuid() == 0, "to capture needs root")
    def test_interface(self):
        self.assertIn("there is no such interface", dump("-i", "no-such-one").stderr)
        live = subprocess.Popen([BRAID, "dump", "-i", "lo", "-n", "1", "-c", "SHUTDOWN ACK"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        self.assertIn("listening on lo", live.stderr.readline())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(100):
                sender.sendto(sctp(7, 9, 1234, chunk(8)), ("127.0.0.1", 9899))
                try:
                    live.wait(0.1)
                    break
                except subprocess.TimeoutExpired:
                    pass
        output = live.communicate(timeout=20)[0]
        self.assertEqual(live.returncode, 0)
        self.assertIn("127.0.0.1:7 > 127.0.0.1:9", output)
        self.assertIn("SHUTDOWN ACK", output)


class Usage(unittest.TestCase):
    def test_exit_status(self):
        truncated = path_of("truncated.pcap")
        with open(path_of("ipv4.pcap"), "rb") as file, open(truncated, "wb") as other:
            other.write(file.read()[:-5])
        unknown = write_capture("usb", LINKTYPE_USB, [b"usb"])
        for arguments, status, message in (
                ([path_of("ipv4.pcap")], 0, ""),
                (["--help"], 0, ""),
                ([], 2, "no file was named"),
                (["a", "b"], 2, "one file, interface or stack at a time"),
                (["--live=no-such-stack"], 1, "no stack named 'no-such-stack' is running"),
                (["--frobnicate", "a"], 2, "--frobnicate"),
                (["--udp-port", "0", "a"], 2, "'0' is not a UDP port"),
                (["--udp-port", "65536", "a"], 2, "'65536' is not a UDP port"),
                (["--udp-port", "9x", "a"], 2, "'9x' is not a UDP port"),
                (["-c", "frob", "a"], 2, "'frob' is no type of chunk"),
                (["-a", "0", "a"], 2, "'0' is not the number of an association"),
                (["-s", "65536", "a"], 2, "'65536' is not a stream"),
                (["-i", "lo", "a"], 2, "one file, interface or stack at a time"),
                ([path_of("absent")], 1, "No such file or directory"),
                ([FOLDER.name], 1, "braid dump: "),
                ([BRAID], 1, "it is no capture"),
                ([truncated], 1, "truncated"),
                ([unknown], 1, "link type")):
            done = dump(*arguments)
            self.assertEqual(done.returncode, status, arguments)
            self.assertIn(message, done.stderr)
            self.assertEqual(done.stderr == "", status == 0)

    def test_standard_input(self):
        with open(path_of("ipv4.pcap"), "rb") as file:
            done = dump("-", stdin=file)
        self.assertEqual(done.stdout, dump(path_of("ipv4.pcap")).stdout)

    def test_output_that_fails(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([BRAID, "dump", path_of("ipv4.pcap")], stdout=full,
                                  stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("could not be written", done.stderr)

    def test_dispatcher(self):
        def braid(*arguments):
            return subprocess.run([BRAID, *arguments], capture_output=True, text=True)
        self.assertEqual(braid("--version").stdout.split()[0], "braid")
        self.assertIn("dump", braid("--help").stdout)
        self.assertEqual(braid().returncode, 2)
        self.assertEqual(braid("frobnicate").returncode, 2)
        self.assertIn("frobnicate", braid("frobnicate").stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])

#!/usr/bin/env python3
"""What `braid ladder` and `braid plot` make of a capture.

    check_ladder.py BRAID

The capture is made here: an association with two paths, a loss, a needless retransmission, a
failover and its end, and a packet out of the blue.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

from sctp_capture import Capture, chunk, data, init, ipv4, sack, sctp

BRAID = sys.argv[1]
FOLDER = tempfile.TemporaryDirectory()
A = ["10.0.0.1", "10.1.0.1"]
B = ["10.0.0.2", "10.1.0.2"]
TAG_A, TAG_B = 0x11111111, 0x22222222
TSN_A, TSN_B = 0xFFFFFFFE, 500  # A's wrap around


def path_of(name):
    return os.path.join(FOLDER.name, name)


def from_a(*chunks, path=0, tag=TAG_B):
    return ipv4(A[path], B[path], sctp(4000, 5000, tag, *chunks))


def from_b(*chunks, path=0, tag=TAG_A):
    return ipv4(B[path], A[path], sctp(5000, 4000, tag, *chunks))


def tsn(number):
    return (TSN_A + number - 1) & 0xFFFFFFFF


def make_capture():
    capture = Capture(path_of("made.pcap"))
    frames = [
        from_a(init(1, TAG_A, TSN_A, A), tag=0),
        from_b(init(2, TAG_B, TSN_B, B)),
        from_a(chunk(10, b"cookie")),
        from_b(chunk(11)),
        from_a(data(tsn(1)), data(tsn(2))),
        from_a(data(tsn(3), stream=7)),      # lost
        from_a(data(tsn(4), flags=7)),
        from_b(sack(tsn(2), [(2, 2)])),
        from_a(data(tsn(3), stream=7)),
        from_b(sack(tsn(4))),
        from_a(chunk(4, b"\0\1\0\5x"), path=1),
        from_b(chunk(5, b"\0\1\0\5x"), path=1),
        from_a(data(tsn(5), flags=2), path=1),   # the other path; it arrives, but its SACK does not
        from_a(data(tsn(5), flags=2), path=0),
        from_b(sack(tsn(5), twice=[tsn(5)], a_rwnd=0)),
        from_a(chunk(7, b"\0\0\1\363")),
        from_b(chunk(8)),
        from_a(chunk(14)),
        ipv4("10.0.0.9", B[0], sctp(1, 2, 77, chunk(8))),
    ]
    for number, frame in enumerate(frames):
        capture.add(1000 + number * 0.01 + (1.5 if number >= 10 else 0), frame)
    return capture.close()


CAPTURE = make_capture()


def braid(*arguments, status=0, **options):
    done = subprocess.run([BRAID, *arguments], capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == status, (done.returncode, done.stderr)
    return done


def page_data(path):
    with open(path, encoding="utf-8") as file:
        page = file.read()
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1]), page


class Text(unittest.TestCase):
    def setUp(self):
        self.lines = braid("ladder", "--width", "100", CAPTURE).stdout.splitlines()

    def line(self, text):
        found = [line for line in self.lines if text in line]
        self.assertEqual(len(found), 1, f"{text}: {found}")
        return found[0]

    def test_lanes(self):
        self.assertIn("10.0.0.1:4000", self.lines[1])
        self.assertIn("10.1.0.2:5000", self.lines[2])

    def test_order_of_time(self):
        self.assertRegex(self.lines[3], r"^ *0\.000000  ├.*INIT .*▶")
        self.assertRegex(self.line("INIT ACK"), r"^ *0\.010000  │?◀.*┤")

    def test_states(self):
        self.assertEqual(self.lines[4].count("◆"), 1)
        self.assertIn("COOKIE-WAIT", self.lines[4])
        self.assertIn("SHUTDOWN-ACK-SENT", "\n".join(self.lines))

    def test_tsns_count_from_one(self):
        self.line("DATA 1-2 s0")
        self.line("SACK 2 +4")
        self.assertIn(f"DATA {TSN_A}-{TSN_A + 1} s0", braid("ladder", "--absolute", CAPTURE).stdout)

    def test_loss_and_retransmission(self):
        lost, again = [line for line in self.lines if "DATA 3 s7" in line]
        self.assertIn("✗", lost)
        self.assertTrue(lost.endswith("lost"))
        self.assertIn("╌", again)
        self.assertTrue(again.endswith("retransmission"))

    def test_what_had_arrived_is_not_lost(self):
        first, again = [line for line in self.lines if "DATA 5 s0" in line]
        self.assertNotIn("lost", first)
        self.assertIn("other path", first)
        self.assertIn("retransmission, had arrived, other path", again)

    def test_window(self):
        self.assertTrue(self.line("SACK 5 twice 5 no room").endswith("zero window"))

    def test_unordered_and_fragments(self):
        self.line("DATA 4 s0 unordered")
        self.assertEqual(sum("DATA 5 s0 first" in line for line in self.lines), 2)

    def test_silence_is_folded(self):
        self.line("1.510 s")

    def test_out_of_the_blue(self):
        self.assertIn("association 2: 10.0.0.9 port 1 - 10.0.0.2 port 2 (out of the blue)", self.lines)

    def test_one_association(self):
        self.assertNotIn("INIT", braid("ladder", "-a", "2", CAPTURE).stdout)
        self.assertIn("there is no association 3, but 2", braid("ladder", "-a", "3", CAPTURE, status=1).stderr)

    def test_no_colour_in_a_pipe(self):
        self.assertNotIn("\033", "\n".join(self.lines))


class Drawings(unittest.TestCase):
    def test_svg(self):
        braid("ladder", CAPTURE, "-o", path_of("made.svg"))
        root = xml.etree.ElementTree.parse(path_of("made.svg")).getroot()
        texts = ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]
        self.assertIn("DATA 1-2 s0", texts)
        self.assertIn("lost", texts)
        self.assertIn("ESTABLISHED", texts)

    def test_page(self):
        braid("ladder", CAPTURE, "-o", path_of("made.html"))
        content, page = page_data(path_of("made.html"))
        self.assertEqual(len(content["packets"]), 19)
        self.assertEqual(len(content["associations"]), 2)
        self.assertEqual(content["associations"][0]["sides"][1]["addresses"], B)
        self.assertNotIn("http://", page.replace("http://www.w3.org/", ""))
        self.assertNotIn("https://", page)

    def test_names_cannot_break_the_page(self):
        path = path_of("a</script><b>&.pcap")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(CAPTURE, "rb") as source, open(path, "wb") as target:
            target.write(source.read())
        braid("ladder", path, "-o", path_of("named.html"))
        self.assertEqual(page_data(path_of("named.html"))[0]["title"], "script><b>&.pcap")
        braid("ladder", path, "-o", path_of("named.svg"))
        xml.etree.ElementTree.parse(path_of("named.svg"))

    def test_plot(self):
        svg = braid("plot", CAPTURE).stdout
        root = xml.etree.ElementTree.fromstring(svg)
        texts = ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]
        for text in ("Association 1: from 10.0.0.1 port 4000 to 10.0.0.2 port 5000", "TSN", "bytes in flight",
                     "a_rwnd, bytes", "round-trip time, ms", "to 10.1.0.2"):
            self.assertIn(text, texts)
        drawn = {element.get("class") for element in root.iter("{http://www.w3.org/2000/svg}path") if element.get("d")}
        self.assertLessEqual({"mark data dots few", "mark again", "mark lost", "mark ack", "mark gap dots few"}, drawn)
        other = braid("plot", "--from", "second", CAPTURE).stdout
        self.assertIn("from 10.0.0.2 port 5000", other)


class TwoPoints(unittest.TestCase):
    """Both hosts' captures merged: what left one came to the other 2 ms later."""

    WAY = 0.002

    def make(self, name, seen_twice=True):
        events = []  # when it was sent, the frame, whether the network lost it, or doubled it
        for number in range(10):
            events.append((number * 0.02, from_a(data(tsn(number + 1))), number == 3, number == 5))
            events.append((number * 0.02 + self.WAY, from_b(sack(tsn(number + 1 if number < 3 else 3), a_rwnd=9000 - number)), False, False))
        events.append((0.072, from_a(data(tsn(4))), False, False))  # 12 ms later: again, to the last byte
        events.append((0.2, from_b(sack(tsn(10))), False, False))
        seen = []
        for time, frame, lost, doubled in events:
            seen.append((time, frame))
            if seen_twice and not lost:
                seen.append((time + self.WAY, frame))
            if doubled:
                seen.append((time + self.WAY + 0.0001, frame))
        capture = Capture(path_of(name))
        for time, frame in sorted(seen, key=lambda one: one[0]):
            capture.add(1000 + time, frame)
        return capture.close()

    def test_once(self):
        path = self.make("two.pcap")
        done = braid("ladder", "--width", "120", path)
        self.assertIn("21 packets were captured at two points; each is shown once", done.stderr)
        lines = [line for line in done.stdout.splitlines() if "DATA" in line]
        self.assertEqual(len(lines), 12, done.stdout)
        self.assertEqual(sum("+2.000 ms" in line for line in done.stdout.splitlines()), 21)
        fourth = [line for line in lines if "DATA 4 " in line]
        self.assertTrue(fourth[0].endswith("lost"), fourth)
        self.assertIn("retransmission", fourth[1])
        self.assertTrue(fourth[1].endswith("+2.000 ms"), fourth)
        # the network's duplicate is one
        self.assertEqual(sum("DATA 6 " in line for line in lines), 2)
        self.assertEqual(sum("retransmission" in line for line in lines), 2)

    def test_drawings(self):
        path = self.make("two.pcap")
        braid("ladder", path, "-o", path_of("two.html"))
        packets = page_data(path_of("two.html"))[0]["packets"]
        self.assertEqual(packets[0][16:18], [2, 2000])
        braid("ladder", path, "-o", path_of("two.svg"))
        with open(path_of("two.svg"), encoding="utf-8") as file:
            self.assertEqual(file.read().count("+2.000 ms"), 21)

    def test_one_point(self):
        done = braid("ladder", self.make("one.pcap", seen_twice=False))
        self.assertEqual(done.stderr, "")
        self.assertEqual(sum("DATA" in line for line in done.stdout.splitlines()), 12)


class BadInput(unittest.TestCase):
    def commands(self, path, *arguments):
        for command in (["ladder"], ["ladder", "-o", path_of("bad.svg")], ["ladder", "-o", path_of("bad.html")],
                        ["plot"]):
            yield command + [path, *arguments]

    def test_no_capture(self):
        for command in self.commands(__file__):
            self.assertRegex(braid(*command, status=1).stderr, "^braid (ladder|plot): .*: it is no capture")

    def test_no_file(self):
        for command in self.commands(path_of("none")):
            self.assertIn("No such file", braid(*command, status=1).stderr)

    def test_nothing_to_read(self):
        for path, reason in (("/dev/null", "it is empty"), (FOLDER.name, "Is a directory")):
            for command in [["dump", path], *self.commands(path)]:
                self.assertIn(reason, braid(*command, status=1).stderr)

    def test_standard_input(self):
        with open(CAPTURE, "rb") as file:
            self.assertIn("INIT ACK", braid("ladder", "-", stdin=file).stdout)

    def test_cut_in_the_middle(self):
        path = path_of("cut.pcap")
        with open(CAPTURE, "rb") as source, open(path, "wb") as target:
            target.write(source.read()[:-70])
        for command in self.commands(path):
            self.assertIn("what stands before that was read", braid(*command, status=1).stderr)
        self.assertIn("INIT ACK", braid("ladder", path, status=1).stdout)

    def test_no_sctp(self):
        capture = Capture(path_of("udp.pcap"))
        frame = bytearray(ipv4("10.0.0.1", "10.0.0.2", b"\0\1\0\2\0\10\0\0"))
        frame[9] = 17
        capture.add(1, bytes(frame))
        for command in self.commands(capture.close()):
            self.assertIn("no SCTP packets in 1 frames", braid(*command, status=1).stderr)

    def test_malformed_packets(self):
        capture = Capture(path_of("malformed.pcap"))
        capture.add(1, ipv4(A[0], B[0], b"\0\1\0\2"))
        good = sctp(1, 2, 3, data(1))
        capture.add(2, ipv4(A[0], B[0], good[:-1] + b"!"))
        capture.add(3, ipv4(A[0], B[0], sctp(1, 2, 3, b"\0\3\377\377abcd")))
        capture.add(4, ipv4(A[0], B[0], sctp(1, 2, 3)))
        done = braid("ladder", capture.close())
        self.assertIn("1 packets were too short", done.stderr)
        self.assertIn("bad checksum", done.stdout)
        self.assertEqual(done.stdout.count("malformed"), 2)

    def test_limit(self):
        done = braid("ladder", "--limit", "4", CAPTURE)
        self.assertIn("the first 4 SCTP packets were read, 15 more were not", done.stderr)
        self.assertNotIn("DATA", done.stdout)

    def test_usage(self):
        for arguments in (["ladder"], ["ladder", "a", "b"], ["ladder", "-o", "x.png", CAPTURE], ["plot"],
                          ["ladder", "--width", "3", CAPTURE], ["plot", "--from", "third", CAPTURE]):
            self.assertIn("--help", braid(*arguments, status=2).stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])

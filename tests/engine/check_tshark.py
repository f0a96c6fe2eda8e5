#!/usr/bin/env python3
"""What two engines say to each other over a bad network, as tshark reads it.

    check_tshark.py TEST_PROGRAM [CHUNK_TYPE...]

Lets the program write a capture of a whole transfer: two paths, loss, duplicates, reordering.
tshark must find every CRC32c right (RFC 9260 appendix A) and nothing malformed, and must see the
association from its INIT to its end, or chunks of the given types. Skipped without tshark.
"""
import os
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
CHECKSUM_GOOD = "1"
CHUNKS_EXPECTED = {"0": "DATA", "1": "INIT", "2": "INIT ACK", "3": "SACK", "4": "HEARTBEAT",
                   "5": "HEARTBEAT ACK", "7": "SHUTDOWN", "8": "SHUTDOWN ACK", "10": "COOKIE ECHO",
                   "11": "COOKIE ACK", "14": "SHUTDOWN COMPLETE"}


def main():
    if not shutil.which("tshark"):
        print("tshark is not installed")
        return SKIPPED
    with tempfile.TemporaryDirectory() as directory:
        capture = os.path.join(directory, "transfer.pcapng")
        subprocess.run([sys.argv[1], capture], check=True, timeout=60,
                       env=dict(os.environ, CAPTURE=capture))
        read = subprocess.run(
            ["tshark", "-r", capture, "-o", "sctp.checksum:CRC 32c", "-T", "fields",
             "-e", "sctp.checksum.status", "-e", "sctp.chunk_type", "-e", "_ws.malformed"],
            check=True, timeout=120, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    seen = set()
    packets = read.stdout.splitlines()
    for number, line in enumerate(packets, 1):
        checksum, chunks, malformed = (line.split("\t") + ["", ""])[:3]
        if set(checksum.split(",")) != {CHECKSUM_GOOD} or malformed:
            print(f"packet {number}: checksum {checksum}, {malformed}")
            return 1
        seen.update(chunks.split(","))
    expected = {number: number for number in sys.argv[2:]} or CHUNKS_EXPECTED
    missing = [name for number, name in expected.items() if number not in seen]
    print(f"{len(packets)} packets")
    if missing:
        print("tshark saw no " + ", ".join(missing))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

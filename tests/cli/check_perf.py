#!/usr/bin/env python3
"""braid perf: server and client over loopback, what they print, and what they say when it goes wrong.

    check_perf.py BRAID
"""
import json
import signal
import socket
import subprocess
import sys

SECONDS = 60  # for one command, whatever happens


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(braid, *arguments):
    return subprocess.run([braid, "perf", *arguments], capture_output=True, text=True, timeout=SECONDS)


def client(braid, port, *arguments):
    result = run(braid, "client", "127.0.0.1", "--udp", str(port), "--duration", "0.3", *arguments)
    assert result.returncode == 0, result.stderr
    assert result.stderr == "", result.stderr
    return result.stdout


def check_all(braid, port):
    found = json.loads(client(braid, port, "--size", "200", "--streams", "7", "--json"))
    assert found["size"] == 200 and found["streams"] == 7, found
    assert found["messages"] > 0 and found["bytes"] == found["messages"] * 200, found
    assert abs(found["bits_per_second"] / (found["messages_per_second"] * 1600) - 1) < 0.01, found
    assert abs(found["messages"] / found["seconds"] / found["messages_per_second"] - 1) < 0.01, found
    latency = found["latency"]
    order = ["minimum", "median", "percentile_90", "percentile_99", "percentile_99_9", "maximum"]
    times = [latency[name] for name in order]
    assert latency["round_trips"] > 1 and times[0] > 0, latency
    # a percentile is the beginning of a class of 1/64
    assert all(a <= b * 65 / 64 for a, b in zip(times, times[1:])), latency
    assert found["setup"]["associations"] >= 1 and found["setup"]["associations_per_second"] > 0, found


def check_variants(braid, port):
    for arguments in (["--unordered", "--streams", "3", "--associations", "5"],
                      ["--size", "100000", "--buffer", "50000", "--mtu", "1280"],
                      ["--size", "1"]):
        found = json.loads(client(braid, port, "--only", "throughput", "--json", *arguments))
        assert found["messages"] > 0 and "latency" not in found and "setup" not in found, found
    text = client(braid, port, "--only", "latency")
    assert text.startswith("latency") and "throughput" not in text, text


def check_errors(braid, port):
    unused = free_port()
    for arguments, status, words in (
            (["client", "127.0.0.1", "--udp", str(unused)], 1, "is 'braid perf server' running"),
            (["server", "--udp", str(port)], 1, "in use"),
            (["client"], 2, "which host"),
            (["client", "127.0.0.1", "--size", "0"], 2, "'0' is not a number"),
            (["client", "127.0.0.1", "--only", "love"], 2, "there is no test 'love'"),
            (["both"], 2, "say 'server'")):
        result = run(braid, *arguments)
        assert result.returncode == status and words in result.stderr, (arguments, result)
    assert "--duration" in run(braid, "--help").stdout


def main():
    braid, port = sys.argv[1], free_port()
    server = subprocess.Popen([braid, "perf", "server", "--udp", str(port)], stdout=subprocess.PIPE, text=True)
    try:
        assert f"UDP port {port}" in server.stdout.readline()
        check_all(braid, port)
        check_variants(braid, port)
        check_errors(braid, port)
    finally:
        server.send_signal(signal.SIGTERM)
        rest, _ = server.communicate(timeout=SECONDS)
    assert server.returncode == 0, server.returncode
    assert rest.count("messages/s") == 8, rest


if __name__ == "__main__":
    main()

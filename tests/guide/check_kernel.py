#!/usr/bin/env python3
"""The examples of the guide on Linux's own SCTP, unchanged: its kernel at the one end, Braid at the other, both ways.

Each end must send the chunks that the guide's captures show, but for what scripts/captures leaves out (when SACKs and
HEARTBEATs go), and for the addresses.
"""
import importlib.machinery
import importlib.util
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "system"))
import guest  # noqa: E402
from harness import BUILD, SKIPPED, Failure, Namespace, Stack, main, need_root  # noqa: E402

_loader = importlib.machinery.SourceFileLoader("captures", os.path.join(TOP, "scripts", "captures"))
captures = importlib.util.module_from_spec(importlib.util.spec_from_loader("captures", _loader))
_loader.exec_module(captures)

HOST, GUEST = "10.8.0.1", "10.8.0.2"
# Not: those of two addresses (tests/system has multi-homing with the kernel).
RUNS = [run for run in captures.RUNS if run[0] not in captures.TWO_ADDRESSES]


def addressed(command, address):
    """A client's command, to another server than the guide's."""
    return [address if word == captures.HOST else word for word in command]


def kept(sent):
    """Of each end, in the order in which they came: the types of chunks, and of DATA the stream and how much of it in all. Flags
    may differ: who asks for a SACK at once (the I bit) is each stack's own choice. So may where a message is cut: Linux
    cuts it into pieces of the same size, Braid also so that a piece fills a packet."""
    result = []
    for chunks in sent.values():
        result.append([])
        for kind, _, stream, size in chunks:
            last = result[-1][-1] if result[-1] else None
            if kind == "DATA" and last and last[:2] == (kind, stream):
                result[-1][-1] = (kind, stream, last[2] + size)
            else:
                result[-1].append((kind, stream, size))
    return result


def compare(name, stack):
    made = kept(captures.chunks_of(name, stack.capture))
    wanted = kept(captures.chunks_of(name, os.path.join(captures.CAPTURES, name + ".pcapng")))
    if made != wanted:
        return f"{name}: {made} in place of {wanted}"
    return None


def kernel_serves(machine, run):
    name, server, clients = run
    stack = Stack("--raw", "--no-udp", namespace=machine.namespace)
    if server:
        machine.run(f"timeout 30 {' '.join(server)} >/tmp/server 2>&1 &")
        machine.wait_for_port(captures.PORT)
    for client in clients:
        words = addressed(client, GUEST)
        stack.run(captures.program(words), *words[1:], status=1 if name in captures.REFUSED else 0)
    if server:
        machine.run(f"for i in $(seq 20); do pidof {server[0]} >/dev/null || break; usleep 100000; done; killall {server[0]} "
                    "2>/dev/null; wait", status=None)
    return name, stack


def kernel_calls(machine, run):
    name, server, clients = run
    stack = Stack("--raw", "--no-udp", namespace=machine.namespace)
    waiting = None
    if server:
        waiting = stack.start(captures.program(server), *server[1:])
        waiting.wait_for("waiting")
    for client in clients:
        machine.run("timeout 30 " + " ".join(addressed(client, HOST)), status=1 if name in captures.REFUSED else 0)
    if waiting:
        try:
            waiting.process.wait(2)
        except Exception:  # it serves for ever
            waiting.stop()
    return name, stack


def both_ways():
    namespace = Namespace()
    programs = {command[0] for _, server, clients in RUNS for command in [server, *clients] if command}
    machine = guest.Guest(namespace, links=(((f"{GUEST}/24",), (f"{HOST}/24",)),),
                          programs=[captures.program([name]) for name in sorted(programs)])
    machine.namespace = namespace
    wrong = []
    for way in (kernel_serves, kernel_calls):
        for run in RUNS:
            name, stack = way(machine, run)
            problem = compare(name, stack)
            if problem:
                wrong.append(f"{way.__name__}, {problem}")
            stack.stop()
    if wrong:
        raise Failure("\n".join(wrong))


if __name__ == "__main__":
    need_root()
    if not guest.available():
        print("there is no kernel to boot: scripts/install-dependencies test fetches it")
        sys.exit(SKIPPED)
    main([both_ways])

#!/usr/bin/env python3
"""Two stack processes on two hosts, associations that come and go between them, and a network that fails again and again.

    soak.py [--minutes N] [--associations N] [--stack-build DIRECTORY] [--seed N]

So many associations are under way at a time, each of a program of its own, which sends messages, takes them back, looks at
each, and ends. Meanwhile the packet filters of both hosts lose packets, or cut the cable for a moment. Then all must have
gone well, both stacks must have no association left and little more memory than at the start, and end without a leak (that
is seen if DIRECTORY, where `braid` is taken from for the stacks, is a build with AddressSanitizer)."""
import argparse
import os
import random
import sys
import time

import harness
from harness import TRANSFER, Namespace, Stack, check, join, main, need_root, wait_for_link

PORT = 5001
GROWTH = 48 << 20  # bytes that a stack may have more at the end than after its first round
FAULTS = ["", "numgen random mod 100 < 2 drop", "numgen random mod 100 < 10 drop", "drop"]

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--minutes", type=float, default=0.5)
options.add_argument("--associations", type=int, default=200)
options.add_argument("--stack-build", default=harness.BUILD)
options.add_argument("--seed", type=int, default=int(time.time()))
options = options.parse_args()


def set_fault(namespace, rule):
    namespace.run("nft", "flush chain ip bad in; " + (f"add rule ip bad in udp dport 9899 {rule}" if rule else ""))


def memory(stack):
    """Bytes of the stack process, which `timeout` has started."""
    with open(f"/proc/{stack.process.process.pid}/task/{stack.process.process.pid}/children", encoding="ascii") as file:
        child = int(file.read().split()[0])
    with open(f"/proc/{child}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmRSS:"))


def associations(stack):
    return sum(len(socket["associations"]) for socket in stack.status()["sockets"])


class Soak:
    def __init__(self):
        self.random = random.Random(options.seed)
        self.hosts = Namespace(), Namespace()
        join(*self.hosts, "10.9.0.1/24", "10.9.0.2/24")
        wait_for_link(self.hosts[0])
        for host in self.hosts:
            host.run("nft", "add table ip bad; add chain ip bad in { type filter hook input priority 0; }")
        # AddressSanitizer keeps what was freed: not so much that growth is not seen
        os.environ.setdefault("ASAN_OPTIONS", "quarantine_size_mb=16")
        harness.BRAID = os.path.join(options.stack_build, "braid")
        self.stacks = [Stack("--udp", "9899", namespace=host, capture=False, seconds=int(options.minutes * 60) + 400)
                       for host in self.hosts]
        harness.BRAID = os.path.join(harness.BUILD, "braid")
        self.server = self.stacks[0].start(TRANSFER, "-m", "-c", 1_000_000, "echo-server", PORT,
                                           seconds=int(options.minutes * 60) + 400)
        self.server.wait_for("ready")
        self.clients = []
        self.done = 0

    def start_client(self):
        size = self.random.choice([100, 1000, 1400, 5000, 30000])
        total = size * self.random.randint(1, 40)
        self.clients.append(self.stacks[1].start(TRANSFER, "-m" if self.random.random() < 0.3 else "-r", "echo", "10.9.0.1",
                                                 PORT, total, size, self.random.randint(1, 9), seconds=350))

    def reap(self):
        """Looks at the clients that have ended."""
        for client in [client for client in self.clients if client.process.poll() is not None]:
            said = client.wait()
            check("good" in said and "BAD" not in said, said)
            client.output_file.close()
            harness._started.remove(client)
            self.clients.remove(client)
            self.done += 1

    def run(self):
        first, peak, faults = None, 0, 0
        end = time.monotonic() + options.minutes * 60
        change = time.monotonic() + 2
        while time.monotonic() < end:
            for _ in range(min(20, options.associations - len(self.clients))):
                self.start_client()
            self.reap()
            peak = max(peak, associations(self.stacks[0]))
            if first is None and self.done >= options.associations // 2:
                first = [memory(stack) for stack in self.stacks]
            if time.monotonic() > change:
                fault = self.random.choice(FAULTS)
                for host in self.hosts:
                    set_fault(host, fault if self.random.random() < 0.8 else "")
                change = time.monotonic() + (self.random.uniform(0.2, 2) if fault == "drop" else self.random.uniform(1, 5))
                faults += 1
            time.sleep(0.05)
        for host in self.hosts:
            set_fault(host, "")
        for client in self.clients:
            client.process.wait()
        self.reap()
        return first or [memory(stack) for stack in self.stacks], peak, faults

    def finish(self, first):
        """Nothing is left, and nothing has grown."""
        end = time.monotonic() + 60
        while any(associations(stack) for stack in self.stacks):
            check(time.monotonic() < end, "associations are left: " + str([stack.status() for stack in self.stacks])[:2000])
            time.sleep(0.5)
        last = [memory(stack) for stack in self.stacks]
        self.server.stop()
        for stack in self.stacks:
            stack.stop()
            check(stack.process.process.returncode == 0, f"a stack ended with {stack.process.end_of_output()}")
        for before, after in zip(first, last):
            check(after < before + GROWTH, f"a stack grew from {before >> 20} to {after >> 20} MiB")
        return last


def soak():
    run = Soak()
    first, peak, faults = run.run()
    last = run.finish(first)
    print(f"{run.done} associations, up to {peak} at a time, {faults} changes of the network (seed {options.seed}); memory "
          f"of the stacks: {[size >> 20 for size in first]} MiB, then {[size >> 20 for size in last]} MiB", flush=True)


if __name__ == "__main__":
    need_root()
    sys.argv = sys.argv[:1]
    main([soak])

"""A Linux kernel with its own SCTP, in a virtual machine: QEMU without hardware help, Debian's kernel, busybox, and
programs of the tests. Its network is a tap device in a namespace of the test.

Commands go in by the serial console, a line each; what they say comes back the same way.
"""
import gzip
import os
import re
import stat

from harness import BUILD, TRANSFER, Failure, Process, check, directory, run

KERNEL = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "braid", "kernel")
BUSYBOX = next((p for p in ("/bin/busybox", "/usr/bin/busybox") if os.path.exists(p)), None)

INIT = """#!/bin/sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
# the list is not in the order in which they need each other
for turn in 1 2 3; do
    for module in $(cat /modules/list); do insmod /modules/$module.ko 2>/dev/null; done
done
ip link set lo up
{network}
echo 1 > /proc/sys/net/sctp/addip_noauth_enable
stty -echo
echo READY
while read -r line; do
    sh -c "$line" </dev/null 2>&1
    echo "EXIT $?"
done
poweroff -f
"""


def available():
    return BUSYBOX and os.path.exists(os.path.join(KERNEL, "release"))


def _entry(name, mode, content=b"", device=(0, 0)):
    """A file in the form "newc" of cpio(5)."""
    encoded = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(encoded), 0)
    entry = b"070701" + b"".join(b"%08X" % f for f in fields) + encoded
    entry += b"\0" * (-len(entry) % 4) + content
    return entry + b"\0" * (-len(entry) % 4)


def _folders(name):
    parts = name.split("/")[:-1]
    return ["/".join(parts[:i + 1]) for i in range(len(parts))]


def _with_libraries(programs):
    """The files that these programs need, by the names that they look for."""
    files = {}
    for path in programs:
        files[f"bin/{os.path.basename(path)}"] = path
        for library in re.findall(r"(/\S+) \(0x", run(["ldd", path])):
            # what we built stands where every program looks
            files[f"lib/{os.path.basename(library)}" if library.startswith(BUILD) else library.lstrip("/")] = library
    return files


def _archive(path, network, programs, more):
    def read(file):
        with open(file, "rb") as opened:
            return opened.read()

    program = stat.S_IFREG | 0o755
    entries = [_entry(d, stat.S_IFDIR | 0o755) for d in ("bin", "dev", "proc", "sys", "modules", "tmp")]
    entries.append(_entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)))
    entries.append(_entry("dev/null", stat.S_IFCHR | 0o666, device=(1, 3)))
    entries.append(_entry("bin/busybox", program, read(BUSYBOX)))
    entries.append(_entry("bin/sh", stat.S_IFLNK | 0o777, b"busybox"))
    files = {**_with_libraries([TRANSFER, *programs]), **more}
    folders = {folder for name in files for folder in _folders(name)} - {"bin"}
    entries += [_entry(folder, stat.S_IFDIR | 0o755) for folder in sorted(folders)]
    entries += [_entry(name, program, read(file)) for name, file in files.items()]
    entries.append(_entry("init", program, INIT.format(network=network).encode()))
    entries.append(_entry("modules/list", stat.S_IFREG | 0o644, read(os.path.join(KERNEL, "modules"))))
    for name in read(os.path.join(KERNEL, "modules")).decode().split():
        entries.append(_entry(f"modules/{name}.ko", stat.S_IFREG | 0o644, read(os.path.join(KERNEL, f"{name}.ko"))))
    entries.append(_entry("TRAILER!!!", 0))
    with gzip.open(path, "wb", compresslevel=1) as archive:
        archive.write(b"".join(entries))


class Guest:
    """Each of `links` has addresses of the guest and of the other end, which is a device tap0, tap1 of `namespace`;
    `programs` are in the machine's path, `files` where they say: {name there: file here}."""

    def __init__(self, namespace, links=((("10.8.0.2/24", "fd08::2/64"), ("10.8.0.1/24", "fd08::1/64")),), seconds=400,
                 programs=(), files=None):
        self.namespace = namespace
        self.ipv4, self.ipv6 = ([a.split("/")[0] for link in links[:1] for a in link[0]] + [None, None])[:2]
        self.commands = 0
        network, devices = [], []
        # Without offloads each packet has its checksums when it leaves the guest.
        plain = "csum=off,gso=off,guest_csum=off,host_tso4=off,host_tso6=off,guest_tso4=off,guest_tso6=off,mrg_rxbuf=off"
        for number, (ours, theirs) in enumerate(links):
            namespace.run("ip", "tuntap", "add", f"tap{number}", "mode", "tap")
            for address in theirs:
                namespace.run("ip", "address", "add", address, "dev", f"tap{number}", *(["nodad"] if ":" in address else []))
            namespace.run("ip", "link", "set", f"tap{number}", "up")
            network.append(f"echo 0 > /proc/sys/net/ipv6/conf/eth{number}/accept_dad")
            network.append(f"ip link set eth{number} up")
            network += [f"ip address add {address} dev eth{number}" for address in ours]
            devices += ["-netdev", f"tap,id=net{number},ifname=tap{number},script=no,downscript=no",
                        "-device", f"virtio-net-pci,netdev=net{number},romfile=,{plain}"]
        archive = os.path.join(directory(), "guest.gz")
        _archive(archive, "\n".join(network), programs, files or {})
        self.process = Process(
            ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "256", "-nographic", "-no-reboot", "-nodefaults",
             "-kernel", os.path.join(KERNEL, "vmlinuz"), "-initrd", archive, "-append", "console=ttyS0 quiet panic=-1",
             "-serial", "stdio", *devices], seconds, namespace=namespace)
        # the whole line: what is left of it would be what the first command said
        self.process.wait_for(r"READY\r?\n", seconds=120)

    def state(self):
        """For who reads why a test failed: does it live, does it answer, and what does its SCTP count?"""
        if self.process.process.poll() is not None:
            return f"has ended: {self.process.end_of_output()}"
        try:
            return "lives: " + self.run("cat /proc/net/sctp/assocs /proc/net/sctp/snmp /proc/loadavg; ps | tail -n 3", seconds=20)
        except Failure as failure:
            return f"does not answer: {failure}"

    def answers_ping(self):
        """False: its network is dead, and no SCTP is to blame."""
        ping = Process([BUSYBOX, "ping", "-c", "1", "-w", "20", self.ipv4], namespace=self.namespace)
        ping.wait(None)
        return ping.process.returncode == 0

    def begin(self, command):
        """Runs a command of the guest's shell; finish() has its outcome."""
        before = len(self.process.output())
        self.process.write(command + "\n")
        return before

    def finish(self, before, seconds=90):
        """What the command said, and its exit status."""
        self.commands += 1
        self.process.wait_for(r"(?m)^EXIT \d+\r?\n", seconds=seconds, times=self.commands)
        said, status = re.match(r"(?s)(.*?)EXIT (\d+)\r?\n", self.process.output()[before:]).groups()
        return said.replace("\r", ""), int(status)

    def run(self, command, status=0, seconds=90):
        said, got = self.finish(self.begin(command), seconds)
        check(status is None or got == status, f"in the guest: {command}: exit status {got}: {said}")
        return said

    def wait_for_port(self, port, seconds=20):
        """Until the kernel has an endpoint at a port."""
        said = self.run(f"for i in $(seq {seconds * 10}); do cut -c-60 /proc/net/sctp/eps | grep -q ' {port} ' && exit 0; "
                        "usleep 100000; done; exit 1", status=None)
        if " " in said.strip():
            raise Failure(said)

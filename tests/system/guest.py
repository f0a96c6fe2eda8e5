"""A Linux kernel with its own SCTP, in a virtual machine: QEMU without hardware help, Debian's kernel, busybox, and
programs of the tests. Its network is a tap device in a namespace of the test.

Commands go in by the serial console, a line each; what they say comes back the same way.
"""
import gzip
import os
import re
import stat

from harness import TRANSFER, Failure, Process, check, directory, run

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
echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad
ip link set lo up
ip link set eth0 up
ip address add {ipv4}/24 dev eth0
ip address add {ipv6}/64 dev eth0
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
            files[library.lstrip("/")] = library
    return files


def _archive(path, ipv4, ipv6, programs):
    def read(file):
        with open(file, "rb") as opened:
            return opened.read()

    program = stat.S_IFREG | 0o755
    entries = [_entry(d, stat.S_IFDIR | 0o755) for d in ("bin", "dev", "proc", "sys", "modules", "tmp")]
    entries.append(_entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)))
    entries.append(_entry("dev/null", stat.S_IFCHR | 0o666, device=(1, 3)))
    entries.append(_entry("bin/busybox", program, read(BUSYBOX)))
    entries.append(_entry("bin/sh", stat.S_IFLNK | 0o777, b"busybox"))
    files = _with_libraries([TRANSFER, *programs])
    folders = {folder for name in files for folder in _folders(name)} - {"bin"}
    entries += [_entry(folder, stat.S_IFDIR | 0o755) for folder in sorted(folders)]
    entries += [_entry(name, program, read(file)) for name, file in files.items()]
    entries.append(_entry("init", program, INIT.format(ipv4=ipv4, ipv6=ipv6).encode()))
    entries.append(_entry("modules/list", stat.S_IFREG | 0o644, read(os.path.join(KERNEL, "modules"))))
    for name in read(os.path.join(KERNEL, "modules")).decode().split():
        entries.append(_entry(f"modules/{name}.ko", stat.S_IFREG | 0o644, read(os.path.join(KERNEL, f"{name}.ko"))))
    entries.append(_entry("TRAILER!!!", 0))
    with gzip.open(path, "wb", compresslevel=1) as archive:
        archive.write(b"".join(entries))


class Guest:
    """`namespace` gets a device `tap0` with the other end's addresses; `programs` are in the machine's path."""

    def __init__(self, namespace, ipv4="10.8.0.2", ipv6="fd08::2", host_ipv4="10.8.0.1", host_ipv6="fd08::1", seconds=400,
                 programs=()):
        self.ipv4, self.ipv6 = ipv4, ipv6
        self.commands = 0
        namespace.run("ip", "tuntap", "add", "tap0", "mode", "tap")
        namespace.run("ip", "address", "add", f"{host_ipv4}/24", "dev", "tap0")
        namespace.run("ip", "address", "add", f"{host_ipv6}/64", "dev", "tap0", "nodad")
        namespace.run("ip", "link", "set", "tap0", "up")
        archive = os.path.join(directory(), "guest.gz")
        _archive(archive, ipv4, ipv6, programs)
        # Without offloads each packet has its checksums when it leaves the guest.
        plain = "csum=off,gso=off,guest_csum=off,host_tso4=off,host_tso6=off,guest_tso4=off,guest_tso6=off,mrg_rxbuf=off"
        self.process = Process(
            ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "256", "-nographic", "-no-reboot", "-nodefaults",
             "-kernel", os.path.join(KERNEL, "vmlinuz"), "-initrd", archive, "-append", "console=ttyS0 quiet panic=-1",
             "-serial", "stdio", "-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no",
             "-device", f"virtio-net-pci,netdev=net,romfile=,{plain}"], seconds, namespace=namespace)
        self.process.wait_for("READY", seconds=120)

    def begin(self, command):
        """Runs a command of the guest's shell; finish() has its outcome."""
        before = len(self.process.output())
        self.process.write(command + "\n")
        return before

    def finish(self, before, seconds=90):
        """What the command said, and its exit status."""
        self.commands += 1
        self.process.wait_for(r"(?m)^EXIT \d+\r?$", seconds=seconds, times=self.commands)
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

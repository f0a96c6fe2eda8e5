#!/usr/bin/env python3
"""What is installed, in a folder of its own (DESTDIR), works there: programs run under it, and a program that embeds the engine
is compiled against it, shared and static.

    check_install.py BUILD EMBED.C
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

SECONDS = 60  # for one command, whatever happens


def run(*command, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=SECONDS, **options)
    assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
    return result.stdout


def install(build, destination):
    # Everything is built already, and Meson keeps a log beside the build: not as root's, if a user builds there.
    run("meson", "install", "-C", build, "--no-rebuild", "--quiet", env={**os.environ, "DESTDIR": str(destination)})
    options = json.loads(run("meson", "introspect", build, "--buildoptions"))
    values = {option["name"]: option["value"] for option in options}
    prefix = values["prefix"]
    # nothing outside the prefix: whoever may write there can install
    files = [path for path in destination.rglob("*") if not path.is_dir()]
    assert files and all(path.is_relative_to(f"{destination}/{prefix}") for path in files), files
    assert any(path.name == "braid-stack.service" for path in files), files
    return {name: pathlib.Path(f"{destination}/{pathlib.Path(prefix) / values[name]}") for name in
            ("bindir", "libdir", "includedir", "mandir", "datadir")}


def check_files(places):
    for path in ("bindir/braid", "includedir/braid/engine.h", "includedir/braid/address.h", "libdir/libbraid.a", "libdir/libbraid.so",
                 "libdir/pkgconfig/braid.pc", "libdir/braid/libbraid-preload.so", "libdir/braid/libsctp.so.1", "mandir/man1/braid.1",
                 "mandir/man1/braid-run.1", "mandir/man7/braid.7", "datadir/bash-completion/completions/braid",
                 "datadir/zsh/site-functions/_braid", "datadir/fish/vendor_completions.d/braid.fish"):
        place, rest = path.split("/", 1)
        assert (places[place] / rest).exists(), path
    page = run("man", "-P", "cat", "-l", places["mandir"] / "man1/braid-run.1", env={**os.environ, "MANWIDTH": "80"})
    assert "run a program whose SCTP sockets are Braid" in page, page


def check_symbols(places):
    """What engine.h declares is in the library, and nothing else is."""
    header = (places["includedir"] / "braid/engine.h").read_text()
    names = run("nm", "--dynamic", "--defined-only", places["libdir"] / "libbraid.so").split()[2::3]
    assert names and all(name in header for name in names), names
    for line in header.split("BRAID_PUBLIC ")[1:]:
        if "(" in line and not line.startswith("__attribute__"):
            name = line.split("(")[0].split()[-1].lstrip("*")
            assert name in names, name


def check_embedding(places, source, destination, work):
    environment = {**os.environ, "PKG_CONFIG_SYSROOT_DIR": str(destination),
                   "PKG_CONFIG_PATH": str(places["libdir"] / "pkgconfig")}
    header = work / "header.cc"
    header.write_text("#include <braid/engine.h>\n")
    run("c++", "-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", f"-I{places['includedir']}", header)
    for static in (False, True):
        flags = run("pkg-config", "--cflags", "--libs", *(["--static"] if static else []), "braid", env=environment).split()
        if static:
            flags = [str(places["libdir"] / "libbraid.a") if flag == "-lbraid" else flag for flag in flags]
        program = work / f"embed-{static}"
        run("cc", "-Wall", "-Wextra", "-Werror", "-o", program, source, *flags)
        libraries = "" if static else str(places["libdir"])
        assert run(program, env={**os.environ, "LD_LIBRARY_PATH": libraries}) == "hello, engine\n"


def check_run(places, build, work):
    braid, name, port = places["bindir"] / "braid", f"install-{os.getpid()}", 20000 + os.getpid() % 20000
    log = work / "server"
    with open(log, "w", encoding="utf-8") as output:
        server = subprocess.Popen([braid, "run", "--name", name, "--udp", str(port), f"{build}/examples/echo_server", "5000"],
                                  stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + SECONDS
        while "waiting" not in log.read_text():
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        maps = pathlib.Path(f"/proc/{server.pid}/maps").read_text()
        assert str(places["libdir"] / "braid/libbraid-preload.so") in maps, maps
        answer = run(braid, "run", "--name", name, f"{build}/examples/echo_client", "127.0.0.1", "5000", "hello")
        assert "hello\n" in answer, answer
    finally:
        server.kill()
        server.wait()
        subprocess.run([braid, "stack", "--name", name, "--stop"], check=False)


def main():
    build, source = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        destination = work / "root"
        places = install(build, destination)
        check_files(places)
        check_symbols(places)
        check_embedding(places, source, destination, work)
        check_run(places, build, work)


main()

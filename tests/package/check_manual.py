#!/usr/bin/env python3
"""Each command has a manual page, each page is installed, and each names the options that --help names, and no others.

    check_manual.py BRAID FOLDER
"""
import pathlib
import re
import subprocess
import sys


def help_of(braid, *command):
    return subprocess.run([braid, *command, "--help"], capture_output=True, text=True, timeout=20, check=True).stdout


def options_in_help(text):
    """{"--json", "-v", ...}: of lines that begin with options. One that takes something has it: "--name ARG"."""
    found = set()
    for line in text.splitlines():
        if not re.match(r"\s+--?[a-z]", line):
            continue
        # the explanation begins after two spaces, or after the one behind an argument
        head = re.match(r"\s+((?:-[a-z], )?--[a-z0-9-]+(?: \[?[A-Z]+\]?|\[=[A-Z]+\])?(?:, --[a-z0-9-]+(?: [A-Z]+)?)*)", line).group(1)
        takes = re.search(r"(?: \[?|\[=)[A-Z]", head) is not None
        for option in re.findall(r"(?<![\w-])--?[a-z0-9][a-z0-9-]*", head):
            found.add(option + (" ARG" if takes else ""))
    return found


def options_in_page(text):
    found = set()
    for line in re.findall(r"^\.It (Fl .*)$", text, re.MULTILINE):
        takes = re.search(r"\bAr\b", line) is not None
        for option in re.findall(r"Fl ([a-z0-9-]+)", line):
            found.add("-" + option + (" ARG" if takes else ""))
    return found


def main():
    braid, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    text = help_of(braid)
    summaries = dict(re.findall(r"^  ([a-z]+)  +(.+)$", text, re.MULTILINE))
    assert {"run", "stack", "ss"} <= summaries.keys(), text
    pages = {page.name for page in folder.glob("*.[1-8]")}
    assert pages == {"braid.1", "braid.7"} | {f"braid-{name}.1" for name in summaries}, pages
    installed = set(re.findall(r"'([^']+\.[1-8])'", (folder / "meson.build").read_text()))
    assert installed == pages, installed ^ pages

    overview = (folder / "braid.1").read_text()
    for name in summaries:
        assert f".Xr braid-{name} 1" in overview, f"braid(1) says nothing of {name}"
        page = (folder / f"braid-{name}.1").read_text()
        told, written = options_in_help(help_of(braid, name)), options_in_page(page)
        assert "--help" in told, told
        assert told == written, f"braid {name}: only in --help {sorted(told - written)}, only in the page {sorted(written - told)}"
    for page in pages:
        text = (folder / page).read_text()
        assert re.match(r"\.Dd .*\n\.Dt [A-Z-]+ [1-8]\n\.Os\n\.Sh NAME\n\.Nm \S+\n\.Nd ", text), page
        name = page.rsplit(".", 1)[0]
        assert f".Nm {name}\n" in text, page
        for other, section in re.findall(r"^\.Xr (braid[a-z-]*) ([1-8])", text, re.MULTILINE):
            assert f"{other}.{section}" in pages, f"{page} points to {other}({section})"


main()

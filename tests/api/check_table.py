#!/usr/bin/env python3
"""docs/api.md beside what there is: its rows are complete, true to differences.txt, and exercised by the tests that they name.

Prints how many rows a test exercises. Exits with 1 if a row is missing or wrong.
"""
import fnmatch
import glob
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
# in the kernel's header, and no option of a program's: what libsctp makes its calls of, the kernel itself, and old names
INTERNAL = {"SCTP_SOCKOPT_BINDX_ADD", "SCTP_SOCKOPT_BINDX_REM", "SCTP_SOCKOPT_PEELOFF", "SCTP_SOCKOPT_PEELOFF_FLAGS",
            "SCTP_GET_PEER_ADDRS", "SCTP_GET_LOCAL_ADDRS", "SCTP_SOCKOPT_CONNECTX", "SCTP_SOCKOPT_CONNECTX_OLD",
            "SCTP_SOCKOPT_CONNECTX3", "SCTP_SENDMSG_CONNECT", "SCTP_DELAYED_ACK", "SCTP_DELAYED_ACK_TIME",
            "SCTP_EXPOSE_PF_STATE"}


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def rows():
    """name -> (what Braid has, the folders of its tests)"""
    found = {}
    for line in read("docs", "api.md").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            found[cells[0].strip("`")] = cells[3], re.findall(r"`([^`]+)`", cells[4])
    return found


def words(folder):
    """What the test programs of a folder use. Comments do not count."""
    text = ""
    for path in glob.glob(os.path.join(ROOT, folder, "*.[ch]")):
        text += re.sub(r"/\*.*?\*/|//[^\n]*", " ", read(path), flags=re.S)
    return set(re.findall(r"\w+", text))


def header():
    """The options and notifications of the kernel's header."""
    with open("/usr/include/linux/sctp.h", encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", " ", file.read(), flags=re.S)
    options = text[text.index("#define SCTP_RTOINFO"):text.index("#define SCTP_PR_SCTP_NONE")]
    notifications = text[text.index("SCTP_SN_TYPE_BASE"):text.index("SCTP_SN_TYPE_MAX")]
    return set(re.findall(r"#define (SCTP_\w+)", options)) - INTERNAL | (
        set(re.findall(r"^\s+(SCTP_\w+)", notifications, flags=re.M)) - {"SCTP_DATA_IO_EVENT"})


def wrong(table):
    patterns = [line.strip() for line in read("tests", "api", "differences.txt").splitlines()
                if line.strip() and not line.startswith("#")]
    probed = {line.split(":")[0].split()[1] for line in read("tests", "api", "linux-6.1.txt").splitlines()
              if line.startswith(("get ", "set "))}
    for name in sorted(probed - set(table) - {"SCTP_NOT_AN_OPTION", "TCP_NODELAY"}):
        yield f"{name}: the probe asks for it, and docs/api.md does not have it"
    for name in sorted(probed & set(table)):
        differs = any(fnmatch.fnmatchcase(f"{call} {name}", p) for p in patterns for call in ("get", "set"))
        if differs == (table[name][0] == "yes"):
            yield f"{name}: docs/api.md says '{table[name][0]}', but differences.txt {'has it' if differs else 'does not'}"
    for name in sorted(header() - set(table)):
        yield f"{name}: Linux's header has it, and docs/api.md does not"


def main():
    table = rows()
    used = {folder: words(folder) for _, folders in table.values() for folder in folders}
    without = [name for name, (_, folders) in table.items() if not any(name in used[folder] for folder in folders)]
    mistakes = list(wrong(table))
    print(f"docs/api.md: {len(table) - len(without)} of {len(table)} rows are exercised by a test")
    for name in without:
        print(f"  no test: {name}")
    for mistake in mistakes:
        print(f"  {mistake}")
    sys.exit(1 if mistakes else 0)


if __name__ == "__main__":
    main()

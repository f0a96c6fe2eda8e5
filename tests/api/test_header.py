#!/usr/bin/env python3
"""Our <netinet/sctp.h> and libsctp.so.1 beside Debian's: macros, constants, structures, prototypes, symbols.

A program that was written for the one must compile with the other, and one that was compiled with the one must run with the
other. What Debian's header does not have must not be in ours either, but for what NEW lists.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
from harness import BUILD, SKIPPED, check, directory, main  # noqa: E402

OURS = os.path.join(HERE, "..", "..", "include")
DEBIAN = "/usr/include"
LANGUAGES = [["-xc", "-std=gnu90"], ["-xc", "-std=c17"]] + ([["-xc++", "-std=gnu++17"]] if shutil.which("g++") else [])
NEW = {"BRAID_NETINET_SCTP_H", "sctp_sendx"}  # RFC 6458, 9.11: not in Debian's


def gcc(*arguments, source="", directory_of_headers=None, status=0):
    include = ["-I", directory_of_headers] if directory_of_headers and directory_of_headers != DEBIAN else []
    result = subprocess.run(["gcc", *include, *arguments, "-"], input=source, capture_output=True, text=True,
                            check=False)
    check(result.returncode == status, result.stderr[:1500])
    return result.stdout


def macros(headers, source):
    text = gcc("-E", "-dM", "-xc", source=source, directory_of_headers=headers)
    return dict(re.match(r"#define (\S+) ?(.*)", line).groups() for line in text.splitlines())


def of_header(headers):
    """The macros that the header itself defines."""
    before = macros(headers, "#include <netinet/in.h>\n#include <sys/uio.h>\n#include <stdint.h>\n#include <linux/types.h>\n"
                    "#include <sys/socket.h>\n")
    after = macros(headers, "#include <netinet/in.h>\n#include <sys/uio.h>\n#include <netinet/sctp.h>\n")
    return {name: value for name, value in after.items() if name not in before and not name.startswith("_")}


def preprocessed(headers):
    """The declarations that stand in <netinet/sctp.h> and <linux/sctp.h>."""
    text = gcc("-E", "-xc", source="#include <netinet/in.h>\n#include <netinet/sctp.h>\n", directory_of_headers=headers)
    parts = re.split(r'^# \d+ "([^"]*)".*$', text, flags=re.M)
    return "\n".join(body for file, body in zip(parts[1::2], parts[2::2])
                     if file.endswith(("netinet/sctp.h", "linux/sctp.h")))


def bodies(text, keyword):
    """name -> what stands between the braces."""
    found, anonymous = {}, 0
    for match in re.finditer(keyword + r"\s+(\w*)\s*\{", text):
        depth, at = 1, match.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        name = match.group(1)
        if not name:
            anonymous += 1
        found[name or f"#{anonymous}"] = text[match.end():at - 1]
    return found


def members(body):
    """The names of a structure's members, of its unions' and inner structures' too where they can be named."""
    flat = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", body, flags=re.S)
    flat = re.sub(r"(struct|union)\s*\w*\s*\{[^{}]*\}\s*(?=\w)", "int ", flat)
    flat = re.sub(r"(struct|union)\s*\w*\s*\{([^{}]*)\}\s*;", r"\2", flat)
    return [re.search(r"(\w+)\s*(\[[^\]]*\]\s*)?$", part.strip()).group(1) for each in flat.split(";") if each.strip()
            for part in each.split(",")]


def layout(headers, structures):
    """Size of each structure, offset and size of each member."""
    lines = []
    for name, names in structures.items():
        lines.append(f'printf("{name} %zu\\n", sizeof(struct {name}));')
        for member in names:
            lines.append(f'printf("{name}.{member} %zu\\n", offsetof(struct {name}, {member}));')
    source = ("#include <netinet/in.h>\n#include <stddef.h>\n#include <stdio.h>\n#include <netinet/sctp.h>\nint main(void) {"
              + "\n".join(lines) + "}\n")
    program = os.path.join(directory(), "layout")
    gcc("-xc", "-o", program, source=source, directory_of_headers=headers)
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()


def same_macros():
    ours, theirs = of_header(OURS), of_header(DEBIAN)
    check(len(theirs) > 100, f"only {len(theirs)} macros in Debian's header")
    check({n: v for n, v in ours.items() if n not in NEW} == theirs,
          f"macros differ: {sorted(set(ours.items()) ^ set(theirs.items()))}")
    print(f"{len(theirs)} macros")


def same_constants():
    names = sorted({name for body in bodies(preprocessed(DEBIAN), "enum").values()
                    for name in re.findall(r"(\w+)\s*(?:=[^,]*)?(?:,|$)", re.sub(r"\s+", " ", body).strip())})
    check(len(names) > 60, f"only {len(names)} constants in Debian's header")
    source = ("#include <netinet/in.h>\n#include <stdio.h>\n#include <netinet/sctp.h>\nint main(void) {"
              + "".join(f'printf("{n} %d\\n", (int){n});\n' for n in names) + "}\n")
    said = []
    for headers in (OURS, DEBIAN):
        program = os.path.join(directory(), "constants")
        gcc("-xc", "-o", program, source=source, directory_of_headers=headers)
        said.append(subprocess.run([program], capture_output=True, text=True, check=True).stdout)
    check(said[0] == said[1], f"constants differ:\n{said[0]}\n{said[1]}")
    print(f"{len(names)} constants")


def same_structures():
    structures = {name: members(body) for name, body in bodies(preprocessed(DEBIAN), "struct").items()
                  if not name.startswith("#")}
    check(len(structures) > 40, f"only {len(structures)} structures in Debian's header")
    ours, theirs = layout(OURS, structures), layout(DEBIAN, structures)
    check(ours == theirs, f"structures differ: {sorted(set(ours) ^ set(theirs))}")
    print(f"{len(structures)} structures, {sum(map(len, structures.values()))} members")


def prototypes(headers):
    text = re.sub(r"\s+", " ", preprocessed(headers))
    return {name: whole for whole, name in re.findall(r"(int (sctp_\w+) ?\([^;{}]*\)) ?;", text)}


def same_prototypes():
    ours, theirs = prototypes(OURS), prototypes(DEBIAN)
    check(len(theirs) > 12 and set(theirs) == set(ours) - NEW, f"functions differ: {sorted(set(theirs) ^ set(ours))}")
    # said twice, differently, they do not compile
    gcc("-xc", "-fsyntax-only", "-Werror", directory_of_headers=OURS,
        source="#include <netinet/in.h>\n#include <netinet/sctp.h>\n" + "".join(f"{p};\n" for p in theirs.values()))
    print(f"{len(theirs)} functions")


def includable():
    """First, last, twice, before <netinet/in.h>, after <linux/in.h>, and from C90 with extensions to C++."""
    for source in ("#include <netinet/sctp.h>\n#include <netinet/in.h>\n", "#include <netinet/in.h>\n#include <netinet/sctp.h>\n",
                   "#include <netinet/sctp.h>\n#include <netinet/sctp.h>\n", "#include <linux/in.h>\n#include <netinet/sctp.h>\n",
                   "#include <netinet/sctp.h>\n#include <netinet/tcp.h>\n#include <arpa/inet.h>\n#include <netdb.h>\n"):
        for language in LANGUAGES:
            gcc("-fsyntax-only", "-Wall", "-Werror", *language, source=source + "int protocol = IPPROTO_SCTP + SOL_SCTP;\n",
                directory_of_headers=OURS)


def same_symbols():
    def symbols(library):
        said = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
        return {word for line in said.splitlines() for word in line.split()[2:] if re.match("sctp_.*@", word)}

    debian = glob.glob("/usr/lib/*/libsctp.so.1")
    check(debian, "Debian's libsctp1 is not installed")
    theirs, ours = symbols(debian[0]), symbols(os.path.join(BUILD, "src", "libsctp", "libsctp.so.1"))
    check(theirs and theirs <= ours, f"symbols that only Debian's has: {sorted(theirs - ours)}")
    print(f"{len(theirs)} symbols with their versions")


if __name__ == "__main__":
    if not os.path.exists(os.path.join(DEBIAN, "netinet", "sctp.h")):
        print("there is no libsctp-dev to compare with: scripts/install-dependencies test installs it")
        sys.exit(SKIPPED)
    main([same_macros, same_constants, same_structures, same_prototypes, includable, same_symbols])

#!/usr/bin/env python3
"""embed.py INPUT OUTPUT NAME: a text file as a C string in a header, for programs that carry it with them."""
import sys


def escaped(byte):
    if byte in b'"\\?' or not 32 <= byte < 127:
        return f"\\{byte:03o}"
    return chr(byte)


source, target, name = sys.argv[1:]
with open(source, "rb") as file:
    lines = file.read().splitlines(keepends=True)
with open(target, "w", encoding="ascii") as file:
    file.write(f"/* Made from {source.rsplit('/', 1)[-1]} by embed.py. */\nstatic const char {name}[] =\n")
    for line in lines:
        file.write('    "' + "".join(map(escaped, line)) + '"\n')
    file.write("    ;\n")

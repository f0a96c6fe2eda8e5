#!/usr/bin/env python3
"""Is the guide true? What its pages quote stands where they say, and what they tell to type works.

    check_guide.py quotes       code, bytes and links of docs/guide/*.md
    check_guide.py commands     runs every command of the pages, in a network namespace; needs root
"""
import glob
import os
import re
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("BRAID_BUILD", os.path.join(TOP, "build")))
CAPTURES = os.path.join(TOP, "docs", "captures")
INDEX = os.path.join(CAPTURES, "index.md")
PAGES = sorted(glob.glob(os.path.join(TOP, "docs", "guide", "*.md"))) + [INDEX]
LINK = re.compile(r"!?\[[^]]*\]\(([^)#]+)[^)]*\)")
SKIPPED = 77


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", read(page), re.S | re.M)


def targets(page):
    """The files that a page links to."""
    for target in LINK.findall(read(page)):
        if "://" not in target:
            yield os.path.normpath(os.path.join(os.path.dirname(page), target))


def check_quotes():
    wrong, quotes = [], 0
    for page in PAGES:
        name = os.path.basename(page)
        linked = list(targets(page))
        wrong += [f"{name}: there is no {os.path.relpath(path, TOP)}" for path in linked if not os.path.exists(path)]
        sources = [read(path) for path in linked if path.endswith((".c", ".h")) and os.path.exists(path)]
        for quote in blocks(page, "c"):
            quotes += 1
            if not any(quote in source for source in sources):
                wrong.append(f"{name}: no program that it links to has\n{quote}")
        captures = [open(path, "rb").read() for path in linked if path.endswith(".pcapng") and os.path.exists(path)]
        for quote in blocks(page, "hex"):
            quotes += 1
            if not any(bytes.fromhex(quote) in capture for capture in captures):
                wrong.append(f"{name}: no capture that it links to has the bytes\n{quote}")
    told = set(targets(INDEX))
    wrong += [f"index.md does not tell of {os.path.relpath(capture, TOP)}"
              for capture in glob.glob(os.path.join(CAPTURES, "*.pcapng")) if capture not in told]
    if quotes < 20:
        wrong.append(f"only {quotes} quotes were found")
    print(f"{len(PAGES)} pages, {quotes} quotes")
    return wrong


def start_server(command, folder):
    """Starts it and waits until it says that it waits, or has ended. On a busy machine the server of the block before may still
    be ending: then it is started again, as people do."""
    end = time.monotonic() + 20
    while True:
        output = tempfile.TemporaryFile("w+")
        process = subprocess.Popen(["sh", "-c", "exec " + command], cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        while "waiting" not in output_of(output) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        if "Address already in use" not in output_of(output) or time.monotonic() > end:
            return process, output
        time.sleep(0.5)


def run_block(block, folder):
    """Runs the commands of a block. What is printed between them must be said by one of them."""
    background, said = [], ""
    expected = [line for line in block.splitlines() if not line.startswith("$ ")]
    try:
        for line in block.splitlines():
            if not line.startswith("$ "):
                continue
            command = line[2:]
            if command.endswith("&"):
                process, output = start_server(command[:-1], folder)
                background.append((process, output))
                if "waiting" not in output_of(output):
                    return f"{command}: {output_of(output)}"
                continue
            done = subprocess.run(command, shell=True, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, timeout=100, check=False)
            said += done.stdout
            if done.returncode != 0:
                return f"{command}: {done.returncode}: {done.stdout[-1500:]}"
        for process, _ in background:
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                pass
        said += "".join(output_of(output) for _, output in background)
        missing = [line for line in expected if line not in said]
        return f"nobody said {missing}, but\n{said}" if missing else None
    finally:
        for process, output in background:
            if process.poll() is None:
                process.terminate()
                process.wait(10)
            output.close()


def output_of(file):
    file.flush()
    return os.pread(file.fileno(), 1 << 20, 0).decode(errors="replace")


def check_commands():
    if os.geteuid() != 0:
        print("this needs root")
        sys.exit(SKIPPED)
    if "CHECK_GUIDE_INSIDE" not in os.environ:
        # A network of its own, in which the demonstrations may make others.
        os.environ["CHECK_GUIDE_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh", sys.executable,
                              os.path.abspath(__file__), "commands"])
    wrong, commands = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for entry in os.listdir(TOP):
            if entry not in (".git", "build"):
                os.symlink(os.path.join(TOP, entry), os.path.join(folder, entry))
        os.symlink(BUILD, os.path.join(folder, "build"))
        for page in PAGES:
            for block in blocks(page, "console"):
                commands += block.count("$ ")
                problem = run_block(block, folder)
                if problem:
                    wrong.append(f"{os.path.basename(page)}: {problem}")
        subprocess.run([os.path.join(BUILD, "braid"), "stack", "--stop"], check=False)
    print(f"{commands} commands")
    return wrong


if __name__ == "__main__":
    problems = {"quotes": check_quotes, "commands": check_commands}[sys.argv[1]]()
    for text in problems:
        print(text)
    sys.exit(1 if problems else 0)

"""What `make guide` adds to what mkdocs does: the drawings' pages, and the programs that pages link to.

Under each drawing of a capture stand links to the page in which its packets can be looked into, and to the capture. A link to
a program leads to a page with its text.
"""
import html
import os
import re
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BRAID = os.path.join(os.environ.get("BRAID_BUILD", os.path.join(TOP, "build")), "braid")
CAPTURE = re.compile(r"^(!\[[^]]*\]\((\S+/captures/)([\w-]+)(?<!-plot)\.svg\))$", re.M)
LISTED = re.compile(r"^\[drawing\]\(([\w-]+)\.svg\)", re.M)
PROGRAM = re.compile(r"\[([^]]+)\]\((?:\.\./)+((?:examples|include)/[\w./-]+\.[ch])\)")
SOURCE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>
<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">
<style>body {{ max-width: 60em; margin: 2em auto; padding: 0 1em; font: 14px/1.5 ui-monospace, monospace; }}
pre {{ overflow-x: auto; font: inherit; }}</style><h1>{name}</h1><pre>{text}</pre></html>
"""

_captures, _programs = set(), set()


def on_page_markdown(markdown, page, **_):
    def links(match):
        _captures.add(match[3])
        url = match[2] + match[3]
        return (f'{match[1]}\n\n<p class="capture"><a href="{url}.html">look into the packets</a> · '
                f'<a href="{url}.pcapng">{match[3]}.pcapng</a></p>')

    def program(match):
        _programs.add(match[2])
        return f'<a href="../{match[2]}.html">{match[1]}</a>'

    def listed(match):
        _captures.add(match[1])
        return f'<a href="{match[1]}.html">look into the packets</a> · {match[0]}'

    if page.file.src_uri == "captures/index.md":
        markdown = LISTED.sub(listed, markdown)
    return CAPTURE.sub(links, PROGRAM.sub(program, markdown))


def on_post_build(config, **_):
    site = config["site_dir"]
    for name in sorted(_captures):
        subprocess.run([BRAID, "ladder", os.path.join(TOP, "docs", "captures", name + ".pcapng"),
                        "-o", os.path.join(site, "captures", name + ".html")], check=True)
    for path in sorted(_programs):
        target = os.path.join(site, path + ".html")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(os.path.join(TOP, path), encoding="utf-8") as source, open(target, "w", encoding="utf-8") as page:
            page.write(SOURCE.format(name=html.escape(os.path.basename(path)), text=html.escape(source.read())))

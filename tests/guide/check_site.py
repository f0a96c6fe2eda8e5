#!/usr/bin/env python3
"""The guide as a site, and the pages of `braid ladder`, in a browser.

    check_site.py BRAID

Builds the site, opens each of its pages, follows every link; clicks and types through a ladder page; opens one of 100,000
packets. Screenshots go to screenshots/ in the build folder.
"""
import html.parser
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / "guide"), str(TOP / "tests" / "cli")]
from browser import Browser, available  # noqa: E402
from sctp_capture import Capture, data, init, chunk, ipv4, sack, sctp  # noqa: E402

BRAID = os.path.abspath(sys.argv[1])
BUILD = os.path.dirname(BRAID)
SCREENSHOTS = pathlib.Path(BUILD) / "screenshots"
FOLDER = tempfile.TemporaryDirectory()
SITE = pathlib.Path(FOLDER.name) / "site"
MANY = 100_000


class Links(html.parser.HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found, self.identifiers = set(), set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src") and value:
                self.found.add(value)
            if name == "id":
                self.identifiers.add(value)


def make_large_capture():
    capture = Capture(os.path.join(FOLDER.name, "large.pcap"))
    a, b = ("10.0.0.1", "10.0.0.2")
    capture.add(1, ipv4(a, b, sctp(4000, 5000, 0, init(1, 1, 1))))
    capture.add(1, ipv4(b, a, sctp(5000, 4000, 1, init(2, 2, 1))))
    capture.add(1, ipv4(a, b, sctp(4000, 5000, 2, chunk(10, b"cookie"))))
    capture.add(1, ipv4(b, a, sctp(5000, 4000, 1, chunk(11))))
    for number in range(1, (MANY - 4) // 2 + 1):
        capture.add(1 + number * 0.001, ipv4(a, b, sctp(4000, 5000, 2, data(number, stream=number % 8, payload=b"x" * 64))))
        capture.add(1 + number * 0.001 + 0.0004, ipv4(b, a, sctp(5000, 4000, 1, sack(number))))
    return capture.close()


class Site(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        subprocess.run(["mkdocs", "build", "--quiet", "--strict", "--site-dir", str(SITE)], cwd=TOP, check=True,
                       env=dict(os.environ, BRAID_BUILD=BUILD))

    def test_no_dead_link(self):
        pages = {page: Links(page) for page in SITE.rglob("*.html")}
        self.assertGreater(len(pages), 30)
        for page, links in pages.items():
            for link in links.found:
                parts = urllib.parse.urlsplit(link)
                if link == "https://www.mkdocs.org/":  # the theme names its maker
                    continue
                if parts.scheme == "data" or link == "#" or (page.name == "404.html" and link.startswith("/")):
                    continue
                self.assertFalse(parts.scheme or parts.netloc, f"{page}: {link} leads elsewhere")
                target = (page.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else page
                if target.is_dir():
                    target /= "index.html"
                self.assertTrue(target.exists(), f"{page.relative_to(SITE)}: {link} leads nowhere")
                if parts.fragment and target in pages and "/captures/" not in str(target):
                    self.assertIn(parts.fragment, pages[target].identifiers, f"{page.name}: {link}")

    def test_pages_in_a_browser(self):
        browser = Browser()
        try:
            for page in sorted((SITE / "guide").glob("*.html")):
                browser.open(page.as_uri())
                self.assertEqual(browser.complaints(), [], page.name)
                broken = browser.run("return [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src)")
                self.assertEqual(broken, [], page.name)
                browser.screenshot(SCREENSHOTS / f"guide-{page.stem}.png")
        finally:
            browser.close()


class Ladder(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.capture = str(TOP / "docs" / "captures" / "03-data.pcapng")
        cls.page = pathlib.Path(FOLDER.name) / "ladder.html"
        subprocess.run([BRAID, "ladder", cls.capture, "-o", str(cls.page)], check=True)
        lines = subprocess.run([BRAID, "dump", "--json", cls.capture], check=True, capture_output=True, text=True).stdout
        cls.packets = [json.loads(line) for line in lines.splitlines()]
        cls.browser = Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()

    def setUp(self):
        self.browser.open("about:blank")
        self.browser.open(self.page.as_uri())

    def tearDown(self):
        self.assertEqual(self.browser.complaints(), [])

    def fields(self):
        return dict(self.browser.run("return [...document.querySelectorAll('.field')].map(f => [...f.children].map(c => c.textContent))"))

    def test_keys(self):
        self.browser.press("down")
        self.assertTrue(self.browser.text("#name").startswith("Frame 1: INIT"))
        self.browser.press("end")
        self.assertIn("SHUTDOWN COMPLETE", self.browser.text("#name"))
        self.browser.press("home", "down", "down", "down", "down")
        self.assertIn("DATA 1 s0", self.browser.text("#name"))
        self.browser.press("a")
        self.assertIn("SACK", self.browser.text("#name"))
        self.browser.screenshot(SCREENSHOTS / "ladder.png")

    def test_fields_are_those_of_dump(self):
        for number, packet in enumerate(self.packets):
            self.browser.press("home" if number == 0 else "down")
            fields = self.fields()
            self.assertEqual(fields["source port"], str(packet["source"]["port"]))
            self.assertEqual(fields["verification tag"], f"0x{packet['verification_tag']:08x}")
            last = packet["chunks"][-1]
            self.assertIn(last["type"], fields)
            for name, there in (("tsn", "TSN"), ("ssn", "SSN"), ("cumulative_tsn_ack", "cumulative TSN ack"),
                                ("a_rwnd", "a_rwnd"), ("initial_tsn", "initial TSN"), ("stream", "stream")):
                if name in last:
                    self.assertEqual(fields[there], str(last[name]), f"packet {number + 1}: {name}")
            shown = self.browser.run("return [...document.querySelectorAll('#bytes span')].length")
            self.assertEqual(shown, packet["length"])

    def test_mouse_and_bytes(self):
        self.browser.click("svg .row:nth-of-type(5) .label")
        self.assertIn("DATA", self.browser.text("#name"))
        lit = self.browser.run("""
            const field = [...document.querySelectorAll('.field')].find(f => f.textContent.startsWith('TSN'));
            field.dispatchEvent(new MouseEvent('mouseenter'));
            return [...document.querySelectorAll('#bytes .lit')].map(b => b.textContent).join('');""")
        self.assertEqual(int(lit, 16), self.packets[4]["chunks"][0]["tsn"])

    def test_filters(self):
        def count():
            return int(self.browser.text("#count").split()[0])
        self.assertEqual(count(), len(self.packets))
        self.browser.run("const s = document.getElementById('stream'); s.value = '2'; s.onchange()")
        self.assertEqual(count(), 1)
        self.browser.run("const s = document.getElementById('stream'); s.value = ''; s.onchange()")
        self.browser.press("/", *"shutdown")
        self.assertEqual(count(), 3)
        self.browser.press("escape", "down")
        self.assertIn("SHUTDOWN", self.browser.text("#name"))

    def test_narrow(self):
        """On a telephone the drawing fits: nothing is to be scrolled sideways."""
        self.browser.call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": {
            "width": 480, "height": 800, "deviceScaleFactor": 1, "mobile": False}})
        try:
            self.browser.open(self.page.as_uri())
            width, seen = self.browser.run("const box = document.getElementById('scroll'); return [box.scrollWidth, box.clientWidth];")
            self.assertEqual((width, seen), (480, 480))
            self.browser.screenshot(SCREENSHOTS / "ladder-narrow.png")
        finally:
            self.browser.call("POST", "/goog/cdp/execute", {"cmd": "Emulation.clearDeviceMetricsOverride", "params": {}})

    def test_dark(self):
        browser = Browser("--force-dark-mode", "--blink-settings=preferredColorScheme=0")
        try:
            browser.open(self.page.as_uri() + "#frame=5")
            self.assertIn("DATA", browser.text("#name"))
            browser.screenshot(SCREENSHOTS / "ladder-dark.png")
        finally:
            browser.close()

    def test_many_packets(self):
        page = pathlib.Path(FOLDER.name) / "large.html"
        subprocess.run([BRAID, "ladder", make_large_capture(), "-o", str(page)], check=True, timeout=60)
        start = time.monotonic()
        self.browser.open(page.as_uri())
        self.assertEqual(self.browser.text("#count"), f"{MANY} of {MANY} packets")
        opened = time.monotonic() - start
        self.browser.press("end")
        self.assertIn(f"SACK {(MANY - 4) // 2}", self.browser.text("#name"))
        print(f"{MANY} packets, {page.stat().st_size >> 20} MiB: opened in {opened:.1f} s", file=sys.stderr)
        self.assertLess(opened, 30)  # 3 s where nothing else runs


if __name__ == "__main__":
    if not available() or not shutil.which("mkdocs"):
        print("chromium, chromedriver or mkdocs is not installed")
        sys.exit(77)
    SCREENSHOTS.mkdir(exist_ok=True)
    unittest.main(argv=sys.argv[:1])

#!/usr/bin/python3
"""docs/conformance.md, docs/conformance-extensions.md: every sentence of an RFC that asks for something, and the test that shows it.

    check_conformance.py DOCUMENT BUILD           each test that is named exists, is in the list of its program, and was OK in the
                                                  last run of Meson as far as that has run it
    check_conformance.py DOCUMENT --rfc RFC...    each sentence of the RFCs' texts has its row, in order
    check_conformance.py --extract RFC9260        the rows without their tests: where the document comes from
"""
import argparse
import json
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
KEYWORD = r'\b(?:MUST|SHOULD|SHALL|REQUIRED|RECOMMENDED)\b'
BEFORE, FROM = 5, 6  # words that are quoted, before the keyword and from it on


# ---- The RFC ----

def paragraphs(text):
    section, lines = '', []
    for line in text.split('\n') + ['']:
        heading = re.match(r'([0-9]+(?:\.[0-9]+)*)\.\s\s?\S', line)
        if heading and not re.search(r'\d$', line.rstrip()):
            section, lines = heading.group(1), []
        elif line.strip():
            lines.append(line.strip())
        elif lines:
            yield section, ' '.join(lines)
            lines = []


def sentences(text):
    """Of each sentence that has a keyword the section, and a few words around it."""
    for section, paragraph in paragraphs(text):
        for sentence in re.split(r'(?<=[.:])\s+(?=[A-Z(*])', paragraph):
            found = re.search(KEYWORD, sentence)
            if found:
                words = sentence[:found.start()].split()[-BEFORE:] + sentence[found.start():].split()[:FROM]
                yield section, ' '.join(words).replace('|', '/').strip('.,;:-" ')


# ---- The document ----

def rows(document):
    for line in document.read_text().split('\n'):
        cells = [cell.strip() for cell in line.strip().strip('|').split(' | ')]
        if re.match(r'\| [0-9]+(\.[0-9]+)* \| ', line) and len(cells) == 3:
            yield cells


def names(document):
    """What is named in backticks: PROGRAM/TEST, or a packet script."""
    for section, words, shown in rows(document):
        found = re.findall(r'`([^`]+)`', shown)
        if not found and not shown.startswith('—'):
            yield section, words, None
        for name in found:
            yield section, words, name


# ---- The tests ----

def last_run(build):
    """Program, or folder of packet scripts, to the names of what was OK in it, and of what failed."""
    ran = {}
    log = build / 'meson-logs/testlog.json'
    for line in log.read_text().split('\n') if log.exists() else []:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # the last ones may not be there yet, nor whole
        output = (entry.get('stdout') or '') + (entry.get('stderr') or '')
        for part in entry['command']:
            program = pathlib.PurePath(part).name
            if program == 'packet_scripts':
                program = pathlib.PurePath(entry['command'][-1]).name
            elif not program.startswith('test_engine_'):
                program = None
            if program:
                good, bad = ran.setdefault(program, (set(), set()))
                good.update(re.findall(r'\[ +OK \] (\S+)', output))
                bad.update(re.findall(r'\[  FAILED  \] (\S+)$', output, re.M))
    return ran


def program_of(name):
    """That of a test; of a packet script its folder, None if there is no such script."""
    if '/' in name:
        return 'test_engine_' + name.split('/')[0]
    return next((path.parent.name for path in (TOP / 'tests/conformance').glob(f'*/{name}.script')), None)


def is_registered(name):
    """In the sources: a packet script that is there, or a test that is in the list of its program."""
    if '/' not in name:
        return program_of(name) is not None
    program, test = name.split('/')
    source = TOP / f'tests/engine/test_{program}.c'
    return source.exists() and re.search(rf'(peer_test|cmocka_unit_test\w*)\({test}\b', source.read_text()) is not None


def check_tests(document, build):
    ran, wrong, seen = last_run(build), 0, 0
    for section, words, name in names(document):
        if name is None:
            print(f'{section}, "{words}": neither a test nor a reason')
            wrong += 1
            continue
        if name == 'watcher':
            continue
        test = name.split('/')[-1]
        good, bad = ran.get(program_of(name), (set(), set()))
        seen += test in good
        if not is_registered(name):
            print(f'{section}, "{words}": there is no {name}')
            wrong += 1
        elif test in bad or (good and test not in good):
            print(f'{section}, "{words}": {name} was not OK')
            wrong += 1
    count = sum(1 for _ in rows(document))
    print(f'{count} sentences; {seen} times a test of the last run, {wrong} wrong')
    return wrong == 0 and count > 200


def check_rfc(document, texts):
    expected = [sentence for text in texts for sentence in sentences(text)]
    present = [tuple(row[:2]) for row in rows(document)]
    for sentence in expected:
        if sentence not in present:
            print(f'{sentence[0]}, "{sentence[1]}" has no row')
    return expected == present


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('document', nargs='?', type=pathlib.Path)
    parser.add_argument('build', nargs='?', type=pathlib.Path)
    parser.add_argument('--rfc', type=pathlib.Path, nargs='+')
    parser.add_argument('--extract', type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.extract:
        for section, words in sentences(arguments.extract.read_text()):
            print(f'| {section} | {words} | |')
        return 0
    if arguments.rfc:
        return 0 if check_rfc(arguments.document, [rfc.read_text() for rfc in arguments.rfc]) else 1
    if not arguments.document or not arguments.build:
        parser.error('DOCUMENT and BUILD are needed')
    return 0 if check_tests(arguments.document, arguments.build) else 1


if __name__ == '__main__':
    sys.exit(main())

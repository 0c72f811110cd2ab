#!/usr/bin/env python3
"""Fails if the documentation names a target or a test that does not exist, or a comment a section.

    doc_references_test.py [FOLDER]    the root of the sources

A label (//cmd:serf, //testing/...) that stands in .bazelrc or a .md file is one of a BUILD file, and a
path in backquotes (`serf/config.h`) is that of a source. In
docs/security.md each row of the tables below "What the tests hold" names tests, as `Suite.Name` of
GoogleTest or `//label` of a target.

A comment in a source cites the protocol as `docs/protocol/serf.md 3.6`, with further numbers behind it:
each is a heading of that page. A number in brackets without a page, as (3.6), says nothing to a reader.
"""
import glob
import os
import re
import sys

DOCUMENTS = [".bazelrc", "CONTRIBUTING.md", "README.md", "docs/*.md", "docs/protocol/*.md",
             "testing/README.md", "tools/README.md"]
SOURCE = re.compile(r"`((?:serf|transport|rpc|cmd|testing)/[\w./-]+\.(?:h|cc))`")
# Not ours, or no target.
FOREIGN = re.compile(r"^//(absl|visibility|external|conditions|tools/cpp)\b|.*:__(pkg|subpackages)__$")
LABEL = re.compile(r"(?<![\w:@/])//([a-z][\w/-]*)?((?:/?\.\.\.)|(?::[\w.%/-]*\w))?")
PROTOCOL = "docs/protocol/"
THIS = "testing/lint/doc_references_test.py"  # its own examples cite what does not exist
# A path, and what follows it of "3.6", "3.5.2 to 3.5.4", "appendix A", "4.3, 4.4 and 5".
SECTION = r"(?:[Aa]ppendix )?(?:[A-Z](?:\.\d+)*|\d+(?:\.\d+)*)(?![\w])"
CITATION = re.compile(r"docs/protocol/(\w+\.md)((?:(?:,| to| and|:)? %s)*)" % SECTION)
# Sections of other texts may stand in brackets behind their name.
BARE = re.compile(r"(?<!RFC \d\d\d\d )\((\d+\.\d+(?:\.\d+)?)(?:[,)]| to | and )")
COMMENT = re.compile(r"(?m)^[ \t]*(?://|#)(.*(?:\n[ \t]*(?://|#).*)*)|//(.*)$")
SECURITY = "docs/security.md"
HELD = "## What the tests hold"


def labels_of(text):
    """The labels that a text names, as (package, target or None or "...")."""
    for match in LABEL.finditer(text):
        package, target = match.group(1) or "", match.group(2)
        if FOREIGN.match(match.group()) or (not package and not target):
            continue
        yield match.group(), package.rstrip("/"), target and target.lstrip(":/")


def targets_of(build):
    """The names that a BUILD file declares, with what the macros add."""
    names = set(re.findall(r'\bname\s*=\s*"([^"]+)"', build))
    names |= {name + ".fuzzer" for name in names if name.endswith("_fuzz")}
    names |= set(re.findall(r'"([\w./-]+\.(?:json|md|sh|bzl))"', build))
    return names


def missing_labels(text, builds):
    """Those of the text's labels that no BUILD file of `builds` (package: text) declares."""
    for label, package, target in labels_of(text):
        if target == "...":
            if not any(name == package or name.startswith(package + "/") or not package
                       for name in builds):
                yield label
        elif package not in builds:
            yield label
        else:
            name = target or package.split("/")[-1]
            if name not in targets_of(builds[package]) and not name.endswith(".bzl"):
                yield label


def headings_of(page):
    """The numbers of a page's headings: "3", "3.6", "appendix A", "B.1"."""
    found = re.findall(r"(?m)^#+ (Appendix [A-Z]|[A-Z]\.\d+|\d+(?:\.\d+)*)\b", page)
    return {number.lower() for number in found}


def citation_faults(source, pages):
    """What is wrong with the citations of a source; `pages`: {"serf.md": headings}."""
    for match in COMMENT.finditer(source):
        comment = re.sub(r"\s*\n\s*(?://|#)\s*", " ", match.group(1) or match.group(2) or "")
        for page, numbers in CITATION.findall(comment):
            if page not in pages:
                yield "there is no docs/protocol/%s" % page
                continue
            for number in re.findall(SECTION, numbers):
                if number.lower() not in pages[page]:
                    yield "docs/protocol/%s has no section %s" % (page, number)
        for bare in BARE.findall(CITATION.sub("", comment)):
            yield "section (%s) of what?" % bare


def tests_of(source):
    """The GoogleTest cases of a source, as Suite.Name."""
    return {"%s.%s" % case
            for case in re.findall(r"\bTEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", source)}


def held(document):
    """The rows below HELD, as (line, text, [names of tests])."""
    text = document.split(HELD, 1)
    if len(text) < 2:
        return
    first = text[0].count("\n") + 1
    for number, line in enumerate(text[1].split("\n")):
        if line.startswith("## "):
            return
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or len(cells) < 2 or set(cells[1]) <= set("-: "):
            continue
        if cells[-1].lower() in ("tests", "test"):
            continue
        yield first + number, cells[0], re.findall(r"`([^`]+)`", cells[-1])


def missing_tests(document, tests):
    for line, what, names in held(document):
        if not names:
            yield "%s:%d: no test holds: %s" % (SECURITY, line, what)
        for name in names:
            if name.startswith("//") or name in tests:
                continue
            yield "%s:%d: there is no test %s" % (SECURITY, line, name)


def self_test():
    builds = {"a/b": 'cc(name = "b")\nserf_fuzz_test(\n    name = "x_fuzz",\n)', "": 'name = "serf"'}
    text = ("//a/b //a/b:b //a/b:x_fuzz.fuzzer, //a/... `//...` //:serf //absl/strings @x//y:z "
            "https://a/b //PACKAGE:x //a/b:y //a:b //c/... //visibility:public")
    got = list(missing_labels(text, builds))
    assert got == ["//a/b:y", "//a:b", "//c/..."], got
    document = ("| x | `No.Such` |\n" + HELD + "\n| statement | tests |\n|---|---|\n"
                "| a | `S.T`, `//a/b` |\n| b | `S.U` |\n| c | by hand |\n## More\n| d | `S.V` |\n")
    got = list(missing_tests(document, tests_of("TEST_F(S,\n T) {}")))
    assert len(got) == 2 and "S.U" in got[0] and got[1].endswith("no test holds: c"), got
    pages = {"serf.md": headings_of("## 3. A\n### 3.6 B\n## Appendix A. C\n### B.1 D\n")}
    for text, faults in (
            ("// Source: docs/protocol/serf.md 3.6, 3.\n", 0),
            ("// see docs/protocol/serf.md 3\n// to 3.6 and appendix A, B.1).\n", 0),
            ("// docs/protocol/serf.md 3.7\n", 1), ("int n;  // (3.6)\n", 1),
            ("// docs/protocol/other.md\n", 1), ("// RFC 1035 (4.1)\n", 0), ("f(1.5);\n", 0)):
        got = list(citation_faults(text, pages))
        assert len(got) == faults, (text, got)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def main():
    self_test()
    top = sys.argv[1] if len(sys.argv) > 1 else "."
    os.chdir(top)
    builds, sources = {}, []
    for folder in ("cmd", "docs", "rpc", "serf", "testing", "tools", "transport"):
        for at, _, names in os.walk(folder):
            sources += [os.path.join(at, name) for name in names]
    for path in sources + ["BUILD.bazel"]:
        if os.path.basename(path) == "BUILD.bazel" and os.path.exists(path):
            builds[os.path.dirname(path)] = read(path)
    documents = [path for pattern in DOCUMENTS for path in sorted(glob.glob(pattern))]
    tests = set()
    for path in sources:
        if path.endswith("_test.cc"):
            tests |= tests_of(read(path))
    if ".bazelrc" not in documents or SECURITY not in documents or not builds or not tests:
        sys.exit("no documents, or no sources, found")
    faults = []
    for path in documents:
        text = read(path)
        for label in missing_labels(text, builds):
            faults.append("%s: there is no target %s" % (path, label))
        faults += ["%s: there is no file %s" % (path, source)
                   for source in SOURCE.findall(text) if not os.path.exists(source)]
    pages = {os.path.basename(path): headings_of(read(path))
             for path in glob.glob(PROTOCOL + "*.md")}
    for path in sources:
        if path.endswith((".h", ".cc", ".py", ".bzl", "BUILD.bazel")) and path != THIS:
            faults += ["%s: %s" % (path, fault) for fault in citation_faults(read(path), pages)]
    faults += missing_tests(read(SECURITY), tests)
    rows = len(list(held(read(SECURITY))))
    print("\n".join(faults + ["%d documents, %d statements with tests, %d faults" % (
        len(documents), rows, len(faults))]))
    sys.exit(bool(faults))


main()

#!/usr/bin/env python3
"""Fails if the documentation names a target or a test that does not exist.

    doc_references_test.py [FOLDER]    the root of the sources

A label (//cmd:serf, //testing/...) that stands in .bazelrc or a .md file is one of a BUILD file. In
docs/security.md each row of the tables below "What the tests hold" names tests, as `Suite.Name` of
GoogleTest or `//label` of a target.
"""
import glob
import os
import re
import sys

DOCUMENTS = [".bazelrc", "CONTRIBUTING.md", "README.md", "docs/*.md", "docs/protocol/*.md",
             "testing/README.md", "tools/README.md"]
# Not ours, or no target.
FOREIGN = re.compile(r"^//(absl|visibility|external|conditions|tools/cpp)\b|.*:__(pkg|subpackages)__$")
LABEL = re.compile(r"(?<![\w:@/])//([a-z][\w/-]*)?((?:/?\.\.\.)|(?::[\w.%/-]*\w))?")
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
    faults += missing_tests(read(SECURITY), tests)
    rows = len(list(held(read(SECURITY))))
    print("\n".join(faults + ["%d documents, %d statements with tests, %d faults" % (
        len(documents), rows, len(faults))]))
    sys.exit(bool(faults))


main()

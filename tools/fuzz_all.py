#!/usr/bin/env python3
"""Runs all fuzz targets for some time, several at once, each from its corpus.

    tools/fuzz_all.py [--seconds N] [--jobs N] [--seed N] [--keep FOLDER] [--only TEXT]
                      [-- BAZEL FLAGS]

    tools/fuzz_all.py                                    half a minute each
    tools/fuzz_all.py --seconds 7200 --keep ~/corpora    a night; takes the corpora up again

Builds them first, with --config=fuzz: AddressSanitizer, UBSan and libFuzzer. An input that crashes,
leaks, hangs or costs more than the target's bounds (testing/fuzz_bounds.h) is a failure; it is
printed in hex, with the command that runs it again. With --keep it stays in FOLDER/NAME.failures,
and the next run tries it first. Runs with the same --seed try the same mutations in the same order;
without --seed each run draws a new one. The script prints the seed.

With --keep, FOLDER/NAME has a corpus of each target after the run: as few inputs as reach all that
its seeds, the corpus before and the run have reached together (libFuzzer's -merge=1). What of it
belongs into testdata/ is for a reader to judge: nothing that other software should not be sent.

The last line is "N passed, N failed, N skipped".
"""
import argparse
import concurrent.futures
import os
import random
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BAZEL = os.path.join(ROOT, "bazelw")
QUERY = 'attr(name, "_fuzz\\.fuzzer$", //...)'

# libFuzzer reports an input as endless after so many seconds of the clock, of which a busy machine
# may give the run few. The bounds count the thread's own time, and find slow inputs long before.
HANG_SECONDS = 120
RSS_LIMIT_MB = 2048


def binary_of(label):
    package, name = label[len("//"):].split(":")
    return os.path.join(ROOT, "bazel-bin", package, name)


def seeds_of(binary):
    """The files of the corpus, which are the program's runfiles."""
    seeds = []
    for folder, _, names in os.walk(binary + ".runfiles"):
        for name in names:
            path = os.path.join(folder, name)
            if ("corpus" in path or "testdata" in path) and os.path.isfile(path):
                seeds.append(path)
    return sorted(seeds)


def run(arguments, log):
    with open(log, "ab") as out:
        return subprocess.run(arguments, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                              check=False).returncode


def tail(log, lines):
    with open(log, encoding="utf-8", errors="replace") as file:
        return "".join(file.readlines()[-lines:])


def fuzz(label, options, scratch):
    """Returns (passed, text)."""
    binary = binary_of(label)
    name = os.path.basename(binary)[:-len(".fuzzer")]
    home = options.keep or scratch
    found, seeds, failures, log = (os.path.join(*parts) for parts in (
        (home, name), (scratch, name + ".seeds"), (home, name + ".failures"),
        (scratch, name + ".log")))
    for folder in (found, seeds, failures):
        os.makedirs(folder, exist_ok=True)
    failed_before = [os.path.join(failures, failure) for failure in sorted(os.listdir(failures))]
    for number, seed in enumerate(seeds_of(binary) + failed_before):
        shutil.copy(seed, os.path.join(seeds, str(number)))
    code = run([binary, "-max_total_time=%d" % options.seconds, "-timeout=%d" % HANG_SECONDS,
                "-seed=%d" % options.seed, "-rss_limit_mb=%d" % RSS_LIMIT_MB,
                "-print_final_stats=1", "-artifact_prefix=" + failures + "/", found, seeds], log)
    if code != 0:
        text = "%s: FAILED (%d), seed %d\n%s" % (name, code, options.seed, tail(log, 60))
        for failure in sorted(os.listdir(failures)):
            with open(os.path.join(failures, failure), "rb") as file:
                text += "python3 -c 'open(\"%s\", \"wb\").write(bytes.fromhex(\"%s\"))'\n" % (
                    failure, file.read().hex())
            text += "./bazelw run --config=fuzz %s -- $PWD/%s\n" % (label, failure)
        return False, text
    shutil.rmtree(failures)
    stats = [line.split()[-1] for line in tail(log, 20).splitlines()
             if line.startswith("stat::number_of_executed_units")]
    text = "%s: passed, %s runs" % (name, stats[0] if stats else "?")
    if options.keep:
        small = found + ".merged"
        shutil.rmtree(small, ignore_errors=True)
        os.makedirs(small)
        if run([binary, "-merge=1", "-rss_limit_mb=%d" % RSS_LIMIT_MB, small, found, seeds],
               log) == 0:
            shutil.rmtree(found)
            os.rename(small, found)
            text += ", %d inputs kept" % len(os.listdir(found))
        else:
            return False, "%s: FAILED to merge\n%s" % (name, tail(log, 30))
    return True, text


def main():
    arguments, flags = sys.argv[1:], []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, flags = arguments[:at], arguments[at + 1:]
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=random.randrange(1, 1 << 31))
    parser.add_argument("--keep", type=lambda path: os.path.abspath(os.path.expanduser(path)))
    parser.add_argument("--only", default="")
    options = parser.parse_args(arguments)

    query = subprocess.run([BAZEL, "query", "--noshow_progress", QUERY], cwd=ROOT, check=True,
                           stdout=subprocess.PIPE, text=True)
    labels = [label for label in query.stdout.split() if options.only in label]
    if not labels:
        sys.exit("no fuzz target has %r in its name" % options.only)
    subprocess.run([BAZEL, "build"] + flags + ["--config=fuzz"] + labels, cwd=ROOT, check=True)

    print("seed %d" % options.seed, flush=True)
    passed = failed = 0
    with tempfile.TemporaryDirectory() as scratch, \
            concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = [pool.submit(fuzz, label, options, scratch) for label in labels]
        for done in concurrent.futures.as_completed(runs):
            good, text = done.result()
            passed += good
            failed += not good
            print(text, flush=True)
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

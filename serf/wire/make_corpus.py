#!/usr/bin/env python3
"""Writes the seeds of a fuzz target, taken from the vectors.

    make_corpus.py TARGET memberlist.json serf.json OUT...     one file per seed

The number of OUTs is the number of seeds; BUILD.bazel names them. Without OUT it
prints that number.
"""
import json
import os
import sys

SIZE_MAX = 4096  # the corpus test tries hundreds of mutations of each seed


def swim_message(v):
    if v["layer"] in ("message", "stream-message", "decode-tolerance"):
        return bytes.fromhex(v["hex"])
    if v["layer"] == "stream-fragment":
        return b"\x06" + bytes.fromhex(v["hex"])  # a record has no type byte
    return None


def lzw(v):
    if v["layer"] != "compress":
        return None
    return bytes.fromhex(v["decoded"]["fields"]["Buf"]["hex"])


def packet(v):
    if v["layer"] in ("packet", "compound", "crc", "label", "encrypt", "compress"):
        return bytes.fromhex(v["hex"]) if v.get("hex") else None
    return None


def stream(v):
    return bytes.fromhex(v["hex"]) if v["layer"].startswith("stream") else None


def push_pull(v):
    data = bytes.fromhex(v["hex"]) if v.get("hex") else b""
    return data if v["layer"].startswith("stream") and data[:1] == b"\x06" else None


def serf_message(v):
    return bytes.fromhex(v["hex"]) if v["layer"] == "serf" else None


TARGETS = {
    "lzw": lzw,
    "packet": packet,
    "push_pull": push_pull,
    "serf_messages": serf_message,
    "stream_frame": stream,
    "swim_messages": swim_message,
}


def main():
    target, files, outs = sys.argv[1], sys.argv[2:4], sys.argv[4:]
    seeds = []
    for name in files:
        with open(name) as f:
            for vector in json.load(f):
                seed = TARGETS[target](vector)
                if seed is not None and len(seed) <= SIZE_MAX and seed not in seeds:
                    seeds.append(seed)
    if not outs:
        print(len(seeds))
        return
    if len(outs) != len(seeds):
        sys.exit("%s: %d seeds, but BUILD.bazel names %d" % (target, len(seeds), len(outs)))
    for out, seed in zip(outs, seeds):
        os.makedirs(os.path.dirname(out), exist_ok=True)
        with open(out, "wb") as f:
            f.write(seed)


if __name__ == "__main__":
    main()

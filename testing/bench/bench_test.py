#!/usr/bin/env python3
"""Tests of what the benchmark computes: statistics, parsing, the report and the pictures' data."""
import io
import json
import math
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import compare  # noqa: E402
import figures  # noqa: E402
import listener  # noqa: E402
import loads  # noqa: E402
import pictures  # noqa: E402
import prediction  # noqa: E402
import report  # noqa: E402
import sender  # noqa: E402
from loads_of_queries import QueryLog, figures_of  # noqa: E402
from loads_of_news import MEDIAN, mixture, until_all  # noqa: E402
from rpc_client import event_request, headers_of, marked, pack, unpack  # noqa: E402


class FiguresTest(unittest.TestCase):
    def test_percentile(self):
        samples = list(range(1, 101))
        self.assertEqual(figures.percentile(samples, 0.99), 99)
        self.assertEqual(figures.percentile(samples, 0.5), 50)
        self.assertEqual(figures.percentile(samples, 1), 100)
        self.assertEqual(figures.percentile([3, 1, 2], 0.99), 3)
        self.assertEqual(figures.percentile([7], 0.01), 7)
        self.assertRaises(ValueError, figures.percentile, [], 0.5)
        self.assertRaises(ValueError, figures.percentile, [1], 0)

    def test_median_over_rounds_skips_what_a_round_does_not_have(self):
        self.assertEqual(figures.over_rounds([{"a": 1, "b": 5}, {"a": 3}, {"a": 2, "b": None}]),
                         {"a": 2, "b": 5})
        self.assertEqual(figures.over_rounds([{"a": None}]), {})

    def test_ratio_and_aim(self):
        self.assertEqual(figures.ratio(1, 4), 0.25)
        self.assertEqual(figures.ratio(0, 0), 1)
        self.assertEqual(figures.ratio(1, 0), math.inf)
        self.assertIsNone(figures.ratio(None, 1))
        self.assertTrue(figures.missed(0.3, 0.25))
        self.assertFalse(figures.missed(0.25, 0.25))
        self.assertFalse(figures.missed(None, 0.25))
        self.assertFalse(figures.missed(9, None))

    def test_an_event_counts_when_the_last_agent_has_it(self):
        sent = {1: 100, 2: 200, 3: 300}
        deliveries = [[(1, 110), (2, 210), (3, 330), (1, 900)], [(2, 250), (1, 190)]]
        self.assertEqual(figures.delays(sent, deliveries), [90, 50])
        self.assertAlmostEqual(figures.share_delivered(sent, deliveries), 500 / 6)
        found = until_all(sent, deliveries)
        self.assertAlmostEqual(found["until all have it, median (ms)"], 70e-6)
        self.assertAlmostEqual(found["until all have it, 99 % (ms)"], 90e-6)
        self.assertIsNone(until_all(sent, [[], []])["until all have it, median (ms)"])

    def test_order(self):
        reference = [(n, 0) for n in (1, 2, 3, 4)]
        self.assertEqual(figures.out_of_order(reference, reference), 0)
        self.assertEqual(figures.out_of_order([(n, 0) for n in (1, 4, 2, 9, 3)], reference), 2)
        self.assertEqual(figures.out_of_order([(n, 0) for n in (1, 4)], reference), 0)


class ParsingTest(unittest.TestCase):
    def test_an_event_has_the_instant_of_its_last_byte(self):
        chunks = [(10, b"..<1>.<"), (20, b"23"), (30, b">..<4>"), (40, b"")]
        self.assertEqual(listener.found(chunks), [(1, 10), (23, 30), (4, 30)])

    def test_every_query_is_answered_however_its_bytes_arrive(self):
        ids = [1, 127, 128, 255, 256, 65535, 65536, 1 << 33]
        data = b"".join(pack({"Error": "", "Seq": 1}) + pack(
            {"Event": "query", "ID": i, "LTime": 9, "Name": "bench", "Payload": b""}) for i in ids)
        for step in (1, 3, 7, 1000):
            responses, tail = b"", b""
            for at in range(0, len(data), step):
                some, tail = listener.responses_to(tail + data[at:at + step])
                responses += some
            answered, at = [], 0
            while at < len(responses):
                header, at = unpack(responses, at)
                body, at = unpack(responses, at)
                self.assertEqual(header[b"Command"], b"respond")
                self.assertEqual(body[b"Payload"], b"answer")
                answered.append(body[b"ID"])
            self.assertEqual(answered, ids)

    def test_the_records_of_queries(self):
        def record(seq, kind, who):
            return pack({"Error": "", "Seq": seq}) + pack(
                {"From": who, "Payload": b"", "Type": kind})

        data = (pack({"Error": "", "Seq": 7}) + record(7, "ack", "a") + pack(
            {"Error": "Too many queries", "Seq": 8}) + record(7, "response", "a"))
        later = record(7, "response", "b") + record(7, "ack", "b") + record(7, "ack", "b")
        for cut in range(len(data) + 1):
            log = QueryLog()
            log.feed(1, data[:cut])
            log.feed(2, data[cut:])
            self.assertFalse(log.complete(7, 2))
            log.feed(3, later)
            self.assertTrue(log.complete(7, 2))
            self.assertEqual(log.instant_of_all(7, b"ack", 2), 3)
            found = figures_of({7: 0, 8: 0}, log, 2)
            self.assertEqual(found["accepted (%)"], 50)
            self.assertEqual(found["complete (%)"], 50)

    def test_requests(self):
        self.assertEqual(marked(7), b"<7>")
        self.assertEqual(marked(7, 6), b"<0007>")
        self.assertEqual(len(marked(123456, 32)), 32)
        header, end = unpack(event_request(300, 5, 32))
        self.assertEqual(header, {b"Command": b"event", b"Seq": 300})
        body, _ = unpack(event_request(300, 5, 32), end)
        self.assertEqual(int(listener.NUMBER.search(body[b"Payload"]).group(1)), 5)

    def test_headers_among_objects(self):
        data = pack({"Error": "", "Seq": 1}) + pack({"x": 1}) + pack({"Error": "no", "Seq": 2})
        headers, rest = headers_of(data + b"\x82")
        self.assertEqual([h[b"Seq"] for h in headers], [1, 2])
        self.assertEqual(rest, b"\x82")


class ScheduleTest(unittest.TestCase):
    def test_each_event_is_within_its_period(self):
        times = sender.schedule(50, 10)
        self.assertEqual(times, sorted(times))
        self.assertTrue(all(i / 10 <= t < (i + 1) / 10 for i, t in enumerate(times)))
        self.assertGreater(len({round(t % 0.1, 4) for t in times}), 40)

    def test_mixtures(self):
        self.assertEqual(mixture("o", "g", 3, "alike"), ["o", "o", "o"])
        self.assertEqual(mixture("o", "g", 3, "one-go"), ["o", "o", "g"])
        self.assertEqual(mixture("o", "g", 4, "half-go"), ["o", "g", "o", "g"])


class ReportTest(unittest.TestCase):
    def setUp(self):
        self.report = report.empty(["ours", "go"])
        for ours, go in ((1, 10), (3, 10), (2, None)):
            report.add(self.report, "idle", "ours", {"CPU": ours})
            report.add(self.report, "idle", "go",
                       {"failure": "no convergence"} if go is None else {"CPU": go})

    def test_rows(self):
        (row,) = report.rows(self.report, "idle", {"CPU": 0.1})
        self.assertEqual(row, ("CPU", {"ours": 2, "go": 10}, {"go": 0.2}, 0.1))
        lines, missed = report.lines(self.report, "idle", {"CPU": 0.1})
        self.assertEqual(missed, 1)
        self.assertIn("missed", lines[0])
        self.assertEqual(lines[1], "idle: go failed: no convergence")
        self.assertEqual(report.lines(self.report, "idle", {})[1], 0)

    def test_markdown(self):
        report.add(self.report, "ping", "ours", {"other": 7})
        self.assertEqual(report.markdown(self.report, ["idle", "ping"], ["CPU", "RAM"]), [
            "| load | CPU | RAM |", "|---|---|---|", "| `idle` | 2 / 10 (0.2) | - |"])
        self.assertEqual([report.text_of(value) for value in (None, 0.12345, 99.94, 99.96, 12345)],
                         ["-", "0.123", "99.9", "100", "12,345"])

    def test_files_add_up(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("a", "b")]
            report.write(self.report, paths[0])
            other = report.empty(["ours", "go", "go2"])
            report.add(other, "ping", "go2", {"CPU": 4})
            report.write(other, paths[1])
            whole = report.read(paths)
        self.assertEqual(whole["programs"], ["ours", "go", "go2"])
        self.assertEqual(report.medians(whole, "idle")["ours"], {"CPU": 2})
        self.assertEqual(report.medians(whole, "ping")["go2"], {"CPU": 4})
        json.dumps(whole)


class CompareTest(unittest.TestCase):
    def test_loads_by_pattern(self):
        self.assertEqual(compare.chosen("ping,idle"), ["idle", "ping"])
        self.assertEqual(compare.chosen("*"), list(loads.LOADS))
        self.assertIn("news-20-lan-encrypted-100", compare.chosen("news-20-*"))
        with self.assertRaisesRegex(ValueError, "no load 'pong'"):
            compare.chosen("idle,pong")

    def test_names_of_programs(self):
        self.assertEqual(compare.named("go=/bin/true"), ("go", "/bin/true"))
        self.assertEqual(compare.named("/bin/true"), ("/bin/true", "/bin/true"))

    def test_seconds_reach_the_loads_that_have_a_time(self):
        was = dict(loads.LOADS)
        try:
            loads.add("timed", lambda binary, seconds=10: {"s": seconds}, tiny={"seconds": 1})
            loads.add("counted", lambda binary, calls=3: {"n": calls}, calls=4)
            self.assertEqual(loads.run("timed", "", ""), {"s": 10})
            self.assertEqual(loads.run("timed", "", "", tiny=True), {"s": 1})
            self.assertEqual(loads.run("timed", "", "", seconds=60), {"s": 60})
            self.assertEqual(loads.run("counted", "", "", seconds=60), {"n": 4})
        finally:
            loads.LOADS.clear()
            loads.LOADS.update(was)

    def test_a_program_that_fails_is_reported_and_the_rest_goes_on(self):
        out = io.StringIO()
        found = compare.compare(["cli"], {"ours": "/bin/false"}, 1, tiny=True, out=out)
        self.assertIn("ended at once", out.getvalue())
        self.assertEqual(list(found["loads"]["cli"]["ours"][0]), ["failure"])


class PredictionTest(unittest.TestCase):
    def test_a_load_finds_its_row(self):
        def row(nodes, profile, rate, median, **more):
            return dict({"nodes": nodes, "profile": profile, "pacing": "prompt", "loss": 0,
                         "dead": 0, "senders": "one", "per_second": rate, "median_ms": median,
                         "p99_ms": None}, **more)

        rows = [row(20, "lan", 10, 1, loss=0.05), row(20, "lan", 10, 2, pacing="ticked"),
                row(20, "lan", 10, 3), row(20, "local", 10, 4), row(20, "lan", 100, 5),
                row(20, "lan", 0.37, 6), row(20, "lan", 10, 7, senders="all")]
        for load, median in (("news-20-lan-plain-10", 3), ("news-20-lan-encrypted-100", 5),
                             ("news-20-lan-plain-10-from-all", 7), ("news-20-local-plain-10", 4),
                             ("lone-20", 6)):
            self.assertEqual(prediction.predicted(rows, load)[MEDIAN], median, load)
        for load in ("lone-3", "news-20-lan-plain-10-half-go", "news-100-lan-plain-10", "idle"):
            self.assertIsNone(prediction.predicted(rows, load), load)


class PicturesTest(unittest.TestCase):
    def test_bars_come_from_medians(self):
        found = report.empty(["ours", "go"])
        for value in (1, 3, 2):
            report.add(found, "news-a", "ours", {"median": value, "p99": 2 * value})
        report.add(found, "news-a", "go", {"median": 100})
        report.add(found, "other", "ours", {"median": 5})
        picture = pictures.Picture("x.svg", "Title", "ms", "news-*", "median", "p99", True)
        self.assertEqual(pictures.bars(found, picture), [
            ("news-a", {"ours": (2, 4), "go": (100, None)})])

    def test_a_logarithmic_axis_begins_below_all_bars(self):
        for least, decade in ((3, 1), (10, 1), (11, 10), (0.2, 0.1)):
            rows = [("a", {"ours": (least, None), "go": (500, 900)}), ("b", {"go": (0, None)})]
            self.assertAlmostEqual(pictures.decade_below(rows), decade)

    def test_loads_are_shown_in_their_order(self):
        found = report.empty(["ours"])
        for load in ("what", "ping", "lone-3", "idle"):
            report.add(found, load, "ours", {"x": 1})
        names = list(pictures.in_order(found)["loads"])
        self.assertEqual(names, ["idle", "ping", "lone-3", "what"])

    def test_every_table_and_picture_has_loads(self):
        for names, columns in pictures.TABLES:
            self.assertTrue(compare.chosen(names), columns)
        for picture in pictures.PICTURES:
            self.assertTrue(compare.chosen(picture.loads), picture)


if __name__ == "__main__":
    unittest.main()

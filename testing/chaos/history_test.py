#!/usr/bin/env python3
"""Tests of history.py: each rule finds its violations, and nothing else."""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import history  # noqa: E402


class Agent:
    life = 1

    def __init__(self, name):
        self.name = name

    def answers(self):
        return True


def user(payload):
    return {b"Payload": payload.encode()}


def departure(name):
    return {b"Members": [{b"Name": name.encode()}]}


class HistoryTest(unittest.TestCase):
    def setUp(self):
        self.history = history.History()
        self.a, self.b = Agent("a"), Agent("b")

    def test_an_event_may_be_told_once_to_each(self):
        self.history.on_sent(self.a, "x")
        self.history.on_record(self.a, "user", user("x"))
        self.history.on_record(self.b, "user", user("x"))
        self.assertEqual(self.history.violations, [])
        self.history.on_record(self.b, "user", user("x"))
        self.assertEqual(self.history.violations, ["b told x twice in one life"])

    def test_what_nobody_sent_is_found(self):
        self.history.on_record(self.a, "user", user("x"))
        self.assertEqual(len(self.history.violations), 1)

    def restart(self, told_before_the_end):
        self.history.on_sent(self.a, "x")
        self.history.on_record(self.b, "user", user("x"))
        self.history.told["b", 1]["x"] = time.monotonic() - told_before_the_end
        self.history.on_end(self.b)
        self.b.life = 2
        self.history.on_record(self.b, "user", user("x"))

    def test_the_next_life_knows_what_its_snapshot_has(self):
        self.restart(history.SNAPSHOT_SECONDS + 1)
        self.assertEqual(len(self.history.violations), 1)

    def test_the_last_moments_before_a_kill_may_come_again(self):
        self.restart(history.SNAPSHOT_SECONDS - 1)
        self.assertEqual(self.history.violations, [])

    def test_a_full_disk_explains_it(self):
        self.history.forgetful.add("b")
        self.restart(history.SNAPSHOT_SECONDS + 1)
        self.assertEqual(self.history.violations, [])

    def test_departures_are_wrong_in_calm_only(self):
        self.history.on_record(self.a, "member-failed", departure("b"))
        self.history.calm()
        self.history.on_record(self.a, "member-failed", departure("b"))
        self.assertEqual(self.history.violations, [])
        self.history.calm_since -= history.AFTERMATH_SECONDS + 1
        self.history.on_record(self.a, "member-leave", departure("b"))
        self.assertEqual(len(self.history.violations), 1)

    def test_who_lacks_an_event_is_named(self):
        self.history.on_sent(self.a, "x")
        self.history.on_record(self.a, "user", user("x"))
        self.assertEqual(self.history.missing([self.a, self.b], ["x"]), {"b": ["x"]})


if __name__ == "__main__":
    unittest.main()

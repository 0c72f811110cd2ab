#!/usr/bin/env python3
"""A tiny run of every load with agents of ours: figures come out, so that the benchmark cannot rot.

  loads_test.py SERF
"""
import concurrent.futures
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import loads  # noqa: E402
import packet_counter  # noqa: E402

SERF = None  # the program, an argument
AT_ONCE = 4
SHARES = ["delivered (%)", "delivered to it (%)", "delivered to the others (%)", "accepted (%)",
          "complete (%)", "others that know (%)"]


class LoadsTest(unittest.TestCase):
    def test_every_load_has_figures(self):
        # Each in a process of its own, since most of them wait.
        with concurrent.futures.ProcessPoolExecutor(AT_ONCE) as pool:
            runs = {name: pool.submit(loads.run, name, SERF, SERF, True) for name in loads.LOADS}
            for name, run in runs.items():
                with self.subTest(name):
                    self.check(name, run.result())

    def check(self, name, found):
        self.assertTrue(found)
        for figure, value in found.items():
            self.assertIsNotNone(value, figure)
            self.assertGreaterEqual(value, 0, figure)
            if figure in SHARES:  # of a machine that is busy with other tests, perhaps not all
                self.assertGreater(value, 0, figure)
                self.assertLessEqual(value, 100, figure)
        for figure in loads.LOADS[name].aims:
            self.assertIn(figure, found)
        if name.startswith("guest"):
            self.assertGreater(found["packets that it receives / s"], 0)


if __name__ == "__main__":
    SERF = os.path.abspath(sys.argv.pop())
    packet_counter.become_able()
    unittest.main()

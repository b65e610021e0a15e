#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The parts of the benchmarks that compute: silences, rows, marks."""

import json
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import migration  # pylint: disable=wrong-import-position
import results    # pylint: disable=wrong-import-position
import silence    # pylint: disable=wrong-import-position
import simulation # pylint: disable=wrong-import-position


def replies(*silences):
    """Ten seconds of replies, one a ms; each silence is (begin, end)."""
    times = [n / 1000 for n in range(10000)]
    for begin, end in silences:
        times = [t for t in times if not begin < t < end]
    return times


class Silence(unittest.TestCase):
    def measure(self, times, started=2.0, stopped=5.0, resumed=5.02):
        return silence.measure(times, started, stopped, resumed)

    def test_nothing_noticed(self):
        self.assertLess(self.measure(replies())["blackout_ms"], 0.01)

    def test_blackout_is_less_the_normal_interval(self):
        found = self.measure(replies((5.0, 5.030)))
        self.assertAlmostEqual(found["blackout_ms"], 29, delta=0.1)
        self.assertLess(found["start_stall_ms"], 0.01)

    def test_a_late_reply_does_not_split_it(self):
        found = self.measure(sorted(replies((4.999, 5.030)) + [5.0005]))
        self.assertAlmostEqual(found["blackout_ms"], 28.5, delta=0.1)

    def test_start_stall_is_apart(self):
        found = self.measure(replies((2.1, 2.4), (5.0, 5.010)))
        self.assertAlmostEqual(found["start_stall_ms"], 299, delta=0.1)
        self.assertAlmostEqual(found["blackout_ms"], 9, delta=0.1)

    def test_silences_elsewhere_are_not_ours(self):
        found = self.measure(replies((1.0, 1.5), (8.0, 8.5)))
        self.assertLess(found["start_stall_ms"] + found["blackout_ms"], 0.01)

    def test_no_baseline_is_an_error(self):
        with self.assertRaises(ValueError):
            self.measure(replies(), started=0.01)


class Results(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.path = f"{self.directory.name}/bench/x.json"

    def rows(self, settings=None):
        return results.Rows(self.path, ("scenario", "run"), settings or {"runs": 2})

    def test_an_interrupted_run_goes_on(self):
        self.rows().add({"scenario": "s", "run": 0})
        with open(f"{self.path}.part", "a", encoding="utf-8") as file:
            file.write('{"scenario": "s", "r')
        again = self.rows()
        self.assertTrue(again.resumed)
        self.assertTrue(again.has({"scenario": "s", "run": 0}))
        self.assertFalse(again.has({"scenario": "s", "run": 1}))

    def test_other_settings_begin_anew(self):
        self.rows().add({"scenario": "s", "run": 0})
        self.assertFalse(self.rows({"runs": 3}).resumed)

    def test_finish_keeps_what_was_not_measured_again(self):
        first = self.rows()
        first.add({"scenario": "s", "run": 0})
        first.finish(first.rows, [])
        second = self.rows()
        self.assertFalse(second.resumed)
        self.assertEqual(second.earlier(lambda row: row["scenario"] != "t"),
                         [{"scenario": "s", "run": 0}])
        with open(self.path, encoding="utf-8") as file:
            self.assertEqual(json.load(file)["marks"], [])

    def test_marks(self):
        self.assertTrue(results.mark("m", 0.6, "×", 0.6)["holds"])
        self.assertFalse(results.mark("m", 0.61, "×", 0.6)["holds"])
        self.assertFalse(results.mark("m", None, "×", 0.6)["holds"])

    def test_marks_of_which_more_is_better(self):
        self.assertTrue(results.mark_at_least("m", 1.8, "×", 1.8)["holds"])
        self.assertFalse(results.mark_at_least("m", 1.79, "×", 1.8)["holds"])
        self.assertFalse(results.mark_at_least("m", None, "×", 1.8)["holds"])

    def test_medians_leave_out_failed_runs(self):
        rows = [{"v": v, "outcome": "completed"} for v in (1, 2, 9)]
        rows.append({"v": 100, "outcome": "failed: x"})
        self.assertEqual(results.median(rows, "v"), 2)
        self.assertIsNone(results.median(rows[3:], "v"))


class Simulation(unittest.TestCase):
    def row(self, scenario, **figures):
        return {"scenario": scenario, "run": 1, "outcome": "completed", **figures}

    def holds(self, *rows):
        return [entry["holds"] for entry in simulation.find_marks(list(rows))]

    def test_marks(self):
        self.assertEqual(self.holds(self.row("tiers", user_seconds_per_cpu_s=5e6),
                                    self.row("events", events_per_cpu_s=9.9e6),
                                    self.row("million", wall_s=720, memory_bytes_per_device=201),
                                    self.row("threads-1", wall_s=18), self.row("threads-2", wall_s=10)),
                         [True, False, True, False, True])

    def test_what_was_not_measured_does_not_hold(self):
        self.assertEqual(self.holds(), [False] * 5)
        self.assertEqual(self.holds(self.row("threads-2", wall_s=10)), [False] * 5)


class Marks(unittest.TestCase):
    def row(self, engine, link, encrypted=False, outcome="completed", **figures):
        return {"scenario": "busy", "link": link, "engine": engine, "encrypted": encrypted,
                "run": 0, "outcome": outcome, **figures}

    def find(self, link, **ours):
        plain = {"wire_bytes": 100, "total_s": 10, "blackout_ms": 20}
        rows = [self.row(migration.PLAIN, link, **plain),
                self.row(migration.OURS, link, **{**plain, **ours}),
                self.row(migration.OURS, link, True, wire_bytes=9999, total_s=99, blackout_ms=99)]
        return {entry["name"]: entry["holds"] for entry in migration.find_marks(rows)}

    def test_bytes(self):
        self.assertTrue(self.find("1gbit", wire_bytes=60)["busy/1gbit bytes"])
        self.assertFalse(self.find("1gbit", wire_bytes=61)["busy/1gbit bytes"])

    def test_total(self):
        self.assertTrue(self.find("200mbit", total_s=10)["busy/200mbit total"])
        self.assertFalse(self.find("200mbit", total_s=10.1)["busy/200mbit total"])
        self.assertTrue(self.find("unshaped", total_s=12)["busy/unshaped total"])

    def test_blackout(self):
        self.assertFalse(self.find("1gbit", blackout_ms=21)["busy/1gbit blackout"])
        self.assertTrue(self.find("unshaped", blackout_ms=25)["busy/unshaped blackout"])
        self.assertFalse(self.find("unshaped", blackout_ms=25.1)["busy/unshaped blackout"])

    def test_a_failed_run_is_a_missed_mark(self):
        rows = [self.row(migration.PLAIN, "1gbit", outcome="failed: x")]
        self.assertFalse(migration.find_marks(rows)[0]["holds"])


if __name__ == "__main__":
    unittest.main()

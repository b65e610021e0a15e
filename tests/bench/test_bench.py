#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The parts of the benchmarks that compute: silences, rows, marks."""

import fcntl
import itertools
import json
import os
import sys
import tempfile
import threading
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import echo       # pylint: disable=wrong-import-position
import guest      # pylint: disable=wrong-import-position
import lab        # pylint: disable=wrong-import-position
import marks      # pylint: disable=wrong-import-position
import migration  # pylint: disable=wrong-import-position
import page       # pylint: disable=wrong-import-position
import predictions # pylint: disable=wrong-import-position
import promise_marks # pylint: disable=wrong-import-position
import results    # pylint: disable=wrong-import-position
import silence    # pylint: disable=wrong-import-position
import simulation # pylint: disable=wrong-import-position


def replies(*silences):
    """Ten seconds of replies, one a ms; each silence is (begin, end)."""
    times = [n / 1000 for n in range(10000)]
    for begin, end in silences:
        times = [t for t in times if not begin < t < end]
    return times


class Predictions(unittest.TestCase):
    @staticmethod
    def move(left, blackout=30e6):
        """Ten seconds of a move, a line a second, with what is said to be left."""
        lines = [{"state": "copying", "elapsed_ns": n * 10**9, "blackout_expected_ns": 25e6}
                 | ({} if left(n) is None else {"left_ns": left(n) * 10**9}) for n in range(10)]
        return lines + [{"state": "done", "elapsed_ns": 10**10, "blackout_ns": blackout}]

    def test_what_comes_true_is_no_error(self):
        found = predictions.score(self.move(lambda n: 10 - n))
        self.assertEqual(found, {"total_error": 0, "foretold": 1, "blackout_error_ms": 5})

    def test_the_worst_counts_but_not_the_beginning(self):
        found = predictions.score(self.move(lambda n: 100 if n < 2 else 12 - n if n == 5 else 10 - n))
        self.assertAlmostEqual(found["total_error"], 0.2)

    def test_saying_nothing_is_no_way_out(self):
        found = predictions.score(self.move(lambda n: None))
        self.assertIsNone(found["total_error"])
        self.assertEqual(found["foretold"], 0)

    def test_a_move_that_failed_foretold_nothing(self):
        self.assertIsNone(predictions.score([{"state": "aborted"}])["total_error"])


    def test_before_a_step_nobody_can_know(self):
        lines = self.move(lambda n: 100 if n < 6 else 10 - n)
        self.assertEqual(predictions.score(lines, 6 * 10**9)["total_error"], 0)
        self.assertGreater(predictions.score(lines, 5 * 10**9)["total_error"], 1)


class Echo(unittest.TestCase):
    @staticmethod
    def measure(lost=(), swapped=(), late=()):
        """Ten seconds, a probe a ms, echoed after 0.2 ms; what is late comes at 5.020 s."""
        came = [(n, n / 1000, 5.020 if n in late else n / 1000 + 0.0002)
                for n in range(10000) if n not in lost]
        for n in swapped:
            came[n], came[n + 1] = came[n + 1], came[n]
        return echo.measure(sorted(came, key=lambda reply: reply[2]) if late else came,
                            2.0, 5.0, 5.02)

    def test_nothing_noticed(self):
        found = self.measure()
        self.assertEqual((found["lost"], found["lost_beside"], found["reordered"]), (0, 0, 0))
        self.assertLess(found["gap_ms"], 0.01)

    def test_what_fell_into_the_blackout_may_be_lost(self):
        found = self.measure(lost=range(4999, 5020))
        self.assertEqual((found["lost"], found["lost_beside"]), (21, 0))
        self.assertAlmostEqual(found["gap_ms"], 21, delta=0.1)

    def test_what_is_lost_elsewhere_is_seen(self):
        found = self.measure(lost=[2500, 4200, 4990, 5010, 5030])
        self.assertEqual((found["lost"], found["lost_beside"]), (5, 3))
        self.assertEqual(found["lost_start"], 1)

    def test_order(self):
        self.assertEqual(self.measure(swapped=[7000, 8000])["reordered"], 2)
        self.assertEqual(self.measure(late=range(5000, 5020))["reordered"], 0)


class PromiseMarks(unittest.TestCase):
    ROW = {"scenario": "idle-1gbit", "outcome": "completed", "link": "1gbit", "promise_ms": 30,
           "stop_to_resume_ms": 12.0, "gap_ms": 13.0, "lost_beside": 0, "reordered": 0,
           "total_error": 0.05, "blackout_error_ms": 3.0}
    FLOOR = {"scenario": "floor", "outcome": "completed", "stop_to_resume_ms": 8.0}

    def found(self, *rows):
        return {mark["name"]: mark for mark in promise_marks.find(
            [{"number": number} | row for number, row in enumerate(rows)])}

    def test_kept(self):
        found = self.found(*[self.ROW] * 100, self.FLOOR)
        self.assertTrue(found["30 ms: promise kept"]["holds"])
        self.assertEqual(found["30 ms: median blackout of 100 moves"]["value"], 1.5)
        self.assertTrue(found["total time foretold from 20 % on, off by"]["holds"])
        self.assertFalse(found["150 ms at 25 Mbit/s: promise kept"]["holds"], "nothing measured")

    def test_one_in_a_hundred_may_break(self):
        broken = self.ROW | {"stop_to_resume_ms": 31.0}
        self.assertTrue(self.found(*[self.ROW] * 99, broken)["30 ms: promise kept"]["holds"])
        self.assertFalse(self.found(*[self.ROW] * 98, broken, {
            "scenario": "idle-1gbit", "outcome": "failed: so", "link": "1gbit",
            "promise_ms": 30})["30 ms: promise kept"]["holds"], "one failed, too")

    def test_a_probe_that_is_lost_elsewhere_shows(self):
        found = self.found(self.ROW, self.ROW | {"lost_beside": 1})
        self.assertFalse(found["cut-over: probes lost beside the blackout"]["holds"])


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
                                    self.row("million", wall_s=720, memory_bytes_per_device=217),
                                    self.row("threads-1", wall_s=18), self.row("threads-2", wall_s=10)),
                         [True, False, True, False, True])

    def test_what_was_not_measured_does_not_hold(self):
        self.assertEqual(self.holds(), [False] * 5)
        self.assertEqual(self.holds(self.row("threads-2", wall_s=10)), [False] * 5)


class Marks(unittest.TestCase):
    PLAIN = {"wire_bytes": 100, "total_s": 10, "blackout_ms": 20, "start_stall_ms": 0,
             "cpu_s_net": 10, "memory_source": 1 << 20,
             "memory_destination": 1 << 20, "tail_bytes": 400}

    def row(self, scenario, engine, link, encrypted=False, outcome="completed", **figures):
        return {"scenario": scenario, "link": link, "engine": engine, "encrypted": encrypted,
                "run": 0, "outcome": outcome, **{**self.PLAIN, **figures}}

    def find(self, link, scenario="busy", peers=(), **ours):
        rows = [self.row(scenario, marks.PLAIN, link),
                self.row(scenario, marks.MULTIFD_ZSTD, link),
                self.row(scenario, marks.OURS, link, **ours),
                self.row(scenario, marks.OURS, link, True, wire_bytes=9999, total_s=99), *peers]
        return {entry["name"]: entry["holds"] for entry in marks.find(rows)}

    def test_bytes(self):
        self.assertTrue(self.find("1gbit", wire_bytes=60)["busy/1gbit bytes"])
        self.assertFalse(self.find("1gbit", wire_bytes=61)["busy/1gbit bytes"])

    def test_total(self):
        self.assertTrue(self.find("200mbit", total_s=10)["busy/200mbit total"])
        self.assertFalse(self.find("200mbit", total_s=10.1)["busy/200mbit total"])

    def test_blackout(self):
        self.assertFalse(self.find("1gbit", blackout_ms=21)["busy/1gbit blackout"])
        self.assertTrue(self.find("unshaped", blackout_ms=25)["busy/unshaped blackout"])
        self.assertFalse(self.find("unshaped", blackout_ms=25.1)["busy/unshaped blackout"])

    def test_processor_time_is_less_the_guests_own(self):
        self.assertTrue(self.find("1gbit", cpu_s_net=6)["busy/1gbit processor time"])
        self.assertFalse(self.find("1gbit", cpu_s_net=6.1)["busy/1gbit processor time"])

    def test_processor_time_of_encrypted_moves_is_beside_it(self):
        peer = self.row("debian", marks.MULTIFD_ZSTD, "1gbit", True, cpu_s_net=20)
        ours = self.row("debian", marks.OURS, "1gbit", True, cpu_s_net=12)
        found = self.find("1gbit", "debian", [peer, ours])
        self.assertFalse(found["debian/1gbit processor time"])
        self.assertTrue(found["debian/1gbit encrypted processor time"])

    def test_memory_is_by_the_guests(self):
        for scenario, machine in (("busy", "pattern"), ("debian", "debian")):
            pages = guest.MACHINES[machine]["memory_kib"] // 4
            limit = (64 << 20) + 288 * pages + guest.SHADOW_BYTES
            name = f"{scenario}/1gbit memory at the source"
            self.assertTrue(self.find("1gbit", scenario, memory_source=limit)[name])
            self.assertFalse(self.find("1gbit", scenario, memory_source=limit + 1)[name])

    def test_a_cold_debian(self):
        found = self.find("1gbit", "debian", wire_bytes=115, total_s=8.5)
        self.assertTrue(found["debian/1gbit bytes"] and found["debian/1gbit total"])
        found = self.find("200mbit-20ms", "debian", wire_bytes=101, total_s=8.6)
        self.assertFalse(found["debian/200mbit-20ms bytes"] or found["debian/200mbit-20ms total"])
        self.assertTrue(self.find("25mbit-40ms", "debian", wire_bytes=100)
                        ["debian/25mbit-40ms bytes"])
        self.assertTrue(self.find("unshaped", "debian", total_s=10)["debian/unshaped total"])
        self.assertFalse(self.find("unshaped", "debian", total_s=10.1)["debian/unshaped total"])

    def test_a_base_image_meets_the_best_peer(self):
        best = self.row("base", "qemu-xbzrle", "25mbit-40ms", wire_bytes=90, total_s=9)
        found = self.find("25mbit-40ms", "base", [best], wire_bytes=30, total_s=3)
        self.assertTrue(found["base/25mbit-40ms bytes"] and found["base/25mbit-40ms total"])
        found = self.find("25mbit-40ms", "base", [best], wire_bytes=31, total_s=3.1)
        self.assertFalse(found["base/25mbit-40ms bytes"] or found["base/25mbit-40ms total"])

    def test_way_back(self):
        found = self.find("200mbit-20ms", "back", wire_bytes=4, total_s=2.5, start_stall_ms=1000)
        self.assertTrue(found["back/200mbit-20ms bytes"])
        self.assertTrue(found["back/200mbit-20ms total less the start's stall"])
        self.assertTrue(found["back/200mbit-20ms tail"])
        found = self.find("200mbit-20ms", "back", wire_bytes=5, total_s=1.7, tail_bytes=4097)
        self.assertFalse(any(holds for name, holds in found.items() if name.startswith("back/") and
                             "memory" not in name))

    def test_a_writer_meets_the_best_peer(self):
        best = self.row("writer", "qemu-xbzrle", "1gbit", wire_bytes=50)
        self.assertTrue(self.find("1gbit", "writer", wire_bytes=50)["writer/1gbit bytes"])
        self.assertFalse(self.find("1gbit", "writer", [best], wire_bytes=26)["writer/1gbit bytes"])

    def test_a_cut_move_flatters_a_peer_and_misses_for_us(self):
        cut = self.row("writer", "qemu-xbzrle", "1gbit", outcome="timeout", wire_bytes=50)
        self.assertFalse(self.find("1gbit", "writer", [cut], wire_bytes=26)["writer/1gbit bytes"])
        cut = self.row("writer", marks.OURS, "1gbit", outcome="timeout", wire_bytes=1)
        self.assertFalse(self.find("1gbit", "writer", [cut], wire_bytes=1)["writer/1gbit bytes"])

    def test_a_failed_run_is_a_missed_mark(self):
        self.assertFalse(marks.find([self.row("busy", marks.PLAIN, "1gbit",
                                              outcome="failed: x")])[0]["holds"])


class Cost(unittest.TestCase):
    def test_the_guest_does_not_run_in_its_blackout(self):
        moved = {"cpu_s_source": 4.0, "cpu_s_destination": 3.0, "stop_to_resume_ms": 500}
        found = migration.own_cost(moved, 6.5, 0.5)
        self.assertEqual(found, {"cpu_s_guest": 3.0, "cpu_s_net": 4.0})

    def test_a_move_that_was_cut_has_none(self):
        moved = {"cpu_s_source": 70.0, "cpu_s_destination": 3.0}
        self.assertEqual(migration.own_cost(moved, 120, 0.5)["cpu_s_net"], 13.0)


class Turns(unittest.TestCase):
    """Of engines that boot and move nothing."""

    class Bench(migration.Bench):
        def __init__(self, fail=()):
            super().__init__("build", None)
            self.fail, self.did = set(fail), []

        def _boot(self, rows):
            for row in rows:
                self.did.append(f"boot {row['engine']}")
                self.engines[row["engine"]] = self.seats[row["engine"]] = row
            return {}

        def _turn(self, wanted):
            name = wanted["engine"]
            self.did.append(name)
            if (name, wanted["run"]) in self.fail:
                self._end(name)
            return wanted

        def _end(self, name):
            self.did.append(f"end {name}")
            del self.engines[name], self.seats[name]

    @staticmethod
    def rows():
        return [{"scenario": "debian", "engine": engine, "run": run}
                for run in range(2) for engine in "xy"]

    def test_a_guest_is_booted_once(self):
        bench = self.Bench()
        self.assertEqual(list(bench.measure(self.rows())), self.rows())
        self.assertEqual(bench.did, ["boot x", "boot y", "x", "y", "x", "y", "end x", "end y"])

    def test_a_guest_that_was_given_up_is_booted_again(self):
        bench = self.Bench([("x", 0)])
        self.assertEqual(list(bench.measure(self.rows())), self.rows())
        self.assertEqual(bench.did, ["boot x", "boot y", "x", "end x", "y", "boot x", "x", "y",
                                     "end y", "end x"])


class Alone(unittest.TestCase):
    def setUp(self):
        file = tempfile.NamedTemporaryFile()
        self.addCleanup(file.close)
        self.path = file.name

    def is_held(self):
        with open(self.path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return False
            except BlockingIOError:
                return True

    def alone(self, **more):
        alone = lab.Alone({"LOCK": self.path, **more})
        self.addCleanup(alone.leave)
        return alone

    def test_held_until_it_is_left(self):
        alone = self.alone(HOLD="100")
        self.assertFalse(self.is_held())
        alone.take()
        alone.take()
        self.assertTrue(self.is_held())
        alone.leave()
        self.assertFalse(self.is_held())

    def test_others_have_it_between_rounds(self):
        alone = self.alone(REST="0.5")
        alone.take()
        again = threading.Thread(target=alone.take)
        again.start()
        with open(self.path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
        again.join()
        self.assertTrue(self.is_held())

    def test_without_locks(self):
        lab.Alone({}).take()


class Plan(unittest.TestCase):
    def test_a_scenario_has_its_links(self):
        wanted = migration.plan("back", 5)
        self.assertEqual({row["link"] for row in wanted}, set(guest.SCENARIOS["back"]["links"]))
        self.assertFalse(any(row["encrypted"] for row in wanted))
        slow = [row for row in wanted if row["link"] == migration.SLOW_LINK and
                row["engine"] == marks.OURS]
        self.assertEqual(len(slow), migration.SLOW_RUNS)

    def test_engines_take_turns_with_guests_that_are_booted_once(self):
        wanted = migration.plan("debian/1gbit", 5)
        together = [key for key, _ in itertools.groupby(wanted, migration.TOGETHER)]
        self.assertEqual(together, [("debian", "1gbit", False), ("debian", "1gbit", True)])
        self.assertEqual([row["engine"] for row in wanted], list(migration.ENGINES) * (5 + 2))

    def test_several_parts(self):
        wanted = migration.plan("back/25mbit-40ms/tagalong idle/1gbit/qemu", 1)
        self.assertEqual([(row["scenario"], row["engine"], row["encrypted"]) for row in wanted],
                         [("idle", "qemu", False), ("idle", "qemu", True),
                          ("back", "tagalong", False)])

    def test_nothing_is_no_plan(self):
        with self.assertRaises(SystemExit):
            migration.plan("back/unshaped", 5)

    def test_settings_outlive_a_file(self):
        self.assertEqual(json.loads(json.dumps(guest.SCENARIOS)), guest.SCENARIOS)

    def test_every_scenario_has_a_machine_and_marks(self):
        for settings in guest.SCENARIOS.values():
            self.assertIn(settings["machine"], guest.MACHINES)
            self.assertIn(settings["marks"], marks.FINDERS)

    def test_what_the_guests_are_told(self):
        self.assertIn(" systemd.wants=use.service", guest.cmdline("back", "25mbit-40ms", 1, "10.0.0.1"))
        self.assertIn(" tagguest.verify=8M", guest.cmdline("debian", "1gbit", 1, "10.0.0.1"))
        self.assertIn(" tagguest.ip=10.0.0.9/24", guest.cmdline("busy", "1gbit", 1, "10.0.0.9"))
        self.assertNotIn("systemd", guest.cmdline("busy", "1gbit", 1, "10.0.0.1"))

    def test_a_writer_takes_half_of_its_link(self):
        self.assertEqual(guest.rate_of("writer", "25mbit-40ms"), "1525K")
        self.assertEqual(guest.rate_of("busy", "1gbit"), "8M")


class Page(unittest.TestCase):
    def test_it_is_whole_and_needs_nothing(self):
        rows = [{"scenario": "a<b", "link": "1gbit", "engine": engine, "encrypted": False,
                 "run": 0, "outcome": outcome, "wire_bytes": 5e6, "total_s": 2.0,
                 "blackout_ms": 3.0, "cpu_s_net": 2}
                for engine, outcome in (("tagalong", "completed"), ("qemu", "timeout"))]
        rows.append({"scenario": "a<b", "link": "1gbit", "engine": "qemu-xbzrle",
                     "encrypted": False, "run": 0, "outcome": "failed: x"})
        rows[1]["cpu_s_net"] = -0.5
        with tempfile.TemporaryDirectory() as directory:
            page.write(f"{directory}/x.html", rows, [results.mark("m", None, "×", 1)])
            with open(f"{directory}/x.html", encoding="utf-8") as file:
                text = file.read()
        self.assertEqual(text.count("<svg"), len(page.PLOTS))
        self.assertEqual(text.count("timeout: 1 of 1"), len(page.PLOTS))
        self.assertIn("no run that ended", text)
        self.assertIn("a&lt;b", text)
        self.assertNotIn("a<b", text)
        self.assertNotIn("http", text)
        self.assertNotIn('width="-', text)


if __name__ == "__main__":
    unittest.main()

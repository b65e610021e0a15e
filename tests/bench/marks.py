# SPDX-License-Identifier: Apache-2.0
"""What the rows of bench-migration shall show."""

import guest
import lab
import results

PLAIN = "qemu"
MULTIFD_ZSTD = "qemu-multifd-zstd"
OURS = "tagalong"
SLOW_BITS = 200000000
# Beside the bytes of the page table and the configured shadows (migratord(5)).
MEMORY_BASE = 64 << 20
MEMORY_PER_PAGE = 288


class Rows:
    """Medians of the plain text rows, or of the encrypted ones, by scenario, link and engine."""

    def __init__(self, rows, encrypted=False):
        self.rows = [row for row in rows if row["encrypted"] == encrypted]
        self.kind = " encrypted" if encrypted else ""

    def of(self, scenario, link, engine):
        return [row for row in self.rows if
                (row["scenario"], row["link"], row["engine"]) == (scenario, link, engine)]

    def median(self, scenario, link, engine, field):
        """A peer's move that was cut counts with what it had taken by then, which flatters it;
        one of ours has no value, so that its mark is missed."""
        rows = self.of(scenario, link, engine)
        if engine == OURS and any(row["outcome"] != "completed" for row in rows):
            return None
        return results.median([row for row in rows if row.get(field) is not None], field,
                              ("completed", "timeout"))

    def peers(self, scenario, link):
        return sorted({row["engine"] for row in self.rows
                       if (row["scenario"], row["link"]) == (scenario, link)} - {OURS})

    def best_peer(self, scenario, link, field):
        values = [self.median(scenario, link, peer, field) for peer in self.peers(scenario, link)]
        return min((value for value in values if value is not None), default=None)


    def ratio(self, scenario, link, field, peer):
        return ratio(self.median(scenario, link, OURS, field),
                     self.median(scenario, link, peer, field))

    def ratio_to_best(self, scenario, link, field):
        return ratio(self.median(scenario, link, OURS, field),
                     self.best_peer(scenario, link, field))


def ratio(ours, theirs):
    return ours / theirs if ours is not None and theirs else None


def against_plain(rows, scenario, link):
    """A guest of ours on a cold target against QEMU as it comes."""
    def side(engine, field):
        return rows.median(scenario, link, engine, field)

    place, shaped = f"{scenario}/{link}", lab.LINKS[link] is not None
    found = [results.mark(f"{place} bytes", rows.ratio(scenario, link, "wire_bytes", PLAIN),
                          "× plain", 0.6),
             results.mark(f"{place} total", rows.ratio(scenario, link, "total_s", PLAIN),
                          "× plain", 1.0)]
    ours, plain = side(OURS, "blackout_ms"), side(PLAIN, "blackout_ms")
    if shaped:
        return found + [results.mark(f"{place} blackout", ratio(ours, plain), "× plain", 1.0)]
    return found + [results.mark(f"{place} blackout",
                                 None if ours is None or plain is None else ours - plain,
                                 "ms over plain", 5.0)]


def cold_debian(rows, scenario, link):
    """A cold target without a base image, against the best that QEMU has."""
    place, settings = f"{scenario}/{link}", lab.LINKS[link]
    if settings is None:
        return [results.mark(f"{place} total", rows.ratio(scenario, link, "total_s", PLAIN),
                             "× plain", 1.0)]
    slow = settings["bits"] <= SLOW_BITS
    found = [results.mark(f"{place} bytes",
                          rows.ratio(scenario, link, "wire_bytes", MULTIFD_ZSTD),
                          "× multifd+zstd", 1.0 if slow else 1.15)]
    if settings["bits"] >= SLOW_BITS:
        found.append(results.mark(f"{place} total",
                                  rows.ratio(scenario, link, "total_s", MULTIFD_ZSTD),
                                  "× multifd+zstd", 0.85))
    return found


def cost(rows, scenario, link):
    """Processor time of both ends, less the guest's own work. It is for the same guest, so
    the quotient is also that of the time for a GiB of it."""
    return [results.mark(f"{scenario}/{link}{rows.kind} processor time",
                         rows.ratio(scenario, link, "cpu_s_net", MULTIFD_ZSTD),
                         "× multifd+zstd", 0.6)]


def with_base(rows, scenario, link):
    return [results.mark(f"{scenario}/{link} {what}", rows.ratio_to_best(scenario, link, field),
                         "× best peer", 1 / 3)
            for what, field in (("bytes", "wire_bytes"), ("total", "total_s"))]


def memory(rows, scenario, link):
    pages = guest.machine_of(scenario)["memory_kib"] // 4
    limit = MEMORY_BASE + MEMORY_PER_PAGE * pages + guest.SHADOW_BYTES
    return [results.mark(f"{scenario}/{link} memory at the {end}",
                         rows.median(scenario, link, OURS, f"memory_{end}"), "bytes", limit)
            for end in ("source", "destination")]


def writer(rows, scenario, link):
    return [results.mark(f"{scenario}/{link} bytes",
                         rows.ratio_to_best(scenario, link, "wire_bytes"), "× best peer", 0.5)]


def way_back(rows, scenario, link):
    def less_stall(engine):
        total = rows.median(scenario, link, engine, "total_s")
        stall = rows.median(scenario, link, engine, "start_stall_ms")
        return None if total is None or stall is None else total - stall / 1e3

    return [results.mark(f"{scenario}/{link} bytes",
                         rows.ratio(scenario, link, "wire_bytes", MULTIFD_ZSTD),
                         "× multifd+zstd", 1 / 25),
            results.mark(f"{scenario}/{link} total less the start's stall",
                         ratio(less_stall(OURS), less_stall(MULTIFD_ZSTD)), "× multifd+zstd", 1 / 6),
            results.mark(f"{scenario}/{link} tail",
                         rows.median(scenario, link, OURS, "tail_bytes"), "bytes", 4096)]


# By a scenario's "marks".
FINDERS = {
    "plain": (against_plain, cost, memory),
    "debian": (cold_debian, cost, memory),
    "load": (memory,),
    "base": (with_base, memory),
    "writer": (writer, memory),
    "back": (way_back, memory),
}
# Of encrypted rows.
ENCRYPTED_FINDERS = (cost,)


def find(everything):
    kinds = ((Rows(everything), lambda settings: FINDERS[settings["marks"]]),
             (Rows(everything, encrypted=True), lambda _: ENCRYPTED_FINDERS))
    found = [results.mark("runs that failed",
                          sum(row["outcome"] not in ("completed", "timeout") for row in everything),
                          "runs", 0)]
    for scenario, settings in guest.SCENARIOS.items():
        for link in lab.LINKS:
            for rows, finders in kinds:
                if rows.of(scenario, link, OURS):
                    for finder in finders(settings):
                        found += finder(rows, scenario, link)
    return found

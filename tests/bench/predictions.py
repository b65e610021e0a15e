#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How well a move foretold itself: scores what `migrator move --json` printed. As a program, one
line for each file of such lines."""

import json
import sys

FROM_SHARE = 0.2  # of the move's time; before, too little has been measured


def score(lines, from_ns=0):
    """total_error: the worst that `elapsed + left` was off, as a part of the whole, from FROM_SHARE
    on, and not before from_ns (None: nothing was foretold by then); foretold: the share of those lines that said
    something; blackout_error_ms: of the last that was expected before the stop."""
    result = lines[-1]
    if result.get("state") != "done" or not result.get("elapsed_ns"):
        return {"total_error": None, "foretold": None, "blackout_error_ms": None}
    total = result["elapsed_ns"]
    copying = [line for line in lines[:-1] if line["state"] == "copying"]
    late = [line for line in copying if line.get("elapsed_ns", 0) >= max(FROM_SHARE * total, from_ns)]
    said = [line for line in late if "left_ns" in line]
    errors = [abs((line["elapsed_ns"] + line["left_ns"]) / total - 1) for line in said]
    expected = [line["blackout_expected_ns"] for line in copying if "blackout_expected_ns" in line]
    measured = result.get("blackout_ns")
    return {"total_error": round(max(errors), 4) if errors else None,
            "foretold": round(len(said) / len(late), 3) if late else None,
            "blackout_error_ms": round(abs(expected[-1] - measured) / 1e6, 2)
                                 if expected and measured else None}


def main():
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            found = score([json.loads(line) for line in file])
        print(path, *(f"{name}={value}" for name, value in found.items()))


if __name__ == "__main__":
    main()

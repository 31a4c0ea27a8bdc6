#!/usr/bin/python3
"""Measures Mansio, part by part, on this machine's disk.

    bench/run.py                         every part
    bench/run.py relay postfix           some
    bench/run.py --quick --scale 0.01    whether they run at all, in a minute; figures of no worth
    bench/run.py --document build/bench.json    what was measured goes into docs/BENCHMARKS.md

What is measured and how, docs/BENCHMARKS.md tells.
"""

import argparse
import json
import pathlib
import shutil
import signal
import sys
import time
import traceback

from harness import BIN, BUILD, ROOT, Failed, charts, machine, report
from harness.bench import PARTS, Bench
import parts  # noqa: F401: fills PARTS


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="what to measure; without any, all but the soak")
    parser.add_argument("--list", action="store_true", help="name the parts")
    parser.add_argument("--quick", action="store_true", help="two rounds of few messages, a million is 50,000")
    parser.add_argument("--scale", type=float, help="how much a million is (1; quick: 0.05)")
    parser.add_argument("--rounds", type=int, help="pairs of runs that a ratio comes from (10; quick: 2)")
    parser.add_argument("--folder", type=pathlib.Path, default=BUILD / "bench",
                        help="where spools are made; not in memory (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the folder; the next run goes on from its deep queue")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="add all figures to this file")
    parser.add_argument("--document", type=pathlib.Path, metavar="FILE",
                        help="measure nothing: write the figures of this file, and its charts, to docs/")
    options = parser.parse_args()
    options.scale = options.scale or (0.05 if options.quick else 1.0)
    options.rounds = options.rounds or (2 if options.quick else 10)
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}: {', '.join(PARTS)}")
    return options


def check_place(folder):
    for program in ("mansio", "mansiod"):
        if not (BIN / program).exists():
            raise Failed(f"{BIN / program} is missing: make build")
    folder.mkdir(parents=True, exist_ok=True)
    kind, _ = machine.file_system(folder)
    if kind in machine.IN_MEMORY:
        raise Failed(f"{folder} is on {kind}, where a sync costs nothing: choose another --folder")


def measure(bench, name, options):
    """One part: its rows, printed and in the JSON file."""
    print(f"{name}: {PARTS[name].what}", flush=True)
    about = {**machine.describe(bench.folder), **machine.yardsticks(bench.folder)}
    bench.raw, bench.charts, start = {}, {}, time.monotonic()
    rows = list(PARTS[name].measure(bench))
    seconds = time.monotonic() - start
    print(report.plain_table(rows))
    print(f"  ({seconds:.0f} s; fdatasync alone p50 {about['fdatasync p50 ms']:.3f} ms, p99 "
          f"{about['fdatasync p99 ms']:.3f} ms; reference loop {about['reference loop ms']:.1f} ms)", flush=True)
    if options.json:
        command = f"bench/run.py {name} --rounds {options.rounds} --scale {options.scale:g}" + " --quick" * options.quick
        report.merge(options.json, {name: report.as_json(rows, about, seconds, command, bench.raw, bench.charts)})
    return rows


def run(options):
    check_place(options.folder)
    folder = options.folder.resolve() / "running"  # what is ours to remove
    folder.mkdir(exist_ok=True)
    bench = Bench(folder, options.quick, options.scale, options.rounds)
    print(report.machine_text(machine.describe(folder)), flush=True)
    wanted = [name for name in PARTS if name in options.parts or (not options.parts and PARTS[name].by_default)]
    measured, broken = {}, []
    try:
        for name in wanted:
            try:
                measured[name] = measure(bench, name, options)
            except Exception as error:  # the other parts are worth having all the same
                print(f"bench: {name}: {error}", file=sys.stderr, flush=True)
                if not isinstance(error, Failed):
                    traceback.print_exc()
                broken.append(name)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    if len(wanted) > 1:
        print("\nall parts:\n" + "\n".join(report.plain_table(rows) for rows in measured.values()))
    if broken:
        print(f"not measured: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


def write_document(path):
    measured = json.loads(path.read_text())
    drawings = charts.draw(measured)
    for name, drawing in drawings.items():
        (ROOT / "docs" / name).write_text(drawing)
    report.document(ROOT / "docs" / "BENCHMARKS.md", measured, drawings)


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    if options.list:
        print("\n".join(f"{name:<10} {one.what}" for name, one in PARTS.items()))
        return 0
    try:
        if options.document:
            write_document(options.document)
            return 0
        return run(options)
    except Failed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

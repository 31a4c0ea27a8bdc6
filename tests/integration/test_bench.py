"""The benchmarks run: every part that needs no other program, with so few messages that the figures say
nothing. And a row holds only if its whole range does."""

import json
import subprocess
import sys

import pytest

from daemon import BUILD, ROOT

sys.path.insert(0, str(ROOT / "bench"))

from harness import charts, report  # noqa: E402
from harness.figures import Figure, at_least, at_most, row  # noqa: E402


def bench(tmp_path, *parts):
    results = tmp_path / "bench.json"
    # Not under tmp_path, which may be in memory.
    run = subprocess.Popen(
        [ROOT / "bench" / "run.py", "--quick", "--rounds", "1", "--scale", "0.0003", "--folder", BUILD / f"bench-{tmp_path.name}",
         "--json", results, *parts], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        output = run.communicate(timeout=240)[0]
    except subprocess.TimeoutExpired:
        run.terminate()  # it stops what it has started
        output = run.communicate()[0]
    assert run.returncode == 0, output
    return json.loads(results.read_text())


@pytest.mark.parametrize("parts", [["relay", "alone"], ["written"], ["deep", "start", "growth", "remove", "bounce"],
                                   ["drain", "lanes"]], ids=lambda parts: parts[0])
def test_parts_run(tmp_path, parts):
    measured = bench(tmp_path, *parts)
    assert list(measured) == parts
    for name in parts:
        assert measured[name]["rows"], name
        assert measured[name]["machine"]["fdatasync p50 ms"] > 0
    if "deep" in parts:
        assert set(charts.draw(measured)) == {"throughput-by-depth.svg", "memory-by-depth.svg"}


def test_a_folder_in_memory_is_refused(tmp_path):
    done = subprocess.run([ROOT / "bench" / "run.py", "--folder", "/dev/shm/mansio-bench", "relay"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "choose another --folder" in done.stderr


def test_a_row_holds_if_its_range_does():
    values = [1, 2, 3, 4, 5]
    assert Figure.of(values) == Figure(3, 2, 4, 5)
    assert row("x", values, target=at_least(2)).holds and not row("x", values, target=at_least(2.1)).holds
    assert row("x", values, target=at_most(4)).holds and not row("x", values, target=at_most(3.9)).holds
    assert row("x", values).holds is None


def test_figures_go_into_the_document_and_stay_replaceable(tmp_path):
    document = tmp_path / "page.md"
    document.write_text(f"before\n\n{report.START}\n{report.END}\n\nafter\n")
    rows = [row("speed", [10.0, 20.0, 30.0], "/s", at_least(12))]
    part = json.loads(json.dumps(report.as_json(rows, {"cores": 2}, 3, "bench/run.py speed", {}, {})))
    for _ in range(2):
        report.document(document, {"speed": part}, ["speed-by-depth.svg"])
    text = document.read_text()
    assert text.count("| speed | 20.00 /s | 15.00 to 25.00 | ≥ 12.00 /s | yes |") == 1
    assert text.count("![speed by depth](speed-by-depth.svg)") == 1
    assert text.startswith("before\n") and text.endswith("\nafter\n")

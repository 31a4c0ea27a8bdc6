"""The programs are built to resist (docs/ARCHITECTURE.md names the flags): read from the files themselves."""

import re
import subprocess

import pytest

from daemon import BIN, BUILD


def readelf(program, *arguments):
    return subprocess.run(["readelf", "-W", *arguments, str(BIN / program)], capture_output=True, text=True,
                          check=True).stdout


@pytest.fixture(params=["mansiod", "mansio"])
def program(request):
    return request.param


def test_the_program_is_position_independent(program):
    header = readelf(program, "-h")
    assert re.search(r"Type:\s+DYN", header), header
    assert re.search(r"FLAGS_1.*\bPIE\b", readelf(program, "-d"))


def test_addresses_of_libraries_are_bound_at_start_and_then_read_only(program):
    assert re.search(r"^\s*GNU_RELRO", readelf(program, "-l"), re.MULTILINE)
    dynamic = readelf(program, "-d")
    assert re.search(r"\(BIND_NOW\)|\(FLAGS\)\s+.*BIND_NOW|\(FLAGS_1\)\s+.*\bNOW\b", dynamic), dynamic


def test_nothing_is_writable_and_executable(program):
    segments = re.findall(r"^\s*(\w+)\s+0x\w+ 0x\w+ 0x\w+ 0x\w+ 0x\w+ ([RWE ]{3})", readelf(program, "-l"),
                          re.MULTILINE)
    assert "GNU_STACK" in [name for name, _ in segments]
    assert not [segment for segment in segments if "W" in segment[1] and "E" in segment[1]]
    assert "TEXTREL" not in readelf(program, "-d")


def test_the_stack_is_guarded(program):
    assert "__stack_chk_fail" in readelf(program, "--dyn-syms")


def test_jumps_have_to_land_where_they_may(program):
    if "X86-64" not in readelf(program, "-h"):
        pytest.skip("control-flow protection of this kind is for x86-64")
    assert "endbr64" in subprocess.run(["objdump", "-d", "--disassemble=main", str(BIN / program)],
                                       capture_output=True, text=True, check=True).stdout


def test_no_search_path_leads_to_the_build(program):
    found = re.search(r"\((RPATH|RUNPATH)\).*\[(.*)\]", readelf(program, "-d"))
    assert found is None or all(path.startswith("$ORIGIN") for path in found[2].split(":")), found


def test_library_calls_are_checked_in_release_builds(program):
    kind = re.search(r"^CMAKE_BUILD_TYPE:\w+=(\w*)", (BUILD / "CMakeCache.txt").read_text(), re.MULTILINE)[1]
    checked = re.findall(r"__(?:mem|str|sn?printf|vsn?printf|read|fprintf)\w*_chk", readelf(program, "--dyn-syms"))
    if kind in ("Release", "RelWithDebInfo"):
        assert checked
    else:
        assert kind == "Debug"  # fortification needs optimised code

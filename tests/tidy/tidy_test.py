#!/usr/bin/python3
"""What the compiler does not check: the arrows between folders, where libraries and system
facilities may be used, traps of g++ 12, and that the documents match the tree."""

import functools
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SRC = ROOT / "src"

# Third-party headers and the only folders that may use them.
LIBRARIES = {
    r"rocksdb/": ["src/spool/file"],
    r"toml\+\+": ["src/settings"],
    r"openssl/": ["src/net", "src/base"],
    r"boost/asio/ssl": ["src/net"],
    r"boost/beast": ["src/net"],
    r"spdlog/": ["src/base"],
    r"isa-l/": ["src/base"],
    r"unbound\.h": ["src/dns"],
    r"idn2\.h": ["src/message"],
    r"systemd/": ["src/net"],
    r"prometheus/": ["src/admin"],
    r"nlohmann/": ["src/admin", "apps", "bench"],
    r"CLI/": ["apps", "bench"],
    r"re2/": ["src/settings", "src/queue"],
}

# Facilities that are ports (passed in) everywhere but in the folders named.
# spool: the threads of the committer and of the readers, and their clock.
FACILITIES = {
    r"\bstd::j?thread\b(?!::)|\bstd::async\b|\bpthread_create\b": ["base", "net", "spool"],
    r"\b\w*[cC]lock::now\(\)|\bclock_gettime\b|\btime\((nullptr|NULL|0)\)": ["base", "net", "spool"],
    r"\bstd::random_device\b|\bgetrandom\b|/dev/u?random|\bmt19937": ["base", "net", "spool"],
    r"\bsteady_timer\b|\bsystem_timer\b|\btimerfd_": ["base", "net"],
    r"\bip::tcp\b|\bip::udp\b|<sys/socket\.h>|\blocal::stream_protocol\b": ["base", "net"],
    r"\bthis_thread::sleep|\busleep\(|\bnanosleep\(": ["base", "net", "spool"],
}

PURE = ["message", "schedule", "dsn"]
IMPURE_HEADERS = re.compile(
    r'#include [<"](boost/asio|base/(stream|clock|event|task_group|loops|log)\.h|thread>|mutex>|'
    r"condition_variable>|atomic>|future>|fstream>|filesystem>|unistd|sys/|fcntl)")


def sources(*folders, suffixes=(".h", ".hpp", ".cc")):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and path.is_file():
                yield path


def name_of(path):
    return str(path.relative_to(ROOT))


def plainly_test(path):
    return path.stem.endswith("_test") or path.is_relative_to(SRC / "testing")


@functools.cache
def headers_of_tests():
    """Headers of src/ that tests include and production code does not reach."""
    included = {}
    for path in sources("src", "apps"):
        names = re.findall(r'#include "([^"]+)"', path.read_text())
        included[path] = {SRC / name for name in names if (SRC / name).exists()}

    def reached(start):
        seen = set(start)
        while start:
            start = set().union(*(included.get(path, set()) for path in start)) - seen
            seen |= start
        return seen

    production = {path for path in included if path.suffix == ".cc" and not plainly_test(path)}
    tests = {path for path in included if plainly_test(path)}
    return reached(tests) - reached(production)


def is_test(path):
    """Tests, the fakes, and what only these include."""
    return plainly_test(path) or path in headers_of_tests()


def without_comments(text):
    """Comments become blanks of the same number of lines; strings stay."""
    pattern = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.S)
    return pattern.sub(lambda m: m[0] if m[0][0] == '"' else "\n" * m[0].count("\n"), text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def table_rows(document, heading):
    """Rows of the first table below a heading, as lists of cells."""
    rows = []
    found = False
    for line in (ROOT / document).read_text().splitlines():
        if line.startswith("#"):
            if rows:
                break
            found = line.lstrip("# ").strip() == heading
        elif found and line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
        elif rows:
            break
    return rows[2:]


def words(cell):
    return re.findall(r"`([^`]+)`", cell)


def arrows():
    return {words(row[0])[0]: set(words(row[1]))
            for row in table_rows("docs/ARCHITECTURE.md", "Folders and arrows")}


def awaited_expressions(text):
    """The operand of each co_await: to the end of the statement or of what encloses it."""
    for match in re.finditer(r"\bco_await\b", text):
        depth = 0
        for position in range(match.end(), len(text)):
            char = text[position]
            if char in "([{":
                depth += 1
            elif char in ")]}":
                depth -= 1
            if depth < 0 or (depth == 0 and char in ";"):
                break
        yield match.start(), text[match.end():position]


# A lambda with captures, or braces after a type, a comma or a parenthesis, inside the operand.
RISKY_AWAIT = re.compile(r"(?<![\w\])])\[[^\]&]|[A-Za-z_>]\s*\{|[(,]\s*\{")


def risky_awaits(text):
    for position, expression in awaited_expressions(text):
        expression = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', expression)
        if RISKY_AWAIT.search(expression):
            yield line_of(text, position)


def awaits_behind_a_choice(text):
    """Lines where co_await stands to the right of || or &&, in the same expression."""
    for match in re.finditer(r"\|\||&&", text):
        depth = 0
        for position in range(match.end(), len(text)):
            rest = text[position:position + 8]
            if rest[0] in "([":
                depth += 1
            elif rest[0] in ")]":
                depth -= 1
            # A single = behind && is the initialiser of a reference: auto&& x = co_await f().
            ends = rest[0] in ";{}" or (depth == 0 and (rest[0] in ",?:" or (
                rest[0] == "=" and rest[1:2] != "=" and text[position - 1] not in "=!<>")))
            if depth < 0 or ends:
                break
            if rest == "co_await":
                yield line_of(text, match.start())
                break


def logged_events(text):
    """(event, fields chained to it) of each line that is logged."""
    pattern = r'log::(?:(?:debug|info|warning|error)\(|Line(?:\s+\w+)?\([^";]*?,\s*)\s*"(\w+)"\)([^;]*);'
    for match in re.finditer(pattern, text):
        yield match[1], re.findall(r'\.field\(\s*"(\w+)"', match[2])


class Arrows(unittest.TestCase):
    def test_the_folder_table_matches_the_tree(self):
        folders = {path.name for path in SRC.iterdir() if path.is_dir()}
        self.assertEqual(folders, set(arrows()), "docs/ARCHITECTURE.md, Folders and arrows")

    def test_no_cycle(self):
        table = arrows()
        done = set()
        while len(done) < len(table):
            ready = {name for name in table if name not in done and table[name] <= done}
            self.assertTrue(ready, f"a cycle among {sorted(set(table) - done)}")
            done |= ready

    def test_includes_obey_the_arrows(self):
        table = arrows()
        wrong = []
        for path in sources("src"):
            folder = path.relative_to(SRC).parts[0]
            allowed = {folder, "mansio"} | table[folder]
            if is_test(path):
                allowed |= set(table)  # tests may use the fakes, and what these need
            for match in re.finditer(r'#include "([^"]+)"', path.read_text()):
                target = match[1].split("/")[0]
                if "/" not in match[1] or target not in allowed:
                    wrong.append(f"{name_of(path)} includes {match[1]}")
        self.assertEqual(wrong, [])

    def test_libraries_depend_as_the_arrows_say(self):
        table = arrows()
        wrong = []
        for folder, allowed in table.items():
            text = (SRC / folder / "CMakeLists.txt").read_text()
            depends = re.search(r"\sDEPENDS((?:\s+[a-z]+)+)", text)
            for name in depends[1].split() if depends else []:
                if name not in allowed:
                    wrong.append(f"src/{folder}/CMakeLists.txt depends on {name}")
        self.assertEqual(wrong, [])

    def test_third_party_headers_stay_in_their_folder(self):
        wrong = []
        for path in sources("src", "apps", "include", "bench"):
            if is_test(path):
                continue
            for match in re.finditer(r'#include [<"]([^">]+)[">]', path.read_text()):
                for pattern, folders in LIBRARIES.items():
                    inside = any(path.is_relative_to(ROOT / folder) for folder in folders)
                    if re.match(pattern, match[1]) and not inside:
                        wrong.append(f"{name_of(path)} includes {match[1]}")
        self.assertEqual(wrong, [])


class Facilities(unittest.TestCase):
    def test_the_world_is_reached_through_ports_only(self):
        wrong = []
        for path in sources("src"):
            folder = path.relative_to(SRC).parts[0]
            if is_test(path):
                continue
            text = without_comments(path.read_text())
            for pattern, folders in FACILITIES.items():
                if folder in folders:
                    continue
                for match in re.finditer(pattern, text):
                    wrong.append(f"{name_of(path)}:{line_of(text, match.start())}: {match[0]}")
        self.assertEqual(wrong, [])

    def test_pure_folders_are_pure(self):
        wrong = []
        for folder in PURE:
            for path in sources(f"src/{folder}"):
                if is_test(path):
                    continue
                for match in IMPURE_HEADERS.finditer(path.read_text()):
                    wrong.append(f"{name_of(path)}: {match[0]}")
        self.assertEqual(wrong, [])


class Code(unittest.TestCase):
    def test_arguments_of_co_await_have_names(self):
        # g++ 12 destroys a capturing lambda or a braced aggregate inside the operand twice.
        wrong = []
        for path in sources("src", "apps", "tests", "include", "bench", "examples"):
            text = without_comments(path.read_text())
            wrong += [f"{name_of(path)}:{line}" for line in risky_awaits(text)]
        self.assertEqual(wrong, [])

    def test_the_await_check_finds_the_bad_forms(self):
        bad = ["co_await f([x] { return x; });", "co_await f(Point{1, 2});", "co_await g({1, 2});",
               "if (co_await f(a, {b})) {}", "auto r = co_await f(std::vector<int>{1});"]
        good = ["co_await f(values[i]);", "if (co_await f(a)) { g(Point{1}); }",
                "co_await f(std::move(point));", "co_await g(\"{\");"]
        self.assertEqual([text for text in bad if not list(risky_awaits(text))], [])
        self.assertEqual([text for text in good if list(risky_awaits(text))], [])

    def test_nothing_is_awaited_to_the_right_of_a_choice(self):
        # g++ 12 frees the frame of what is awaited there although it may never have been made.
        wrong = []
        for path in sources("src", "apps", "tests", "include", "bench", "examples"):
            text = without_comments(path.read_text())
            wrong += [f"{name_of(path)}:{line}" for line in awaits_behind_a_choice(text)]
        self.assertEqual(wrong, [])

    def test_the_choice_check_finds_the_bad_forms(self):
        bad = ["if (a && co_await f()) {}", "bool b = a || !co_await f(x);", "a && g(1, co_await f());",
               "while (a ||\n (b && co_await f())) {}", "co_return a == b && c && co_await f();"]
        good = ["if (a && b) co_await f();", "bool b = co_await f() && a;", "auto&& r = co_await f();",
                "if (a && b) { co_await f(); }", "f(a && b, co_await g());", "a && b ? co_await f() : c;",
                "void f(X&& x) { co_await g(); }"]
        self.assertEqual([text for text in bad if not list(awaits_behind_a_choice(text))], [])
        self.assertEqual([text for text in good if list(awaits_behind_a_choice(text))], [])

    def test_nothing_is_left_for_later(self):
        wrong = []
        for path in sources("src", "apps", "tests", "include", "bench", "examples"):
            text = path.read_text()
            for match in re.finditer(r"//.*\b(TODO|FIXME|XXX)\b", text):
                wrong.append(f"{name_of(path)}:{line_of(text, match.start())}")
        self.assertEqual(wrong, [])

    def test_headers_are_included_once(self):
        wrong = [name_of(path) for path in sources("src", "apps", suffixes=(".h", ".hpp"))
                 if "#pragma once" not in path.read_text()]
        self.assertEqual(wrong, [])


class Documents(unittest.TestCase):
    def test_every_event_and_field_of_the_log_is_documented(self):
        listed = {words(row[0])[0]: set(words(row[1]))
                  for row in table_rows("docs/LOGGING.md", "The log")}
        used = {}
        wrong = []
        for path in sources("src", "apps", suffixes=(".h", ".cc")):
            if is_test(path):
                continue
            for event, fields in logged_events(without_comments(path.read_text())):
                used[event] = name_of(path)
                missing = set(fields) - listed.get(event, set(fields))
                if missing:
                    wrong.append(f"{name_of(path)}: {event} has fields {sorted(missing)}")
        wrong += [f"{path}: event {event}" for event, path in used.items() if event not in listed]
        self.assertEqual(wrong, [], "not in docs/LOGGING.md")

        everything = "".join(path.read_text() for path in sources("src", "apps"))
        gone = [event for event in listed if f'"{event}"' not in everything]
        self.assertEqual(gone, [], "in docs/LOGGING.md, but not in the code")

    def test_what_the_documents_point_to_exists(self):
        self.assertTrue((ROOT / "README.md").exists(), "README.md is missing")
        wrong = []
        for document in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
            text = re.sub(r"```.*?```", "", document.read_text(), flags=re.S)
            named = re.findall(r"`((?:src|apps|docs|tests|scripts|examples|include|bench|cmake|"
                               r"packaging)/[\w./+-]+)`", text)
            for target in named:
                if not (ROOT / target).exists():
                    wrong.append(f"{name_of(document)}: {target}")
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
                if not (document.parent / target).exists():
                    wrong.append(f"{name_of(document)}: {target}")
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()

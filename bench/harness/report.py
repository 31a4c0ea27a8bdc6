"""Rows as tables, as JSON that collects the parts of several runs, and as the section of a document."""

import dataclasses
import json
import re

from harness.figures import Figure, Row, Target, number

START, END = "<!-- figures: bench/run.py --document -->", "<!-- end of figures -->"


def target_text(target, unit):
    if target is None:
        return ""
    sign = "≥" if target.at_least else "≤"
    return f"{sign} {number(target.bound)} {unit}".rstrip()


def verdict(row):
    return {None: "", True: "yes", False: "**no**"}[row.holds]


def table(rows):
    lines = ["| | median | quartiles | to reach | holds |", "|---|---:|---:|---:|---|"]
    for row in rows:
        figure = row.figure
        spread = f"{number(figure.low)} to {number(figure.high)}" if figure.runs > 1 else ""
        lines.append(f"| {row.what} | {number(figure.median)} {row.unit} | {spread} | "
                     f"{target_text(row.target, row.unit)} | {verdict(row)} |")
    return "\n".join(lines)


def plain_table(rows):
    """For a terminal."""
    lines = []
    for row in rows:
        figure = row.figure
        spread = f"[{number(figure.low)} .. {number(figure.high)}]" if figure.runs > 1 else ""
        holds = {None: "", True: "holds", False: "DOES NOT HOLD"}[row.holds]
        lines.append(f"  {row.what:<84} {number(figure.median):>10} {row.unit:<4} {spread:<24} "
                     f"{target_text(row.target, row.unit):<14} {holds}".rstrip())
    return "\n".join(lines)


def as_json(rows, machine, seconds, command, raw, charts):
    return {"machine": machine, "seconds": round(seconds), "command": command, "charts": charts,
            "rows": [dataclasses.asdict(row) for row in rows], "raw": raw}


def rows_of(part):
    rows = []
    for row in part["rows"]:
        target = Target(**row["target"]) if row["target"] else None
        rows.append(Row(row["what"], Figure(**row["figure"]), row["unit"], target))
    return rows


def merge(path, parts):
    """Writes the parts into `path`; those that it has from other runs stay."""
    known = json.loads(path.read_text()) if path.exists() else {}
    known.update(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=1, default=dataclasses.asdict) + "\n")


def machine_text(machine):
    return ", ".join(f"{name} {number(value) if isinstance(value, float) else value}"
                     for name, value in machine.items())


def document(path, parts, drawings=()):
    """Replaces the figures in the document. `drawings`: names of files beside it."""
    text = path.read_text()
    sections = ["\n".join(f"![{name.removesuffix('.svg').replace('-', ' ')}]({name})" for name in drawings)]
    for name, part in parts.items():
        sections.append(f"### {name}\n\n`{part['command']}`, {part['seconds']} s; {machine_text(part['machine'])}\n\n"
                        + table(rows_of(part)))
    block = "\n\n".join([START, *filter(None, sections), END])
    replaced, count = re.subn(re.escape(START) + ".*?" + re.escape(END), lambda _: block, text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{path} has no place for the figures: {START}")
    path.write_text(replaced)

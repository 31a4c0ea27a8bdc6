"""Charts as SVG, written by hand: one line of points over the depth of the queue. Colours that read on
white and on black, no script, no font of its own."""

import statistics

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 50
MIB = 2**20


def draw(measured):
    """{file name: SVG} from the points that --json has collected: [{depth, rates, resident}]."""
    points = [point for part in measured.values() for point in part["charts"].get("depth", [])]
    points.sort(key=lambda point: point["depth"])
    if not points:
        return {}
    rates = [(point["depth"], statistics.median(point["rates"])) for point in points]
    memory = [(point["depth"], point["resident"] / MIB) for point in points]
    return {"throughput-by-depth.svg": chart("Healthy destination: messages per second, in and out", rates),
            "memory-by-depth.svg": chart("Resident memory, MiB", memory)}


def round_up(value):
    """The next of 1, 2, 5, 10, 20, ... that is not below it."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if step * factor >= value:
                return step * factor
        step *= 10


def chart(title, points):
    """`points`: (messages queued, value), in order."""
    most, highest = max(x for x, _ in points) or 1, round_up(max(y for _, y in points))

    def place(x, y):
        return (LEFT + x / most * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y / highest * (HEIGHT - TOP - BOTTOM))

    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
             f'height="{HEIGHT}" font-family="sans-serif" font-size="12" fill="#777">',
             f'<text x="{LEFT}" y="22" font-size="14">{title}</text>']
    for quarter in range(5):
        value = highest * quarter / 4
        _, y = place(0, value)
        lines.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ccc" stroke-width="0.5"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:,.0f}</text>')
    for x in (0, most / 2, most):
        at, bottom = place(x, 0)
        lines.append(f'<text x="{at:.1f}" y="{bottom + 18:.1f}" text-anchor="middle">{x:,.0f}</text>')
    lines.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">messages queued</text>')
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in (place(*point) for point in points))
    lines.append(f'<path d="M{path}" fill="none" stroke="#2a7ab8" stroke-width="2"/>')
    for x, y in points:
        at, height = place(x, y)
        lines.append(f'<circle cx="{at:.1f}" cy="{height:.1f}" r="3.5" fill="#2a7ab8"><title>{x:,.0f}: {y:,.0f}'
                     '</title></circle>')
    lines.append("</svg>")
    return "\n".join(lines) + "\n"

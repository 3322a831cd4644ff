"""Draws what a soak has measured: panels one above the other over the same time, as SVG."""
import html

WIDTH, PANEL, GAP, LEFT, RIGHT, TOP = 960, 110, 34, 70, 150, 54
COLOURS = ("#1f6f8b", "#c8553d", "#5b8c3a", "#7a4e9f")
# Title, unit, [(name, figure of a row)].
PANELS = (
    ("memory (PSS)", "MiB", [("all processes", lambda row: (row["leatd_kb"] + row["stages_kb"] + row["processors_kb"]) / 1024),
                             ("leatd alone", lambda row: row["leatd_kb"] / 1024)]),
    ("memory (PSS) of one process", "MiB", [
        ("reader, filter, writer", lambda row: row["stages_kb"] / 1024 / max(row["processes"] - row["processors"] - 1, 1)),
        ("processor", lambda row: row["processors_kb"] / 1024 / max(row["processors"], 1))]),
    ("processes", "", [("all", lambda row: row["processes"]), ("processors", lambda row: row["processors"])]),
    ("leatd", "", [("descriptors", lambda row: row["descriptors"]), ("threads", lambda row: row["threads"])]),
    ("runtime folder", "files", [("files", lambda row: row["runtime_files"])]),
    ("ledgers", "KiB", [("databases", lambda row: row["ledger_bytes"] / 1024),
                        ("their logs", lambda row: row["ledger_log_bytes"] / 1024)]),
    ("sources done", "", [("sources", lambda row: row["sources"])]),
    ("answer to `status`", "ms", [("one a sample", lambda row: row["status_ms"])]),
)


def round_up(value):
    step = 10 ** (len(str(int(max(value, 1)))) - 1)
    return next((n * step for n in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if n * step >= value), value)


class Drawing:
    def __init__(self, rows, events):
        self.rows, self.events = rows, events
        self.most_s = max(row["seconds"] for row in rows)
        self.out = []

    def text(self, x, y, words, size=11, anchor="start", colour="#333", weight="normal"):
        self.out.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" '
                        f'font-weight="{weight}">{html.escape(words)}</text>')

    def line(self, x1, y1, x2, y2, colour, width=1.0):
        self.out.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>')

    def x(self, seconds):
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / self.most_s

    def panel(self, top, title, unit, curves):
        bottom = top + PANEL
        most = round_up(max(figure(row) for _, figure in curves for row in self.rows) * 1.02)
        self.text(LEFT, top - 6, title + (f", {unit}" if unit else ""), weight="bold")
        for share in (0, 0.5, 1):
            y = bottom - PANEL * share
            self.line(LEFT, y, WIDTH - RIGHT, y, "#ddd")
            self.text(LEFT - 6, y + 4, f"{most * share:g}", anchor="end")
        for seconds, what in self.events:
            x = self.x(min(seconds, self.most_s))
            self.out.append(f"<g><title>{html.escape(f'{seconds:.0f} s: {what}')}</title>")
            self.line(x, top, x, bottom, "#9a6a00" if "kill -9 of leatd" not in what else "#c00", 0.4 if "kill -9 of leatd" not in what else 1)
            self.out.append("</g>")
        for number, (name, figure) in enumerate(curves):
            points = " ".join(f"{self.x(row['seconds']):.1f},{bottom - PANEL * figure(row) / most:.1f}" for row in self.rows)
            self.out.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[number]}" stroke-width="1.4"/>')
            self.line(WIDTH - RIGHT + 10, top + 10 + 16 * number, WIDTH - RIGHT + 28, top + 10 + 16 * number, COLOURS[number], 2)
            self.text(WIDTH - RIGHT + 32, top + 14 + 16 * number, name)

    def draw(self):
        height = TOP + len(PANELS) * (PANEL + GAP) + 10
        for number, (title, unit, curves) in enumerate(PANELS):
            self.panel(TOP + number * (PANEL + GAP), title, unit, curves)
        step = next(step for step in (10, 30, 60, 300, 600, 1800, 3600) if self.most_s / step <= 12)
        for seconds in range(0, int(self.most_s) + 1, step):
            self.text(self.x(seconds), height - 22, f"{seconds // 60} min" if step >= 60 else f"{seconds} s", anchor="middle")
        self.text(LEFT, 18, "leatd while files arrive and something happens to it every minute", size=14, weight="bold")
        self.text(LEFT, 34, "thin lines: a fault or a change; red: kill -9 of leatd itself", colour="#666")
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
                'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>' + "\n".join(self.out) + "</svg>\n")


def write(path, rows, events):
    with open(path, "w") as file:
        file.write(Drawing(rows, events).draw())

"""From measurements to aligned tables: one row a competitor, one row a figure to reach."""

import statistics

from benchmarks import setting as s

_FIGURES = {"first_step": "first step of {}, seconds", "peak_gigabytes": "peak memory of {}, GB"}


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Median seconds per step of each competitor over the rounds."""
    return {name: statistics.median(seconds[name] for seconds in rounds) for name in rounds[0]}


def ratio(rounds: list[dict[str, float]], competitor: str, peer: str) -> float:
    """Median over the rounds of the ratio within a round, which a drift of the machine's speed leaves alone."""
    return statistics.median(seconds[competitor] / seconds[peer] for seconds in rounds)


def competitor_rows(begins: dict, rounds: list, peaks: dict) -> list[dict]:
    """Build, first and median step seconds and peak gigabytes of each competitor."""
    seconds = medians(rounds)
    return [
        {
            "competitor": name,
            "seconds_per_step": seconds[name],
            "fastest_round": min(r[name] for r in rounds),
            "first_step": begins[name]["first_step"],
            "build": begins[name]["build"],
            "peak_gigabytes": peaks[name] / 1e9,
        }
        for name in seconds
    ]


def _target(figure: str, measured: float, limit: float) -> dict:
    return {"figure": figure, "measured": measured, "target": limit, "reached": measured <= limit}


def target_rows(suite: s.Suite, rows: list[dict], rounds: list, parts: dict[str, float]) -> list[dict]:
    """Every figure whose competitors took part, beside what it should be."""
    by_name = {row["competitor"]: row for row in rows}
    result = [
        _target(f"step time, {t.competitor} / {t.peer}", ratio(rounds, t.competitor, t.peer), t.limit)
        for t in suite.ratios
        if t.competitor in by_name and t.peer in by_name
    ]
    result += [
        _target(_FIGURES[limit.figure].format(limit.competitor), by_name[limit.competitor][limit.figure], limit.limit)
        for limit in suite.limits
        if limit.competitor in by_name
    ]
    if ours := by_name.get("tf_edd"):
        for part, share in suite.shares.items():
            if part in parts:
                result.append(_target(f"{part} / step of tf_edd", parts[part] / ours["seconds_per_step"], share))
    if "edd_update" in parts:
        result.append(_target("EDD update, seconds an epoch", parts["edd_update"], s.EDD_UPDATE_SECONDS))
    return result


def _text(value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.3g}" if isinstance(value, float) and value < 0.01 else f"{value:.3f}"


def table(rows: list[dict]) -> str:
    """Rows of equal keys as aligned text, names to the left and numbers to the right."""
    header = list(rows[0])
    cells = [header] + [[v if isinstance(v, str) else _text(v) for v in row.values()] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(header))]
    return "\n".join(
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        for line in cells
    )

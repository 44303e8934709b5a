"""Histories of searches with known numbers."""

FIRST = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
SECOND = "|nor_conv_3x3~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"


def make_history(epochs: int = 4, shift: float = 0.0, **tags) -> list[dict]:
    rows = []
    for epoch in range(1, epochs + 1):
        row = {
            "epoch": epoch,
            "genotype": FIRST if epoch < 3 else SECOND,
            "arch/entropy": 1.6 / epoch + shift,
            "arch/temperature": 10.0**-epoch,
            "accuracy/valid": 0.2 * epoch,
            "accuracy/discretized": 0.15 * epoch + shift,
            "table/cifar10_test": 90.0 + epoch,
        }
        rows.append({**row, **tags})
    return rows


def without(history: list[dict], *tags: str) -> list[dict]:
    return [{key: value for key, value in row.items() if key not in tags} for row in history]

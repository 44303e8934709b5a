"""How much gradients vary from draw to draw: the quantity that importance sampling is to make small.

Source: PA&DA, arXiv 2302.14772.
"""

import math

import numpy as np


def variance(drawn) -> dict[str, float]:
    """The variance of gradients g with weights w of their squared norms: E w norm(g)^2 - norm(E g)^2.

    With weights of 1 it is the trace of the covariance. `variance` and `squared_mean` = norm(E g)^2 have no bias; the
    second can fall below 0. `relative_variance`, their quotient, has one where the draws are few for it, and is NaN
    where they do not tell the mean from 0.

    Args:
        drawn: at least two pairs of gradients, a list of tensors, and a weight.
    """
    count, total, squares, weighted = 0, None, 0.0, 0.0
    for gradients, weight in drawn:
        values = [gradient.numpy().astype(np.float64) for gradient in gradients]
        total = values if total is None else [a + b for a, b in zip(total, values, strict=True)]
        square = sum(float(np.square(value).sum()) for value in values)
        squares, weighted = squares + square, weighted + float(weight) * square
        count += 1
    mean = (sum(float(np.square(value).sum()) for value in total) - squares) / (count * (count - 1))
    found = weighted / count - mean
    return {"variance": found, "squared_mean": mean, "relative_variance": found / mean if mean > 0 else math.nan}

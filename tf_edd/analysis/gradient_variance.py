"""The variance of gradients from draw to draw, which importance sampling is to reduce.

Source: PA&DA, arXiv 2302.14772.
"""

import math

import numpy as np


def variance(drawn) -> dict[str, float]:
    """The variance of gradients g with weights w of their squared norms: E w norm(g)^2 - norm(E g)^2.

    With weights of 1 it is the trace of the covariance. `variance` and `squared_mean` = norm(E g)^2 are unbiased; the
    second can fall below 0. `relative_variance`, their quotient, is biased for few draws, and NaN where the draws
    cannot distinguish the mean from 0.

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
    result = weighted / count - mean
    return {"variance": result, "squared_mean": mean, "relative_variance": result / mean if mean > 0 else math.nan}

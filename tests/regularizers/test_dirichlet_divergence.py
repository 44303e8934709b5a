"""The divergence from the flat Dirichlet distribution, against an integral over draws of an independent sampler."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tf_edd.errors import UserError
from tf_edd.regularizers import DirichletDivergence, StepContext
from tf_edd.relaxations import BoundRelaxation, Dirichlet, Softmax

LOGITS = {"normal": np.array([[0.0, 0.5, -0.5], [1.0, 0.2, 2.0]]), "reduce": np.array([[-1.0, 0.3, 0.1, 0.7]])}


def elu(x):
    return np.where(x > 0, x, np.expm1(x))


def context(logits):
    logits = {name: tf.constant(value, tf.float32) for name, value in logits.items()}
    return StepContext("arch", None, None, logits, {}, None, None, None, None)


def test_value_is_the_mean_of_the_log_ratio_over_draws():
    """KL(p || q) = E_p ln(p / q), with the densities and the sampler of SciPy."""
    expected = 0.0
    for table in LOGITS.values():
        for row in table:
            drawn = stats.dirichlet(elu(row) + 1)
            points = drawn.rvs(200_000, random_state=0).T
            expected += np.mean(drawn.logpdf(points) - stats.dirichlet(np.ones(len(row))).logpdf(points))
    np.testing.assert_allclose(DirichletDivergence(0.01)(context(LOGITS)), 0.01 * expected, rtol=0.01)


def test_the_flat_distribution_has_none():
    np.testing.assert_allclose(DirichletDivergence()(context({"cell": np.zeros((6, 5))})), 0.0, atol=1e-8)


def test_refuses_another_relaxation_and_a_weight_without_effect():
    assert DirichletDivergence().build(None, None, BoundRelaxation(Dirichlet()), None) == DirichletDivergence()
    with pytest.raises(UserError, match=r"with the relaxation Dirichlet\(\). Received: Softmax\(\)"):
        DirichletDivergence().build(None, None, BoundRelaxation(Softmax()), None)
    with pytest.raises(UserError, match="weight must be a positive number"):
        DirichletDivergence(0.0)

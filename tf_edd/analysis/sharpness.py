"""The sharpness of the validation loss around the architecture logits: dominant eigenvalue, loss of perturbed logits.

A sharp minimum goes with a large loss of accuracy when the mixture is reduced to one operation per edge.

Source: Zela et al., "Understanding and Robustifying Differentiable Architecture Search", arXiv 1909.09656.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from absl import logging
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from tf_edd.errors import UserError
from tf_edd.networks.stateless import call_stateless

WHICH = {"algebraic": "LA", "magnitude": "LM"}  # their names in ARPACK
SYMMETRY = 1e-3  # relative: float32 leaves 1e-6 where no probability is near 0 or 1
_ZERO = tf.UnconnectedGradients.ZERO


class LossSurface:
    """The validation loss as a function of the architecture logits of all cell types together, one vector [n].

    L(A) = mean over the batches of the cross-entropy of supernet(images, mean(A, t)): without the noise of a
    relaxation, without regularizers and what surrounds edges only in training, and with the statistics of each batch.
    No variable of the supernet is written, moving averages and the state of noise included.

    Everything is computed on one device, whatever the `tf.distribute` strategy.

    Args:
        supernet: `supernet(images, probs, training, fixed_weights)`, built.
        mean: logits by the names of `shapes`, temperature -> probabilities by cell type, with their own derivatives and
            not those of a custom gradient.
        shapes: name -> shape of each table of logits.
        batches: images [B, H, W, channels] and labels [B], of one shape.
    """

    def __init__(self, supernet, mean: Callable, shapes: Mapping[str, tuple[int, ...]], batches: Sequence):
        self._supernet, self._mean_weights = supernet, mean
        self._shapes, self._batches = dict(shapes), list(batches)
        self.functions = {
            "loss": tf.function(self._loss, autograph=False),
            "product": tf.function(self._product, autograph=False),
        }

    @property
    def size(self) -> int:
        """Logits n of all cell types."""
        return sum(int(np.prod(shape)) for shape in self._shapes.values())

    def loss(self, logits: np.ndarray, temperature: float) -> float:
        """L(A) at logits [n]."""
        return float(self._mean("loss", logits, temperature))

    def product(self, vector: np.ndarray, logits: np.ndarray, temperature: float) -> np.ndarray:
        """The Hessian of L at logits [n], times a vector [n]: by automatic differentiation, exact.

        Raises:
            UserError: an operation of the supernet or of the relaxation has no second derivative.
        """
        try:
            return self._mean("product", logits, temperature, tf.constant(vector, tf.float32))
        except LookupError as error:
            raise UserError(
                "The sharpness needs second derivatives of every operation; remove the action `Sharpness`, or the "
                f"operation from the space. Received: {error}"
            ) from error

    def flat(self, logits: Mapping[str, np.ndarray]) -> np.ndarray:
        """The tables of all cell types as one vector [n], float64."""
        return np.concatenate([np.ravel(np.float64(logits[cell_type])) for cell_type in self._shapes])

    def _mean(self, name, logits, temperature, *arguments):
        point = tf.constant(logits, tf.float32), tf.constant(temperature, tf.float32)
        values = [self.functions[name](*arguments, *point, *batch).numpy() for batch in self._batches]
        return np.mean(np.float64(values), axis=0)

    def _product(self, vector, logits, temperature, images, labels):
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(logits)
            with tf.GradientTape(watch_accessed_variables=False) as inner:
                inner.watch(logits)
                loss = self._loss(logits, temperature, images, labels)
            slope = inner.gradient(loss, logits, unconnected_gradients=_ZERO)
        return outer.gradient(slope, logits, output_gradients=vector, unconnected_gradients=_ZERO)

    def _loss(self, logits, temperature, images, labels):
        probs = self._mean_weights(self._tables(logits), temperature)
        values = [tf.convert_to_tensor(variable.value) for variable in self._supernet.variables]
        outputs, _ = call_stateless(
            self._supernet, values, lambda: self._supernet(images, probs, training=True, fixed_weights=True)
        )
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs))

    def _tables(self, logits):
        parts = tf.split(logits, [int(np.prod(shape)) for shape in self._shapes.values()])
        return {
            cell_type: tf.reshape(part, shape)
            for (cell_type, shape), part in zip(self._shapes.items(), parts, strict=True)
        }


def check_symmetry(product: Callable, size: int, seed: int = 0) -> None:
    """Refuses a product with a matrix that is not symmetric, which no Hessian is.

    Gradients that are not those of the function (clipped gradients, rematerialized edges) can produce one; its
    eigenvalues would mean nothing. Not every wrong gradient is detected: sn-softmax leaves the product symmetric.

    Args:
        product: vector [n] -> matrix times vector [n].
        size: n.
        seed: of the vectors u and v.

    Raises:
        UserError: u^T H v and v^T H u differ.
    """
    one, other = unit_directions(2, size, seed)
    images = product(one), product(other)
    left, right = other @ images[0], one @ images[1]
    if abs(left - right) > SYMMETRY * max(np.linalg.norm(image) for image in images):
        raise UserError(
            "The sharpness needs the second derivative of the loss, but an operation or the relaxation has a "
            "gradient that is not its derivative, or is rematerialized in the backward pass: set search.rematerialize "
            f"= False or remove the action `Sharpness`. Received: u'Hv = {left:.4g} and v'Hu = {right:.4g}"
        )


def dominant_eigenvalue(
    product: Callable,
    size: int,
    which: str = "algebraic",
    iterations: int | None = None,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> float:
    """The dominant eigenvalue of a symmetric matrix [n, n] that is given by its products, by Lanczos' method.

    Args:
        product: vector [n] -> matrix times vector [n].
        size: n.
        which: "algebraic" for the largest eigenvalue, "magnitude" for that of the largest absolute value, with its
            sign.
        iterations: largest number of restarts; None for SciPy's 10 n.
        tolerance: relative, of the eigenvalue.
        seed: of the vector to start with.

    Returns:
        The eigenvalue; NaN (and a warning in the log) where the products are not finite or the method does not
        converge.
    """
    start = unit_directions(1, size, seed)[0]
    image = product(start)
    if size == 1 or not np.any(image):  # ARPACK takes neither
        return float(image[0] / start[0]) if size == 1 else 0.0
    if not np.isfinite(image).all():
        logging.warning("The Hessian of the validation loss is not finite: no eigenvalue")
        return float("nan")
    operator = LinearOperator((size, size), matvec=lambda vector: product(np.ravel(vector)), dtype=np.float64)
    options = {"v0": start, "maxiter": iterations, "tol": tolerance, "return_eigenvectors": False}
    try:
        return float(eigsh(operator, k=1, which=WHICH[which], **options)[0])
    except ArpackError as error:  # of which no convergence is one
        logging.warning("No dominant eigenvalue of the validation loss: %s", error)
        return float("nan")


def loss_difference(loss: Callable, point: np.ndarray, radius: float, directions: np.ndarray) -> float:
    """Mean over unit directions u of L(A + r u) - L(A).

    Args:
        loss: point [n] -> L.
        point: A [n].
        radius: r.
        directions: [m, n].
    """
    return float(np.mean([loss(point + radius * direction) for direction in directions]) - loss(point))


def unit_directions(count: int, size: int, seed: int) -> np.ndarray:
    """Independent random unit vectors [count, size], the same for the same arguments."""
    vectors = np.random.default_rng(np.random.SeedSequence([seed, 0x5A])).standard_normal((count, size))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

"""tf_edd: differentiable neural architecture search in TensorFlow."""

import os

# Keras reads its backend once, at import; the custom loop, the fused kernels and tf.distribute need TensorFlow.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

__version__ = "0.1.0"

"""The embedded data set: scikit-learn's 1,797 handwritten digits."""

import gin
import numpy as np
import sklearn.datasets

from tf_edd.data.images import ImageData
from tf_edd.data.normalisation import measure
from tf_edd.data.sources import ArraySource
from tf_edd.data.stratified import hold_out


@gin.configurable(module="tf_edd.data")
def digits(data_dir: str | None = None, test_fraction: float = 0.2, seed: int = 0) -> ImageData:
    """Handwritten digits, 8 x 8 x 1, the values 0..16 scaled to 0..255; nothing is downloaded.

    Args:
        data_dir: not used; there because all data sets are called with it.
        test_fraction: share of each class that becomes the test split.
        seed: of that choice.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (UCI), the test part.
    """
    del data_dir
    bunch = sklearn.datasets.load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    train, test = (
        ArraySource(images[rows], bunch.target[rows]) for rows in hold_out(bunch.target, test_fraction, seed)
    )
    return ImageData.from_sources("digits", train, test, map(str, bunch.target_names), measure(train.batches(1000)))

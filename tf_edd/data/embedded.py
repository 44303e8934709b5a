"""The embedded data set: scikit-learn's 1,797 handwritten digits."""

import numpy as np
import sklearn.datasets

from tf_edd.data.images import ImageData
from tf_edd.data.normalization import measure
from tf_edd.data.sources import ArraySource
from tf_edd.data.stratified import check_fraction, hold_out
from tf_edd.errors import require_count
from tf_edd.part import part


@part(module="tf_edd.data")
class Digits:
    """Handwritten digits, 8 x 8 x 1, the values 0..16 scaled to 0..255; nothing is downloaded.

    Attributes:
        test_fraction: Share of each class that becomes the test split, in (0, 1).
        seed: Seed of that choice.

    Raises:
        UserError: a fraction outside (0, 1), or a negative seed.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (UCI), the test part.
    """

    test_fraction: float = 0.2
    seed: int = 0

    def __post_init__(self):
        check_fraction(self.test_fraction)
        require_count(0, seed=self.seed)

    def load(self, data_dir: str | None = None) -> ImageData:
        """The data set; `data_dir` is ignored."""
        bunch = sklearn.datasets.load_digits()
        images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
        train, test = (
            ArraySource(images[rows], bunch.target[rows])
            for rows in hold_out(bunch.target, self.test_fraction, self.seed, bunch.target_names)
        )
        return ImageData.from_sources("digits", train, test, map(str, bunch.target_names), measure(train.batches(1000)))

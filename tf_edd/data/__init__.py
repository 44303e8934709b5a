"""Images: data sets, the splits of a search, augmentation.

A data set is a loader (`Digits`, `ImageFolder`, `TfdsImages`), a frozen description whose `load` reads the images, or
an `ImageData` such as `from_arrays` makes. An augmentation is an object of a class here or a plain function.
"""

from tf_edd.data import imagenet16_120  # noqa: F401 (registers the data set with TFDS)
from tf_edd.data.arrays import from_arrays
from tf_edd.data.augmentation import Augmentation, Crop, Cutout, Flip, as_augmentations
from tf_edd.data.color import ColorJitter
from tf_edd.data.embedded import Digits
from tf_edd.data.folder import ImageFolder
from tf_edd.data.from_tfds import TfdsImages
from tf_edd.data.images import Data, ImageData, Images
from tf_edd.data.normalization import normalize
from tf_edd.data.resized_crop import RandomResizedCrop
from tf_edd.data.splits import Splits, split, subset

__all__ = [
    "Augmentation",
    "ColorJitter",
    "Crop",
    "Cutout",
    "Data",
    "Digits",
    "Flip",
    "ImageData",
    "ImageFolder",
    "Images",
    "RandomResizedCrop",
    "Splits",
    "TfdsImages",
    "as_augmentations",
    "from_arrays",
    "normalize",
    "split",
    "subset",
]

"""Images: data sets, the search halves, augmentation."""

from tf_edd.data import imagenet16_120  # noqa: F401 (tells TFDS of the data set)
from tf_edd.data.augmentation import Augmentation, crop, cutout, flip
from tf_edd.data.colour import colour_jitter
from tf_edd.data.embedded import digits
from tf_edd.data.folder import image_folder
from tf_edd.data.from_tfds import tfds_images
from tf_edd.data.images import Halves, ImageData, Images, portion, split
from tf_edd.data.normalisation import normalise
from tf_edd.data.resized_crop import random_resized_crop

__all__ = [
    "Augmentation",
    "Halves",
    "ImageData",
    "Images",
    "colour_jitter",
    "crop",
    "cutout",
    "digits",
    "flip",
    "image_folder",
    "normalise",
    "portion",
    "random_resized_crop",
    "split",
    "tfds_images",
]

"""Images: data sets, the search halves, augmentation."""

from tf_edd.data.augmentation import Augmentation, crop, cutout, flip, random_resized_crop
from tf_edd.data.embedded import digits
from tf_edd.data.folder import image_folder
from tf_edd.data.from_tfds import tfds_images
from tf_edd.data.images import Halves, ImageData, Images, portion, split
from tf_edd.data.normalisation import normalise

__all__ = [
    "Augmentation",
    "Halves",
    "ImageData",
    "Images",
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

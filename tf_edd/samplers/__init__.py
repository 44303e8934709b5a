"""Which paths and which images a one-shot supernet is trained on.

A path is a discrete cell of each kind, as probabilities: one-hot rows [E, O], rows of zeros for edges that the cell
does not keep. A sampler of paths draws one or several for each step from a distribution p [E, O] of each kind; a
sampler of images gives the order of an epoch from a distribution q [N]. Both learn, if they do, once an epoch, and what
they know lies in variables: it is in the checkpoint, and the same on all replicas.

    uniform_paths       SPOS (arXiv 1904.00420): each candidate with the same probability
    fair_paths          FairNAS (arXiv 1907.01845): as many paths a step as candidates, each candidate in one
    importance_paths    PA of PA&DA (arXiv 2302.14772): by the norm of the candidates' gradients
    uniform_images      each image once an epoch
    importance_images   DA of PA&DA: by the norm of the gradient of the loss with respect to an image's outputs
"""

from tf_edd.samplers.images import (
    ImageSampler,
    ImportanceImages,
    UniformImages,
    importance_images,
    uniform_images,
)
from tf_edd.samplers.paths import (
    FairPaths,
    ImportancePaths,
    Paths,
    PathSampler,
    UniformPaths,
    allowed,
    draw_path,
    fair_paths,
    importance_paths,
    uniform,
    uniform_paths,
)

__all__ = [
    "FairPaths",
    "ImageSampler",
    "ImportanceImages",
    "ImportancePaths",
    "PathSampler",
    "Paths",
    "UniformImages",
    "UniformPaths",
    "allowed",
    "draw_path",
    "fair_paths",
    "importance_images",
    "importance_paths",
    "uniform",
    "uniform_images",
    "uniform_paths",
]

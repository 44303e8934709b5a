"""Which paths and which images a one-shot supernet is trained on.

A path is a discrete cell of each type, as probabilities: one-hot rows [E, O], and rows of zeros for edges that the
cell does not keep. A sampler of paths draws one or several for each step from a distribution p [E, O] of each type; a
sampler of images gives the order of an epoch from a distribution q [N]. Samplers that learn do so once per epoch.
Their state is in variables: it is saved in the checkpoint, and it is the same on all replicas.

    UniformPaths        SPOS (arXiv 1904.00420): each candidate with the same probability
    FairPaths           FairNAS (arXiv 1907.01845): as many paths per step as candidates, each candidate in one
    ImportancePaths     PA of PA&DA (arXiv 2302.14772): by the norm of the candidates' gradients
    UniformImages       each image once per epoch
    ImportanceImages    DA of PA&DA: by the norm of the gradient of the loss with respect to an image's outputs

Each is a frozen description; `build` returns what runs in one search.
"""

from tf_edd.samplers.draws import draw_path, uniform
from tf_edd.samplers.fair_paths import FairPaths
from tf_edd.samplers.image_sampler import ImageSampler, RunningImageSampler
from tf_edd.samplers.importance_images import ImportanceImages
from tf_edd.samplers.importance_paths import ImportancePaths
from tf_edd.samplers.path_sampler import Paths, PathSampler, RunningPathSampler
from tf_edd.samplers.uniform_images import UniformImages
from tf_edd.samplers.uniform_paths import UniformPaths

__all__ = [
    "FairPaths",
    "ImageSampler",
    "ImportanceImages",
    "ImportancePaths",
    "PathSampler",
    "Paths",
    "RunningImageSampler",
    "RunningPathSampler",
    "UniformImages",
    "UniformPaths",
    "draw_path",
    "uniform",
]

"""How the weights of a final network are trained."""

import dataclasses
from collections.abc import Callable, Sequence

import keras

from tf_edd.data import Augmentation, as_augmentations
from tf_edd.errors import UserError, require_positive, require_share
from tf_edd.optimizers import SGD
from tf_edd.part import part, shown
from tf_edd.schedules import CosineRate, Rate, check_rate


@part(module="tf_edd.training")
class TrainingRecipe:
    """The loss, its optimizer and what regularizes them; a recipe can be used for many trainings.

        loss = cross entropy(logits) + auxiliary_weight * cross entropy(logits of the auxiliary head)

    The defaults are those by which NAS-Bench-201 trains its cells.

    Attributes:
        optimizer: A Keras optimizer; each training makes a copy. None for SGD with Nesterov momentum 0.9 and a coupled
            weight decay of 5e-4.
        rate: Epoch (from 0) -> learning rate. None for `CosineRate(0.1, epochs)`, over the length of the training.
        label_smoothing: e in the target (1 - e) one_hot + e / classes of both cross entropies.
        auxiliary_weight: Weight of the loss of the auxiliary head; 0.0 for a network without. The head is trained with
            the network, and neither counted nor exported.
        drop_path_rate: p; an operation of a cell is dropped with probability p e / epochs in epoch e = 0, 1, ...
        weight_gradient_clip: Largest global norm of the gradient; None for no limit.
        mixup: alpha of Beta(alpha, alpha); 0.0 for none. A batch is mixed with itself in reverse order: the images, and
            with the same shares their losses. An image's own share is the larger one, by whose label the training
            accuracy counts. For few images (Zhang et al., ICLR 2018, arXiv 1710.09412).
        extra_augmentation: Augmentations that follow those of the data set, such as `Cutout` in the DARTS space.

    Raises:
        UserError: A value out of range, or one of another type.

    Source: https://github.com/D-X-Y/AutoDL-Projects, `configs/nas-benchmark/CIFAR.config`, for the defaults.
    """

    optimizer: keras.optimizers.Optimizer | None = None
    rate: Rate | None = None
    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.0
    drop_path_rate: float = 0.0
    weight_gradient_clip: float | None = None
    mixup: float = 0.0
    extra_augmentation: Sequence[Augmentation | Callable] = ()

    def __post_init__(self):
        if isinstance(self.rate, keras.optimizers.schedules.LearningRateSchedule):
            raise UserError(
                f"rate must count epochs, as CosineRate does. Received: {shown(self.rate)}, which counts steps"
            )
        require_share(below_one=True, label_smoothing=self.label_smoothing, drop_path_rate=self.drop_path_rate)
        if self.auxiliary_weight != 0:
            require_positive(" or 0", auxiliary_weight=self.auxiliary_weight)
        if self.mixup != 0:
            require_positive(" or 0", mixup=self.mixup)
        if self.weight_gradient_clip is not None:
            require_positive(" or None", weight_gradient_clip=self.weight_gradient_clip)
        object.__setattr__(self, "extra_augmentation", as_augmentations(self.extra_augmentation))

    def complete(self, epochs: int) -> "TrainingRecipe":
        """This recipe for a training of so many epochs, with the defaults in place of `None`.

        Raises:
            UserError: What is no schedule of rates for that length.
        """
        if self.rate is not None:
            check_rate("TrainingRecipe.rate", self.rate, epochs)
        optimizer = self.optimizer or SGD(momentum=0.9, nesterov=True, weight_decay=5e-4)
        return dataclasses.replace(self, optimizer=optimizer, rate=self.rate or CosineRate(base=0.1, epochs=epochs))


DEFAULT_RECIPE = TrainingRecipe()

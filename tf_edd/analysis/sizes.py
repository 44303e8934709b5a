"""Sizes of a cell's network and of a supernet, in both conventions for the multiply-adds."""

from tf_edd.analysis import counting
from tf_edd.architectures import genotype as genotypes
from tf_edd.architectures.genotype import Genotype
from tf_edd.networks.check_images import check_images
from tf_edd.spaces.space import Space


def count(
    genotype: Genotype | str,
    space: Space,
    image_shape: tuple[int, int, int] = (32, 32, 3),
    num_classes: int = 10,
) -> dict[str, int]:
    """Parameters and multiply-adds of the final network of a cell.

    Parameters are all that is learned, without auxiliary head and architecture logits. Multiply-adds are those of the
    convolutions and of the linear layer for one image; batch norm, pooling, ReLU and additions count as nothing.

    Args:
        genotype: A genotype, or what `tf_edd.architectures.genotype.load` takes: a file, a text, a published name.
        space: The space, which gives channels and depth.
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.

    Returns:
        "parameters"; "multiply_adds", as the DARTS family counts them; and "multiply_adds_with_bias", with the bias of
        the linear layer, as in the records of NAS-Bench-201.

    Raises:
        UserError: A genotype of another space, or images that are too small for the network.
    """
    check_images(space, image_shape)
    cell = genotypes.load(genotype, space) if isinstance(genotype, str) else genotype
    return _conventions(lambda bias: counting.count(space, cell, image_shape, num_classes, bias))


def count_supernet(
    space: Space, image_shape: tuple[int, int, int] = (32, 32, 3), num_classes: int = 10
) -> dict[str, int]:
    """The same of the supernet with all candidates.

    Raises:
        UserError: Images that are too small for the network.
    """
    check_images(space, image_shape)
    return _conventions(lambda bias: counting.count_supernet(space, image_shape, num_classes, bias))


def _conventions(counter) -> dict[str, int]:
    plain, biased = counter(False), counter(True)
    return {
        "parameters": plain.parameters,
        "multiply_adds": plain.multiply_adds,
        "multiply_adds_with_bias": biased.multiply_adds,
    }

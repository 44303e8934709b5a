"""Which images the networks of a space can read."""

from tf_edd.errors import UserError
from tf_edd.spaces.space import Space

# Role of an auxiliary head -> side of the maps it is made for.
AUXILIARY_SIDES = {"auxiliary_cifar": 8, "auxiliary_imagenet": 7}


def check_images(space: Space, image_shape: tuple[int, int, int], auxiliary: bool = False) -> None:
    """A map of one pixel cannot be halved, and an auxiliary head reads maps of one size alone.

    Args:
        space: the search space, whose macro skeleton is that of the network.
        image_shape: (H, W, C).
        auxiliary: whether the network is trained with its auxiliary head.

    Raises:
        UserError: images that are too small, or that do not fit the auxiliary head.
    """
    scale = space.wires[-1].scales[-1]
    if min(image_shape[:2]) < scale:
        raise UserError(
            f"The network of space {space.name!r} reduces the sides of its images by {scale}; it needs at least "
            f"{scale}x{scale} pixels. Received: images of {image_shape[0]}x{image_shape[1]}"
        )
    if auxiliary:
        check_auxiliary(space, image_shape)


def check_auxiliary(space: Space, image_shape: tuple[int, int, int]) -> None:
    """An auxiliary head at scale s reads maps of ceil(side / s) pixels a side, which must be those it is made for.

    Raises:
        UserError: no auxiliary head in this space, or maps of another size.
    """
    branches = [(block, wire.scales[-1]) for block, wire in zip(space.blocks, space.wires, strict=True)]
    branches = [(block, scale) for block, scale in branches if block.auxiliary]
    if not branches:
        raise UserError(
            f"Space {space.name!r} has no auxiliary head: its networks need auxiliary_weight 0. "
            "Received: an auxiliary head to be trained"
        )
    for block, scale in branches:
        side, maps = AUXILIARY_SIDES[block.role], [-(-pixels // scale) for pixels in image_shape[:2]]
        if maps != [side, side]:
            raise UserError(
                f"The auxiliary head of space {space.name!r} reads maps of {side}x{side}, the images are reduced by "
                f"{scale} before it; other image sizes need auxiliary_weight 0. "
                f"Received: maps of {maps[0]}x{maps[1]} from images of {image_shape[0]}x{image_shape[1]}"
            )

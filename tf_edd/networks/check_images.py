"""Checks that the networks of a space can read the images."""

from tf_edd.errors import UserError
from tf_edd.networks import roles
from tf_edd.spaces.space import Space


def check_images(space: Space, image_shape: tuple[int, int, int], auxiliary: bool = False) -> None:
    """Refuses images that the reductions would halve below one pixel, or that do not fit the auxiliary head.

    Args:
        space: the search space, which gives the macro skeleton.
        image_shape: (H, W, C).
        auxiliary: whether the network is trained with its auxiliary head.

    Raises:
        UserError: Images that are too small, or that do not fit the auxiliary head.
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
    """Refuses images of another size than the auxiliary head is made for; at scale s it reads ceil(side / s) pixels.

    Raises:
        UserError: No auxiliary head in this space, or maps of another size.
    """
    branches = [(block, wire.scales[-1]) for block, wire in zip(space.blocks, space.wires, strict=True)]
    branches = [(block, scale) for block, scale in branches if block.auxiliary]
    if not branches:
        raise UserError(f"Space {space.name!r} has no auxiliary head: its networks need auxiliary_weight 0.")
    for block, scale in branches:
        side, maps = roles.find(block.role).side, [-(-pixels // scale) for pixels in image_shape[:2]]
        if side and maps != [side, side]:
            raise UserError(
                f"The auxiliary head of space {space.name!r} reads maps of {side}x{side}, the images are reduced by "
                f"{scale} before it; other image sizes need auxiliary_weight 0. "
                f"Received: maps of {maps[0]}x{maps[1]} from images of {image_shape[0]}x{image_shape[1]}"
            )

"""Images that the networks of a space can read."""

import pytest

from tf_edd.errors import UserError
from tf_edd.networks.check_images import check_auxiliary, check_images
from tf_edd.networks.roles import ROLES
from tf_edd.spaces import darts, darts_imagenet, nas_bench_201, proxyless


# Two halvings each in the CIFAR networks, five in those for ImageNet.
@pytest.mark.parametrize(
    ("space", "scale"), [(darts(), 4), (nas_bench_201(), 4), (darts_imagenet(), 32), (proxyless(), 32)]
)
def test_a_side_below_the_reduction_is_refused(space, scale):
    check_images(space, (scale, scale + 1, 3))
    for shape in ((scale - 1, scale, 3), (scale, scale - 1, 3)):
        with pytest.raises(UserError, match=f"images by {scale}.*Received: images of {shape[0]}x{shape[1]}"):
            check_images(space, shape)


@pytest.mark.parametrize(
    ("space", "sides", "refused", "maps"),
    [
        (darts(36, 20), (29, 32), (16, 28, 33, 36), "8x8"),
        (darts_imagenet(), (193, 224), (192, 225, 256), "7x7"),
    ],
)
def test_an_auxiliary_head_reads_maps_of_one_size(space, sides, refused, maps):
    """Each halving rounds up: four or 32 sides in a row have maps of the same size."""
    for side in sides:
        check_images(space, (side, side, 3), auxiliary=True)
    for side in refused:
        check_images(space, (side, side, 3))
        for shape in ((side, sides[-1], 3), (sides[-1], side, 3)):
            with pytest.raises(UserError, match=f"reads maps of {maps}.*from images of {shape[0]}x{shape[1]}"):
                check_images(space, shape, auxiliary=True)


def test_a_space_without_auxiliary_head():
    with pytest.raises(UserError, match="'nas_bench_201' has no auxiliary head"):
        check_auxiliary(nas_bench_201(), (32, 32, 3))


def test_every_auxiliary_head_has_a_size_and_nothing_else_has():
    assert all((role.side is not None) == name.startswith("auxiliary") for name, role in ROLES.items())

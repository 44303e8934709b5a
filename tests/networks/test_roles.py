"""The table of roles: counts against built layers."""

import numpy as np
import pytest

from tf_edd.errors import UserError
from tf_edd.networks.roles import ROLES, Role, build_block
from tf_edd.operations.costs import Maps
from tf_edd.spaces import Block

NORM = {"affine": True, "running_statistics": True}
STRIDES = {"stem_quarter": 4, "stem_eighth": 2, "reduction": 2}
LINEAR = {"head", "classifier"}  # the linear layer is counted by the network
SIDE_BRANCHES = {name for name, role in ROLES.items() if role.side}  # the counts leave them out


@pytest.mark.parametrize("role", sorted(ROLES.keys() - SIDE_BRANCHES))
def test_parameters_and_maps_equal_those_of_the_layer(role):
    block = Block(role, 8, STRIDES.get(role, 1))
    layer = build_block(block, 5, NORM, role)
    layer.build((None, 12, 9, 6))
    cost = ROLES[role].cost(block, Maps(12, 9, 6))
    linear = 6 * 5 + 5 if role in LINEAR else 0
    assert sum(int(np.prod(v.shape)) for v in layer.trainable_variables) == cost.counts.parameters + linear
    if role not in LINEAR:
        shape = (None, cost.out.height, cost.out.width, cost.out.channels)
        assert layer.compute_output_shape((None, 12, 9, 6)) == shape


@pytest.mark.parametrize("role", sorted(SIDE_BRANCHES))
def test_auxiliary_heads_read_maps_of_their_side(role):
    side = ROLES[role].side
    layer = build_block(Block(role, 8), 5, NORM, role)
    assert layer(np.zeros((2, side, side, 6), np.float32)).shape == (2, 5)


def test_a_row_without_a_field_is_refused_at_once():
    with pytest.raises(TypeError, match="label"):
        Role(build=lambda *_: None, cost=ROLES["stem"].cost)


def test_an_unknown_role_is_named():
    with pytest.raises(UserError, match="Received: 'roof'"):
        build_block(Block("roof", 4), 5, NORM, "roof")

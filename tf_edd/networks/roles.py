"""The blocks of a macro skeleton that are no cells: one row of `ROLES` holds everything the package knows about one.

Reading the table loads no layers and no TensorFlow: counts, drawings and checks need neither.
"""

import dataclasses
import pkgutil
from collections.abc import Callable
from typing import Any

from tf_edd.errors import UserError
from tf_edd.networks import costs
from tf_edd.networks.costs import BlockCost
from tf_edd.operations.costs import Maps
from tf_edd.spaces.space import Block


@dataclasses.dataclass(frozen=True)
class Role:
    """What a block of the macro skeleton is.

    Supernet and final network build it alike, but for the arguments of its batch norms. Roles whose names begin with
    "auxiliary" are side branches, which the training of a final network may add; a supernet and the counts have none.

    Attributes:
        build: `build(block, num_classes, norm, name)` returns its layer; `norm` holds the arguments of its batch norms.
        cost: `cost(block, maps)`, by arithmetic that does not look at the layer.
        label: short name in drawings.
        side: height and width of the maps that an auxiliary head reads; None for any.
    """

    build: Callable[[Block, int, dict, str], Any]
    cost: Callable[[Block, Maps], BlockCost]
    label: str
    side: int | None = None


def _layer(target: str) -> Callable:
    """A builder `module:function` of this package, which is imported when it is first called."""

    def build(block, num_classes, norm, name):
        return pkgutil.resolve_name(f"tf_edd.networks.{target}")(block, num_classes, norm, name)

    return build


ROLES: dict[str, Role] = {
    "stem": Role(_layer("blocks:stem"), costs.stem, "conv 3×3"),
    "stem_quarter": Role(_layer("blocks:stem_quarter"), costs.stem_quarter, "2 conv 3×3"),
    "stem_eighth": Role(_layer("blocks:stem_eighth"), costs.stem, "conv 3×3"),
    "reduction": Role(_layer("blocks:reduction"), costs.reduction, "reduction"),
    "mobile_stem": Role(_layer("blocks:mobile_stem"), costs.mobile_stem, "conv 3×3"),
    "mobile_first": Role(_layer("blocks:mobile_first"), costs.mobile_first, "MB1 3×3"),
    "mobile_head": Role(_layer("blocks:mobile_head"), costs.mobile_head, "conv 1×1"),
    "head": Role(_layer("blocks:head"), costs.head, "pool, linear"),
    "classifier": Role(_layer("blocks:classifier"), costs.nothing, "pool, linear"),
    "auxiliary_cifar": Role(_layer("auxiliary:for_cifar"), costs.nothing, "auxiliary head", side=8),
    "auxiliary_imagenet": Role(_layer("auxiliary:for_imagenet"), costs.nothing, "auxiliary head", side=7),
}


def find(role: str) -> Role:
    """The row of a role.

    Raises:
        UserError: No such role.
    """
    if role not in ROLES:
        raise UserError(f"Expected a block of role {['cell', *ROLES]}. Received: {role!r}")
    return ROLES[role]


def build_block(block: Block, num_classes: int, norm: dict, name: str):
    """The layer of a block of the macro skeleton that is not a cell.

    Raises:
        UserError: A block of an unknown role.
    """
    return find(block.role).build(block, num_classes, norm, name)

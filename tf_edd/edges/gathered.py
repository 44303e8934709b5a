"""What surrounds the candidates of an edge, by name, so that configurations can be combined."""

from tf_edd.networks.edge_part import EdgePart
from tf_edd.part import checked


@checked(module="tf_edd.edges")
def edges(
    partial_channels: EdgePart | None = None,
    auxiliary_skip: EdgePart | None = None,
    drop_path: EdgePart | None = None,
    **named: EdgePart | None,
) -> tuple[EdgePart, ...]:
    """What surrounds the candidates of an edge, each under a name; one gin file adds to the parts of another.

        edges.partial_channels = @PartialChannels()

    Args:
        partial_channels: Next to the candidates.
        auxiliary_skip: Around it, so that the skip connection has all channels.
        drop_path: Around both, so that it drops whole edges.
        **named: Around these, sorted by name. None removes the one that an earlier file has given this name.

    Returns:
        The parts, the first next to the candidates.

    Raises:
        UserError: Something that surrounds no edges.
    """
    parts = [partial_channels, auxiliary_skip, drop_path, *(named[name] for name in sorted(named))]
    return tuple(part for part in parts if part is not None)

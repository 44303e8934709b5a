"""The regularizers of a search, by name, so that configurations can be combined."""

from tf_edd.errors import UserError
from tf_edd.part import checked
from tf_edd.regularizers.regularizer import Regularizer


@checked(module="tf_edd.regularizers")
def regularizers(**named: Regularizer | None) -> tuple[Regularizer, ...]:
    """The regularizers of a search, each under a name; one gin file adds a regularizer to those of another.

        regularizers.self_distillation = @SelfDistillation()

    Args:
        **named: Name -> regularizer. None removes the one that an earlier file has given this name.

    Returns:
        The regularizers, sorted by their names.

    Raises:
        UserError: Something that is no regularizer.
    """
    for name, part in named.items():
        if part is not None and not isinstance(part, Regularizer):
            raise UserError(f"{name} must be a regularizer, such as @SelfDistillation(), or None. Received: {part!r}")
    return tuple(named[name] for name in sorted(named) if named[name] is not None)

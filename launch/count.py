"""Counts parameters and multiply-adds of a cell, at the size of its search and at that of its final network.

The gin files bind the sizes: search.space, retrain.space, or both. The cell is a genotype file, a cell in the text of
its space, or the name of a published one:

  python -m launch.count --genotype=DARTS_V2 --gin_file=spaces/darts.gin \\
      --gin_file=recipes/darts_retrain_cifar_600_epochs.gin
  python -m launch.count --genotype=DARTS_V2 --image_shape=224,224,3 --classes=1000 \\
      --gin_file=recipes/darts_retrain_imagenet_250_epochs.gin

Parameters are all that is learned, without auxiliary head and architecture logits. Multiply-adds are those of
convolutions and of the linear layer for one image; batch norm, pooling, ReLU and additions count as nothing. The
records of NAS-Bench-201 add the bias of the linear layer, the DARTS family does not: both conventions are printed.
"""

import copy

import gin
from absl import flags

from launch import common
from tf_edd.analysis import sizes
from tf_edd.errors import UserError

common.define_flags("gin")
FLAGS = flags.FLAGS
CONVENTION = "Multiply-adds: those of convolutions and of the linear layer, none of batch norm, pooling and additions."


def define_flags() -> None:
    """Defines the flags of this program; other programs have a --genotype too."""
    flags.DEFINE_string("genotype", None, "Genotype file, cell text, or name of a published cell.")
    flags.DEFINE_list("image_shape", ["32", "32", "3"], "Height, width and channels of the images.")
    flags.DEFINE_integer("classes", 10, "Classes of the data.", lower_bound=1)


def describe(genotype: str, image_shape: tuple[int, int, int], num_classes: int) -> str:
    """The text that this program prints.

    Raises:
        UserError: No space is bound, or the cell or the images do not fit it.
    """
    lines = [("images", f"{'x'.join(map(str, image_shape))}, {num_classes} classes")]
    for root, space in _bound_spaces().items():
        cells = [block for block in space.blocks if block.role == "cell"]
        size = f"{space.name}, {cells[0].channels} channels, {len(cells)} cells"
        if root == "search":
            lines += _rows(f"supernet ({size})", sizes.count_supernet(space, image_shape, num_classes))
        lines += _rows(f"cell ({size})", sizes.count(genotype, space, image_shape, num_classes))
    width = max(len(title) for title, _ in lines)
    return "\n".join([*(f"{title:<{width}}  {value}" for title, value in lines), CONVENTION])


def _bound_spaces() -> dict:
    """The spaces that the gin files bind for `search` and `retrain`."""
    bound = {root: gin.get_bindings(root, resolve_references=False).get("space") for root in ("search", "retrain")}
    # The copy evaluates @space(), as `get_bindings` itself would together with every other part of the program.
    spaces = {root: copy.deepcopy(space) for root, space in bound.items() if space is not None}
    if not spaces:
        raise UserError("Expected gin files that bind search.space or retrain.space. Received: neither")
    return spaces


def _rows(title: str, size: dict[str, int]) -> list[tuple[str, str]]:
    flops = f"{size['multiply_adds']:,} without linear bias, {size['multiply_adds_with_bias']:,} with it"
    return [(f"{title}: parameters", f"{size['parameters']:,}"), (f"{title}: multiply-adds", flops)]


def main() -> None:
    """Prints the sizes."""
    shape = FLAGS.image_shape
    if len(shape) != 3 or not all(side.isdecimal() and int(side) > 0 for side in shape):
        raise UserError(f"--image_shape must be height, width and channels. Received: {','.join(shape)}")
    common.parse_gin(())
    print(describe(FLAGS.genotype, tuple(map(int, shape)), FLAGS.classes))


def run() -> None:
    """Runs the program."""
    define_flags()
    common.launch(main, required=("genotype",))


if __name__ == "__main__":
    run()

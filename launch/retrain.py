"""Trains the network of a searched cell from scratch: python -m launch.retrain --gin_file=... --model_dir=...

The cell is that of the finished search in model_dir, unless --genotype names another: a genotype file, the folder that
holds it, the text of a cell, or a published cell of the DARTS family such as DARTS_V2 or PC_DARTS_cifar:

  python -m launch.retrain --gin_file=recipes/nb201_retrain_200_epochs.gin --gin_file=datasets/cifar10.gin \\
      --data_dir=$TFDS --model_dir=runs/edd
  python -m launch.retrain --gin_file=recipes/nb201_retrain_200_epochs.gin --gin_file=datasets/digits.gin \\
      --genotype="|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|" \\
      --model_dir=runs/cell --gin_param='retrain.epochs=20' --gin_param='retrain/CosineRate.epochs=20'
  python -m launch.retrain --gin_file=recipes/darts_retrain_cifar_600_epochs.gin --gin_file=datasets/cifar100.gin \\
      --genotype=DARTS_V2 --data_dir=$TFDS --model_dir=runs/darts_v2_cifar100
  python -m launch.retrain --gin_file=recipes/darts_retrain_imagenet_250_epochs.gin \\
      --gin_file=datasets/imagenet2012.gin --genotype=runs/edd/search/genotype.json --data_dir=$TFDS \\
      --model_dir=runs/edd_imagenet

A cell found on one data set can thus be trained on another: classes and stem are those of the gin files. A cell of
another space and images that are too small for the network are refused.

Gin files are looked for from the working directory, in --gin_search_path, then among the installed configurations.
--dry_run prints parameters, multiply-adds, steps, passes over the images, and the minutes, estimated from a few steps
on random images; it writes nothing. The same command continues an interrupted training; a finished one is never
overwritten unless --overwrite is given. Checkpoints, curves and results.json are written to model_dir/retrain, where
launch.evaluate and launch.export find them.

For your own images there is a recipe whose length does not depend on their number, and which chooses the best network
by held-out images:

  python -m launch.retrain --gin_file=recipes/nb201_retrain_own_images.gin --gin_file=datasets/image_folder.gin \\
      --gin_param='ImageFolder.directory = "my_images"' --model_dir=runs/mine
"""

from absl import flags, logging

from launch import common

common.define_flags("model_dir", "data_dir", "gin", "machine", "dry_run", "overwrite")
FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the flags of this program alone; other programs have a --genotype too."""
    flags.DEFINE_string("genotype", None, "Genotype file, cell text or published name; default: model_dir/search.")


def describe(values: dict) -> str:
    """Names and values as aligned lines."""
    width = max(map(len, values))
    rows = ((name, f"{value:,}" if isinstance(value, int) else value) for name, value in values.items())
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)


def main() -> None:
    """Trains, or describes the training."""
    common.require_gin("recipes/nb201_retrain_200_epochs.gin")
    runtime = common.setup(("retrain",))
    from tf_edd.runtime.dry_run import TIMED  # behind the flags, see `common`
    from tf_edd.training.retrain import retrain

    arguments = common.run_arguments() | {"dry_run": TIMED if FLAGS.dry_run else False}
    results = common.bound(retrain)(FLAGS.model_dir, FLAGS.genotype, **arguments)
    if FLAGS.dry_run:
        print(describe(results))
    elif runtime.chief:
        network = f"network of epoch {results['best_epoch']}, chosen by {results['chosen_by']}"
        print(f"Test accuracy: {results['best']['accuracy/test']:.4f} ({network}; ended {results['ended']})")
        print(f"Written to: {FLAGS.model_dir}/retrain")


def run() -> None:
    """Entry point of the installed command."""
    define_flags()
    logging.set_verbosity(logging.INFO)
    common.launch(main, required=("model_dir",), resumable=True)


if __name__ == "__main__":
    run()

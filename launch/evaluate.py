"""Measures a retrained network, or an exported model, on the test split: python -m launch.evaluate --model_dir=...

  python -m launch.evaluate --model_dir=runs/edd --data_dir=$TFDS
  python -m launch.evaluate --model_dir=runs/edd --data_dir=$TFDS --gin_param='evaluate.which="last"'
  python -m launch.evaluate --saved_model=runs/edd/export/saved_model --gin_file=datasets/cifar10.gin --data_dir=$TFDS

Without --gin_file the data set is the one in the configuration of the retraining. Loss, accuracy, top-5 accuracy and
the accuracy of each class are printed and written to model_dir/retrain/evaluation.json (those of
model_dir/export/saved_model to model_dir/export/evaluation.json, if --model_dir is given).
"""

import json

from absl import flags

from launch import common
from tf_edd.errors import UserError

common.define_flags("model_dir", "data_dir", "gin", "machine")
FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the flags of this program alone."""
    flags.DEFINE_string("saved_model", None, "Folder of an exported model to measure instead of the retrained network.")


def _recorded() -> list[str]:
    """The gin file of the retraining, unless --gin_file takes its place.

    Raises:
        UserError: Nothing to measure, or no data set to measure it on.
    """
    if not (FLAGS.model_dir or FLAGS.saved_model):
        raise UserError("The program needs --model_dir, or --saved_model with --gin_file (--help tells more)")
    if FLAGS.gin_file:
        return []
    if FLAGS.model_dir:
        return common.needed_config(FLAGS.model_dir, "retrain", "finished retraining")
    raise UserError("--saved_model needs --gin_file with its data set, such as --gin_file=datasets/cifar10.gin")


def main() -> None:
    """Measures and prints."""
    runtime = common.setup(("evaluate",), recorded=_recorded())
    from tf_edd.training.evaluate import evaluate

    result = common.bound(evaluate)(FLAGS.model_dir, saved_model=FLAGS.saved_model, data_dir=FLAGS.data_dir)
    if runtime.chief:
        print(json.dumps(result, indent=2))


def run() -> None:
    """Entry point of the installed command."""
    define_flags()
    common.launch(main)


if __name__ == "__main__":
    run()

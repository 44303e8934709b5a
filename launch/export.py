"""Exports a retrained network for use without this package: python -m launch.export --model_dir=...

  python -m launch.export --model_dir=runs/edd --data_dir=$TFDS

writes model_dir/export with saved_model/, model.keras, labels.txt and model_card.json. The SavedModel takes raw images:

  model = tf.saved_model.load("runs/edd/export/saved_model")
  model.serve(images)          # float32 [B, H, W, C], 0..255
  model.serve_uint8(images)    # uint8
  model.labels()["labels"]     # the class names

and returns probabilities [B, classes], class_name [B] and logits. Images of another shape are refused with one message;
an image with NaN or infinite pixels has NaN probabilities and an empty class name. The signature "logits" converts to
LiteRT and ONNX, see "convert" in model_card.json.
The written model is loaded in a new process and compared with the network; model_card.json records the largest
difference and the accuracy. Without --gin_file the data set is the one in the configuration of the retraining.
"""

from absl import flags, logging

from launch import common
from tf_edd.runtime import files

common.define_flags("model_dir", "data_dir", "gin", "overwrite")
FLAGS = flags.FLAGS


def main() -> None:
    """Exports and checks."""
    recorded = [] if FLAGS.gin_file else common.needed_config(FLAGS.model_dir, "retrain", "finished retraining")
    common.parse_gin(("export",), recorded=recorded)
    from tf_edd.runtime.strategy import configure
    from tf_edd.training.export import CARD, export

    common.bound(configure)(precision=None)
    common.bound(export)(FLAGS.model_dir, data_dir=FLAGS.data_dir, overwrite=FLAGS.overwrite)
    check = files.read_json(f"{FLAGS.model_dir}/export/{CARD}")["reloaded"]
    print(f"Reloaded in a new process: accuracy {check['accuracy']:.4f} on {check['images']} test images, largest")
    print(f"difference of a logit {check['max_logit_difference']:.2g}. Written to: {FLAGS.model_dir}/export")


def run() -> None:
    """Entry point of the installed command."""
    logging.set_verbosity(logging.INFO)
    common.launch(main, required=("model_dir",))


if __name__ == "__main__":
    run()

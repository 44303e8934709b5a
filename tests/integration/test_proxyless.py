"""The mobile space from the search to the exported model, at the smallest size, on the embedded digits."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_search import run

from tf_edd import data
from tf_edd.actions import CollapseWarning, Drawings, GenotypeLog, TensorBoard
from tf_edd.analysis.counting import count
from tf_edd.architectures.genotype import load
from tf_edd.optimizers import SGD
from tf_edd.relaxations import Softmax
from tf_edd.runtime import files
from tf_edd.schedules import ConstantRate, ConstantTemperature
from tf_edd.spaces import proxyless
from tf_edd.training.evaluate import evaluate
from tf_edd.training.export import export
from tf_edd.training.recipe import TrainingRecipe
from tf_edd.training.retrain import retrain

SPACE = proxyless((4, 4), (2, 1), (1, 2), stem_width=4, stem_stride=1, first_width=4, head_width=8)


@pytest.mark.slow
def test_search_retrain_evaluate_export(tmp_path):
    genotype = run(
        tmp_path,
        space=SPACE,
        epochs=1,
        relaxation=Softmax(),
        temperature=ConstantTemperature(),
        actions=(TensorBoard(), GenotypeLog(), Drawings(), CollapseWarning()),
    ).genotype
    folder = tmp_path / "search"
    assert genotype.check(SPACE) == load(str(folder), SPACE) == load(str(genotype), SPACE)
    (row,) = files.read_lines(folder / "genotypes.jsonl")
    assert {cell_type: np.shape(table) for cell_type, table in row["probs"].items()} == SPACE.logit_shapes
    assert np.log(6) * 0.98 < row["arch/entropy"] < np.log(7)  # two blocks of seven candidates, one of six
    assert (folder / "cell.png").is_file() and (folder / "heat_map.png").is_file()
    wide = proxyless((6, 8), (2, 1), (1, 2), stem_width=4, stem_stride=1, first_width=6, head_width=8)
    retrained = retrain(
        tmp_path,
        space=wide,
        data=data.Digits(),
        recipe=TrainingRecipe(SGD(), ConstantRate(0.05), label_smoothing=0.1, drop_path_rate=0.1),
        epochs=1,
        batch_size=64,
    )
    parameters = count(wide, genotype, (8, 8, 1), 10).parameters
    assert retrained["parameters"] == parameters
    assert 0 <= evaluate(tmp_path, data=data.Digits())["accuracy"] <= 1
    export(tmp_path, data=data.Digits(), check_images=20)
    card = files.read_json(tmp_path / "export" / "model_card.json")
    assert card["reloaded"]["max_logit_difference"] < 1e-4 and not card["reloaded"]["imported_tf_edd"]
    served = tf.saved_model.load(str(tmp_path / "export" / "saved_model"))
    answer = served.serve_uint8(tf.zeros((1, 8, 8, 1), tf.uint8))
    np.testing.assert_allclose(np.sum(answer["probabilities"]), 1, rtol=1e-5)

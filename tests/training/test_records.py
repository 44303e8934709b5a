"""The state of a retraining."""

import json

from tf_edd.training.records import RetrainState


def test_best_is_by_accuracy_then_loss():
    state = RetrainState()
    taken = []
    for state.epoch, pair in enumerate([(0.5, 1.0), (0.5, 0.9), (0.4, 0.1), (0.5, 0.95), (0.6, 3.0)], start=1):
        taken.append(state.take_best(*pair))
    assert taken == [True, True, False, False, True] and state.best_epoch == 5
    copy = RetrainState()
    copy.load_state_dict(json.loads(json.dumps(state.state_dict())))
    assert copy == state

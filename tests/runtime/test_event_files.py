"""Event files that a later process continues."""

import numpy as np
import tensorflow as tf
from next_second import wait_for_the_next_second
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from tf_edd.runtime.event_files import open_events


def write(folder, first_step, values):
    writer = open_events(folder, first_step)
    with writer.as_default():
        for step, value in values.items():
            tf.summary.scalar("loss", value, step=step)
    writer.close()


def test_a_step_that_is_written_again_stands_there_once(tmp_path):
    write(tmp_path, 0, {0: 9.0, 1: 1.0, 2: 2.0})
    wait_for_the_next_second()
    write(tmp_path, 2, {2: 20.0, 3: 30.0})
    events = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0}).Reload().Tensors("loss")
    found = {event.step: float(tensor_util.make_ndarray(event.tensor_proto)) for event in events}
    assert len(events) == 4
    np.testing.assert_array_equal([found[step] for step in range(4)], [9.0, 1.0, 20.0, 30.0])

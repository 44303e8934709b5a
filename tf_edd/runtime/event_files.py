"""Event files of TensorBoard that a program continues after a kill."""

from pathlib import Path

import tensorflow as tf
from tensorboard.compat.proto import event_pb2


def open_events(folder: Path, first_step: int) -> tf.summary.SummaryWriter:
    """A writer whose file begins with the mark that makes TensorBoard drop what it has from `first_step` on.

    A kill may come after an epoch was written and before its checkpoint: that epoch is written again.
    """
    writer = tf.summary.create_file_writer(str(folder))
    mark = event_pb2.Event(step=first_step, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START))
    # The writers of TF 2 have no public way to write an event that is not a summary.
    tf.raw_ops.ImportEvent(writer=writer._resource, event=mark.SerializeToString())
    return writer

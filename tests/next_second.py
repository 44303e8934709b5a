"""The pause between a process and the one that continues its event files."""

import time


def wait_for_the_next_second() -> None:
    """Waits as long as a second process takes at least to begin.

    TensorBoard reads event files in the order of their names, which have the second and then the number of the writer
    in its process, where 10 comes before 9. Two writers of one process would be read in the wrong order now and then.
    """
    time.sleep(1.01 - time.time() % 1)

"""What helps while TensorFlow traces a step."""

import contextlib
import gc


@contextlib.contextmanager
def no_collection():
    """Without Python's garbage collection, which looks through a growing graph again and again as it is traced."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()

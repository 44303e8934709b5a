"""Differentiable neural architecture search in TensorFlow.

A search method is a composition of small parts; what a gin file composes is exactly what a person writes in Python:

    import tf_edd
    from tf_edd import data, spaces

    images = data.from_arrays(x_train, y_train, x_test, y_test)            # uint8 [N, H, W, C]
    method = tf_edd.load_method("methods/edd_darts.gin", epochs=25)
    found = tf_edd.search("runs/mine", space=spaces.nas_bench_201(cells_per_stage=1), data=images, method=method,
                          epochs=25, batch_size=64)
    print(found.genotype, found.history[-1]["accuracy/discretized"])
    tf_edd.retrain("runs/mine", data=images, epochs=20)
    model = tf_edd.export("runs/mine", data=images)                        # a keras.Model beside the SavedModel

Programs: `search`, `vote`, `retrain`, `evaluate`, `export`, `rank`, `table_search`, `count`, `query`, `report`. A
method: `Method`, `load_method`, and the parts in `tf_edd.relaxations`, `schedules`, `steps`, `regularizers`,
`discretizers`, `optimizers`, `samplers`, `selectors`. What is searched and with what: `tf_edd.spaces`,
`pruned_space`, `tf_edd.data`. What is reported: `tf_edd.actions`. The machine: `configure`. Mistakes end in a
`UserError` that says what was expected.

The same from a shell: `tf_edd search --help`.
"""

import importlib
import os
import sys
import types

# Keras reads its backend once, at import; the custom loop, the fused kernels and tf.distribute need TensorFlow.
if "keras" in sys.modules and sys.modules["keras"].config.backend() != "tensorflow":
    raise ImportError(
        "tf_edd needs Keras with the backend tensorflow; import tf_edd before keras, or set KERAS_BACKEND"
    )
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

__version__ = "0.2.0"

# Name -> module that defines it. They are imported when they are asked for: TensorFlow takes seconds.
_PUBLIC = {
    "Genotype": "architectures.genotype",
    "Method": "search.method",
    "SearchResult": "search.result",
    "UserError": "errors",
    "configure": "runtime.strategy",
    "count": "analysis.sizes",
    "evaluate": "training.evaluate",
    "export": "training.export",
    "load_method": "search.load_method",
    "pruned_space": "search.pruned_space",
    "query": "analysis.lookup",
    "rank": "search.rank",
    "report": "analysis.comparison",
    "retrain": "training.retrain",
    "search": "search.search",
    "table_search": "search.table_search",
    "vote": "search.vote",
}
_PACKAGES = (
    "actions",
    "analysis",
    "architectures",
    "data",
    "decisions",
    "discretizers",
    "edges",
    "evaluation",
    "networks",
    "operations",
    "optimizers",
    "regularizers",
    "relaxations",
    "runtime",
    "samplers",
    "schedules",
    "selectors",
    "spaces",
    "steps",
    "stoppers",
    "training",
)
__all__ = [*_PUBLIC, *_PACKAGES]


class _Package(types.ModuleType):
    """This package; its function `search` keeps its name when the folder `search` is imported."""

    def __setattr__(self, name, value):
        if name in _PUBLIC and isinstance(value, types.ModuleType):
            return
        super().__setattr__(name, value)

    def __getattr__(self, name):
        if name in _PUBLIC:
            value = getattr(importlib.import_module(f"tf_edd.{_PUBLIC[name]}"), name)
            super().__setattr__(name, value)
            return value
        if name in _PACKAGES:
            return importlib.import_module(f"tf_edd.{name}")
        raise AttributeError(f"module 'tf_edd' has no attribute {name!r}")

    def __dir__(self):
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Package

"""Everything about machines and disks: configuration, checkpoints, strategies, seeds, progress."""

STRATEGIES = ("auto", "one", "mirrored", "multi_worker")  # names that `strategy.make_strategy` takes

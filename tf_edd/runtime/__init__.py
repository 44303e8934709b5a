"""Everything about machines and disks: configuration, checkpoints, strategies, seeds, progress."""

"""What `dry_run` may be, for every program that has one with a clock."""

from tf_edd.errors import require_one_of

TIMED = "timed"  # a dry run that measures a few steps, as the programs' --dry_run does


def check_dry_run(dry_run) -> None:
    """Raises UserError for anything but False, True and "timed"."""
    require_one_of((False, True, TIMED), dry_run=dry_run)

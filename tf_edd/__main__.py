"""`python -m tf_edd search ...`: the command `tf_edd`."""

from launch.command import run

if __name__ == "__main__":
    run()

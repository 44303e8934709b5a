"""Which candidates move in a step on sampled paths: those of its paths, or all that were used before."""

import numpy as np
from sampled_steps import CHOICE, DECAY, MOMENTUM, RATE, Setup, batch, step


def test_a_candidate_rests_with_its_momentum():
    setup = Setup()
    step(setup)
    slots = [v.numpy() for v in setup.optimizer.velocities]
    setup.paths.choices = ((2,) * 6,)
    setup.build()  # the paths of the first step are constants in its function
    values = [v.numpy() for v in setup.variables]
    step(setup, batch(2), 1)
    resting = [i for i, owner in enumerate(setup.owners()) if owner is not None and owner[1] == 3]
    moved = [i for i in resting if np.abs(slots[i]).max() > 0]
    assert moved  # they had a velocity to go on with
    for i in resting:
        np.testing.assert_array_equal(setup.variables[i], values[i])
        np.testing.assert_array_equal(setup.optimizer.velocities[i], slots[i])


def test_a_used_candidate_goes_on_by_momentum_and_decay_where_the_unused_do_not_rest():
    """By the update of `torch.optim.SGD` for a gradient of zeros: v <- m v + d w, w <- w - r v."""
    setup = Setup(rest_unused=False)
    owners = setup.owners()
    assert not np.any(setup.step.variables["moving"][0])
    initial = [v.numpy() for v in setup.variables]
    step(setup)
    seen = setup.step.variables["moving"]
    np.testing.assert_array_equal(seen[0], np.eye(5)[list(CHOICE)])
    for i, owner in enumerate(owners):
        if owner is not None and CHOICE[owner[0]] != owner[1]:  # never used: not even decay
            np.testing.assert_array_equal(setup.variables[i], initial[i])
    setup.paths.choices = ((2,) * 6,)
    setup.build()  # the paths of the first step are constants in its function
    setup.step.variables["moving"][0].assign(seen[0])
    for number in (1, 2):
        values, slots = ([v.numpy() for v in each] for each in (setup.variables, setup.optimizer.velocities))
        step(setup, batch(number), number)
        moved = [i for i, owner in enumerate(owners) if owner is not None and owner[1] == 3]
        used = [i for i in moved if CHOICE[owners[i][0]] == 3]
        assert 0 < len(used) < len(moved)
        for i in moved:
            velocity = MOMENTUM * slots[i] + DECAY * values[i] if i in used else np.zeros_like(slots[i])
            np.testing.assert_allclose(setup.optimizer.velocities[i], velocity, rtol=1e-5, atol=1e-8)
            np.testing.assert_allclose(setup.variables[i], values[i] - RATE * velocity, rtol=1e-5, atol=1e-7)

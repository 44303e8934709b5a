"""How long a search will take, from steps that are measured."""

import time
from collections.abc import Callable

from tf_edd.data.splits import subset
from tf_edd.evaluation.supernet_evaluator import SupernetEvaluator
from tf_edd.runtime.strategy import has_workers
from tf_edd.search.plan import SearchPlan
from tf_edd.steps import EpochInfo, StepInfo

STEPS = 3  # measured, after a first one that is traced and warm


def estimate(plan: SearchPlan) -> dict[str, str]:
    """The time of a whole search, from steps and an evaluation on its first images; nothing is written.

    Network and step are built and traced, which is what takes longest.

    Returns:
        A line of text by its name; none with several workers, which would have to measure together.
    """
    if has_workers(plan.batches.strategy):
        return {}
    clock = plan.clock
    _, supernet, _, step = plan.build()
    batches = next(plan.batches.epoch(plan.seed, 0, 0, step.image_order(0)))
    temperature = plan.method.temperature.init()[1]

    def take(phases):
        info = StepInfo(0, temperature=temperature, phases=phases)
        return lambda: float(step(batches, info)["loss/weights"])  # waits for the device

    steps = {step.phases: clock.total_steps - clock.warmup_steps}
    if clock.warmup_steps:
        steps["weights",] = clock.warmup_steps
    seconds = {phases: _mean_seconds(take(phases)) for phases in steps}
    total = sum(seconds[phases] * count for phases, count in steps.items())
    total += _seconds_of_a_batch(plan, supernet, step, temperature) * _evaluated_batches(plan)
    minutes = f"about {total / 60:,.0f} min" if total >= 60 else "less than 1 min"
    measured = f"{seconds[step.phases]:.3g} s a step (from {STEPS} measured steps; it falls with the entropy)"
    return {"time": f"{minutes}: {measured}"}


def _mean_seconds(function: Callable[[], object]) -> float:
    function()
    began = time.perf_counter()
    for _ in range(STEPS):
        function()
    return (time.perf_counter() - began) / STEPS


def _evaluated_batches(plan: SearchPlan) -> int:
    """Batches of all epochs on which accuracies are measured."""
    some, all_images = (
        part.num_batches(plan.batches.batch_size, False) for part in (plan.measured, plan.batches.valid)
    )
    return (plan.epochs - 1) * some + all_images


def _seconds_of_a_batch(plan: SearchPlan, supernet, step, temperature: float) -> float:
    """Seconds that an epoch's evaluation takes for each batch of its images."""
    batch_size, strategy = plan.batches.batch_size, plan.batches.strategy
    images, _ = subset(plan.measured, min(batch_size, plan.measured.size), plan.seed)
    evaluator = SupernetEvaluator(supernet)
    info = EpochInfo(0, plan.epochs, 0, plan.seed, plan.batches, step.architecture(temperature))

    def evaluate(probs, progress=None):
        return evaluator(probs, images, batch_size, strategy, progress)

    def validate():
        step.validate(info, evaluate, plan.method.discretizer)

    return _mean_seconds(validate)

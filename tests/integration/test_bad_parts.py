"""Wrong values in the fields of parts: one clear error, status 2, and no folder."""

import pytest

from launch import search

# A gin file that the quickstart is joined with -> bindings and their errors.
CASES = {
    None: [
        ("Crop.padding = 2.5", "Crop.padding must be an integer. Received: padding=2.5"),
        ("Crop.padding = '1'", "Crop.padding must be an integer. Received: padding='1' (text; leave the quotes out)"),
        ("Crop.padding = -1", "padding must be an integer of at least 0. Received: padding=-1"),
        ("Crop.padding = None", "Crop.padding must be an integer. Received: padding=None"),
        ("Crop.padding = True", "Crop.padding must be an integer. Received: padding=True (a truth value)"),
        ("FirstOrder.skip_unused = 'a'", "skip_unused must be one of False, True, 'auto'. Received: skip_unused='a'"),
        ("FirstOrder.weight_gradient_clip = '5'", "FirstOrder.weight_gradient_clip must be a number or None."),
        ("FirstOrder.weight_gradient_clip = 0", "weight_gradient_clip must be a positive number or None. Received:"),
        ("FirstOrder.arch_gradient_clip = -1.0", "arch_gradient_clip must be a positive number or None. Received:"),
        ("FirstOrder.order = None", "FirstOrder.order must be a text in quotes. Received: order=None"),
        ("FirstOrder.order = ('weights', 'arch')", "FirstOrder.order must be a text in quotes. Received:"),
        ("EntropyDecay.entropy_gain = '0.06'", "EntropyDecay.entropy_gain must be a number. Received:"),
        ("EntropyDecay.entropy_gain = None", "EntropyDecay.entropy_gain must be a number. Received:"),
        ("EntropyDecay.entropy_gain = [0.06]", "EntropyDecay.entropy_gain must be a number. Received:"),
        ("EntropyDecay.entropy_gain = True", "EntropyDecay.entropy_gain must be a number. Received:"),
        ("EntropyDecay.entropy_gain = 1e999", "entropy_gain must be a positive number. Received: entropy_gain=inf"),
        ("EntropyDecay.initial_temperature = 0", "initial_temperature must be a positive number. Received:"),
        ("EntropyDecay.first_epoch = 0.5", "EntropyDecay.first_epoch must be an integer. Received: first_epoch=0.5"),
        ("EntropyDecay.logit_scale = 'a'", "EntropyDecay.logit_scale must be a number. Received: logit_scale='a'"),
        ("SparseNoisySoftmax.smooth_temperature = '1'", "SparseNoisySoftmax.smooth_temperature must be a number or"),
        ("SparseNoisySoftmax.smooth_scale = [1]", "SparseNoisySoftmax.smooth_scale must be a number or None."),
        ("weights/CosineRate.base = '0.1'", "CosineRate.base must be a number. Received: base='0.1' (text; leave"),
        ("weights/CosineRate.base = None", "CosineRate.base must be a number. Received: base=None"),
        ("weights/CosineRate.epochs = 12.0", "CosineRate.epochs must be an integer. Received: epochs=12.0 (not an"),
        ("weights/CosineRate.epochs = '12'", "CosineRate.epochs must be an integer. Received: epochs='12' (text;"),
        ("weights/CosineRate.epochs = 20", "Method.weight_rate must last as long as the run, 12 epochs"),
        ("weights/CosineRate.minimum = -1", "minimum must be a positive number or 0. Received: minimum=-1"),
        ("weights/CosineRate.minimum = 'a'", "CosineRate.minimum must be a number. Received: minimum='a' (text)"),
        ("weights/CosineRate.minimum = 1.0", "minimum must not exceed base. Received: base=0.025, minimum=1.0"),
        ("arch/ConstantRate.value = '3e-4'", "ConstantRate.value must be a number. Received: value='3e-4' (text;"),
        ("arch/ConstantRate.value = 0", "value must be a positive number. Received: value=0"),
        ("weights/SGD.momentum = 1.5", "momentum must lie in [0, 1). Received: momentum=1.5"),
        ("weights/SGD.momentum = '0.9'", "SGD.momentum must be a number. Received: momentum="),
        ("weights/SGD.momentum = None", "SGD.momentum must be a number. Received: momentum="),
        ("weights/SGD.weight_decay = -1", "weight_decay must be a positive number or 0. Received: weight_decay=-1"),
        ("weights/SGD.weight_decay = 'a'", "SGD.weight_decay must be a number"),
        ("weights/SGD.weight_decay = None", "SGD.weight_decay must be a number"),
        ("arch/Adam.beta_1 = 1.0", "beta_1 must lie in [0, 1). Received: beta_1=1.0"),
        ("arch/Adam.beta_2 = '0.9'", "Adam.beta_2 must be a number"),
        ("arch/Adam.weight_decay = [1]", "Adam.weight_decay must be a number"),
        ("nas_bench_201.init_channels = 8.0", "nas_bench_201.init_channels must be an integer. Received:"),
        ("nas_bench_201.init_channels = '8'", "nas_bench_201.init_channels must be an integer. Received:"),
        ("nas_bench_201.init_channels = 0", "init_channels must be an integer of at least 1. Received:"),
        ("nas_bench_201.cells_per_stage = -1", "cells_per_stage must be an integer of at least 1. Received:"),
        ("nas_bench_201.cells_per_stage = None", "nas_bench_201.cells_per_stage must be an integer. Received:"),
        ("nas_bench_201.cells_per_stage = True", "nas_bench_201.cells_per_stage must be an integer. Received:"),
        ("Digits.seed = -1", "seed must be an integer of at least 0. Received: seed=-1"),
        ("Digits.seed = '0'", "Digits.seed must be an integer. Received: seed='0' (text; leave the quotes out)"),
        ("Digits.seed = 1.5", "Digits.seed must be an integer. Received: seed=1.5"),
        ("Digits.test_fraction = 0", "test_fraction must lie in (0, 1). Received: test_fraction=0"),
        ("Digits.test_fraction = 1.0", "test_fraction must lie in (0, 1). Received: test_fraction=1.0"),
        ("Digits.test_fraction = '0.2'", "Digits.test_fraction must be a number. Received: test_fraction='0.2'"),
        ("Digits.test_fraction = None", "Digits.test_fraction must be a number. Received: test_fraction=None"),
        ("weights/SGD.nesterov = 'yes'", "SGD.nesterov must be True or False"),
    ],
    "spaces/darts.gin": [
        ("darts.num_cells = 2", "num_cells must be an integer of at least 3. Received: num_cells=2"),
        ("darts.num_cells = '8'", "darts.num_cells must be an integer. Received: num_cells='8' (text; leave the"),
        ("darts.num_nodes = 0", "num_nodes must be an integer of at least 1. Received: num_nodes=0"),
        ("darts.stem_multiplier = 1.5", "darts.stem_multiplier must be an integer. Received: stem_multiplier=1.5"),
        ("darts.with_none = 'yes'", "darts.with_none must be True or False. Received: with_none='yes' (text)"),
        ("darts.init_channels = None", "darts.init_channels must be an integer. Received: init_channels=None"),
    ],
    "spaces/s1.gin": [
        ("s1.num_cells = 1", "num_cells must be an integer of at least 3. Received: num_cells=1"),
        ("s1.init_channels = '16'", "s1.init_channels must be an integer. Received: init_channels='16' (text; leave"),
    ],
    "spaces/proxyless.gin": [
        ("proxyless.widths = 3", "proxyless.widths must be a list of integers. Received: widths=3 (write a list)"),
        ("proxyless.widths = (24, 40)", "widths, blocks and strides must have equally many stages. Received:"),
        ("proxyless.strides = (3, 2, 2, 1, 2, 1)", "strides and stem_stride must be 1 or 2. Received: strides=(3,"),
        ("proxyless.blocks = 'four'", "proxyless.blocks must be a list of integers. Received: blocks='four' (text)"),
        ("proxyless.width_multiplier = 0", "width_multiplier must be a positive number. Received: width_multiplier=0"),
        ("proxyless.width_multiplier = '1'", "proxyless.width_multiplier must be a number. Received:"),
        ("proxyless.stem_stride = 3", "strides and stem_stride must be 1 or 2. Received: strides=(2, 2, 2, 1, 2,"),
        ("proxyless.with_none = 1", "proxyless.with_none must be True or False. Received: with_none=1"),
    ],
    "spaces/darts_imagenet.gin": [
        ("darts_imagenet.stem = 'big'", "stem must be one of 'evaluation', 'search'. Received: stem='big'"),
        ("darts_imagenet.stem = 3", "darts_imagenet.stem must be a text in quotes. Received: stem=3"),
    ],
    "methods/lts_darts.gin": [
        ("LinearTemperature.final_temperature = '0.1'", "LinearTemperature.final_temperature must be a number."),
        ("LinearTemperature.final_temperature = 2.0", "final_temperature must not exceed initial_temperature."),
        ("LinearTemperature.epochs = 20", "Method.temperature must last as long as the run"),
        ("LinearTemperature.decay_points = 1.5", "LinearTemperature.decay_points must be an integer or None."),
        ("LinearTemperature.initial_temperature = None", "LinearTemperature.initial_temperature must be a number."),
    ],
    "methods/ets_darts.gin": [
        ("ExponentialTemperature.exp_increment = 'a'", "ExponentialTemperature.exp_increment must be a number or"),
    ],
    "methods/pcd_darts.gin": [
        ("PeriodicTemperature.kind = 'sine'", "kind must be one of 'exponential', 'linear'. Received: kind='sine'"),
        ("PeriodicTemperature.kind = 3", "PeriodicTemperature.kind must be a text in quotes. Received: kind=3"),
        ("PeriodicTemperature.cycles = 0", "cycles must be an integer of at least 1. Received: cycles=0"),
        ("PeriodicTemperature.cycles = '3'", "PeriodicTemperature.cycles must be an integer. Received: cycles='3'"),
        ("PeriodicTemperature.warmup_epochs = -1", "warmup_epochs must be an integer of at least 0. Received:"),
    ],
    "methods/darts_v2.gin": [
        ("SecondOrder.product = 'fast'", "product must be one of 'finite_difference', 'exact'. Received:"),
        ("SecondOrder.epsilon = '0.01'", "SecondOrder.epsilon must be a number. Received: epsilon='0.01' (text;"),
        ("SecondOrder.epsilon = 0", "epsilon must be a positive number. Received: epsilon=0"),
        ("SecondOrder.order = 'both'", "order must be one of 'weights_first', 'arch_first'. Received: order='both'"),
    ],
    "methods/self_distillation.gin": [
        ("SelfDistillation.teachers = 1.5", "SelfDistillation.teachers must be an integer. Received: teachers=1.5"),
        ("SelfDistillation.every = 'step'", 'every must be an integer of at least 1 or "epoch". Received:'),
        ("SelfDistillation.every = 0", 'every must be an integer of at least 1 or "epoch". Received: every=0'),
        ("SelfDistillation.vote = 'max'", "vote must be one of 'mean', 'majority'. Received: vote='max'"),
        ("SelfDistillation.weight = '1'", "SelfDistillation.weight must be a number. Received: weight='1' (text;"),
        ("SelfDistillation.phases = 'arch'", "SelfDistillation.phases must be a list of texts in quotes. Received:"),
        ("SelfDistillation.phases = ['archs']", "phases must be a list of 'weights', 'arch' or both. Received:"),
        ("SelfDistillation.phases = []", "phases must be a list of 'weights', 'arch' or both. Received: phases=[]"),
        ("SelfDistillation.warmup_epochs = 50", "SelfDistillation acts in none of the 12 epochs of this search:"),
        ("SelfDistillation.distillation_temperature = 0", "distillation_temperature must be a positive number."),
        ("SelfDistillation.warmup_epochs = '5'", "SelfDistillation.warmup_epochs must be an integer. Received:"),
    ],
    "methods/image_importance.gin": [
        ("FirstOrder.images = 'a'", "FirstOrder.images must be a sampler of images such as @UniformImages() or None."),
        ("FirstOrder.images = @UniformPaths()", "FirstOrder.images.build must return a running sampler of images."),
        ("ImportanceImages.smoothing = 2", "smoothing must lie in [0, 1]. Received: smoothing=2"),
    ],
}
ROWS = [(name, *case) for name, cases in CASES.items() for case in cases]


@pytest.mark.parametrize("name, binding, message", ROWS, ids=[row[1] for row in ROWS])
def test_is_one_error_and_leaves_no_folder(launched, tmp_path, name, binding, message):
    files = ["--gin_file=quickstart.gin"] + ([f"--gin_file={name}"] if name else [])
    assert message in launched(search, *files, "--model_dir=run", f"--gin_param={binding}")
    assert not list(tmp_path.iterdir())

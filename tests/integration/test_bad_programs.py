"""Wrong values for retraining, evaluation and ranking, for one-shot methods, actions and data sets, and in tables."""

import pytest

from launch import evaluate, query, rank, retrain, search
from tf_edd.architectures.table import COLUMNS

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
DIGITS, RUN = "--gin_file=datasets/digits.gin", "--model_dir=run"


def each(cases):
    """Runs a test for every binding and its error."""
    return pytest.mark.parametrize("binding, message", cases, ids=[binding for binding, _ in cases])


RETRAIN = [
    ("retrain.batch_size = 64.0", "retrain.batch_size must be an integer. Received: batch_size=64.0 (not an"),
    ("retrain.epochs = 1e999", "retrain.epochs must be an integer. Received: epochs=inf"),
    ("retrain.epochs = 2.5", "retrain.epochs must be an integer. Received: epochs=2.5"),
    ("retrain.epochs = True", "retrain.epochs must be an integer. Received: epochs=True (a truth value)"),
    ("retrain.epochs = 20", "TrainingRecipe.rate must last as long as the run, 20 epochs"),
    ("retrain.augmentation = [3]", "retrain.augmentation must be a list of augmentations such as @Crop() or"),
    ("retrain.augmentation = @Crop", "retrain.augmentation must be a list of augmentations such as @Crop() or"),
    ("retrain.augmentation = @Crop()", "retrain.augmentation must be a list of augmentations such as @Crop() or"),
    ("Crop.padding = 2.5", "Crop.padding must be an integer. Received: padding=2.5"),
    ("retrain.valid = 'a'", "retrain.valid must be an integer or a number. Received: valid='a' (text)"),
    ("retrain.valid = -1", "valid must be a fraction in [0, 1) or a count below 1438. Received: valid=-1"),
    ("retrain.valid = 1.5", "valid must be a fraction in [0, 1) or a count below 1438. Received: valid=1.5"),
    ("retrain.valid = True", "retrain.valid must be an integer or a number. Received: valid=True (a truth value)"),
    ("retrain.valid = None", "retrain.valid must be an integer or a number. Received: valid=None"),
    ("retrain.recipe = None", "retrain.recipe must be a training recipe such as @TrainingRecipe(). Received:"),
    ("retrain.recipe = @TrainingRecipe", "retrain.recipe must be a training recipe such as @TrainingRecipe()."),
    ("retrain.recipe = 'nb201'", "retrain.recipe must be a training recipe such as @TrainingRecipe(). Received:"),
    ("retrain.space = 'darts'", "retrain.space must be a Space such as @nas_bench_201() or None. Received:"),
    ("retrain.space = @nas_bench_201", "retrain.space must be a Space such as @nas_bench_201() or None."),
    ("retrain.data = @Digits", "retrain.data must be a data set such as @Digits(). Received: data=Digits (a"),
    ("retrain.data = 3", "retrain.data must be a data set such as @Digits(). Received: data=3"),
    ("TrainingRecipe.optimizer = 'sgd'", "TrainingRecipe.optimizer must be a Keras optimizer such as @SGD() or"),
    ("TrainingRecipe.optimizer = @SGD", "TrainingRecipe.optimizer must be a Keras optimizer such as @SGD() or"),
    ("TrainingRecipe.rate = 0.1", "TrainingRecipe.rate must be a learning-rate schedule such as @CosineRate()"),
    ("TrainingRecipe.rate = @CosineRate", "TrainingRecipe.rate must be a learning-rate schedule such as"),
    ("TrainingRecipe.label_smoothing = '0.1'", "TrainingRecipe.label_smoothing must be a number. Received:"),
    ("TrainingRecipe.label_smoothing = 1.0", "label_smoothing must lie in [0, 1). Received: label_smoothing=1.0"),
    ("TrainingRecipe.auxiliary_weight = -1", "auxiliary_weight must be a positive number or 0. Received:"),
    ("TrainingRecipe.auxiliary_weight = 'a'", "TrainingRecipe.auxiliary_weight must be a number. Received:"),
    ("TrainingRecipe.drop_path_rate = 1", "drop_path_rate must lie in [0, 1). Received: drop_path_rate=1"),
    ("TrainingRecipe.drop_path_rate = None", "TrainingRecipe.drop_path_rate must be a number. Received:"),
    ("TrainingRecipe.weight_gradient_clip = 0", "weight_gradient_clip must be a positive number or None."),
    ("TrainingRecipe.extra_augmentation = @Cutout()", "TrainingRecipe.extra_augmentation must be a list of"),
    ("TrainingRecipe.extra_augmentation = [@Cutout]", "TrainingRecipe.extra_augmentation must be a list of"),
    ("retrain.batch_size = 100000", "batch_size must not exceed the 1438 images, unless steps_per_epoch is given. Rec"),
    ("retrain.steps_per_epoch = 'a'", "retrain.steps_per_epoch must be an integer or None. Received:"),
    ("retrain.patience = 5", "patience needs held-out training images, such as valid = 0.1"),
    ("retrain/SGD.momentum = '0.9'", "SGD.momentum must be a number. Received: momentum='0.9'"),
]


@each(RETRAIN)
def test_retraining(launched, tmp_path, binding, message):
    gin = ["--gin_file=recipes/nb201_retrain_200_epochs.gin", DIGITS, f"--gin_param={binding}"]
    assert message in launched(retrain, *gin, RUN, f"--genotype={CELL}")
    assert not list(tmp_path.iterdir())


CELLS = [
    ("nowhere.json", "(no such file)"),
    ("3", "(no such file)"),
    ("|none~0|", "Cell 'cell' has 3 nodes. Received: 1"),
    (CELL.replace("3x3~0", "3x3~5"), "Node 1 of cell 'cell' reads one of the nodes [0]. Received: source 5"),
    (CELL.replace("nor_conv_3x3", "nor_conv_5x5"), "nor_conv_5x5"),
    ("DARTS_V2", "Expected a genotype of space 'nas_bench_201'. Received: one of space 'darts'"),
    ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "Expected a cell that leads from its input to its output"),
    ("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|none~2|", "whose cell 'cell' leads nowhere"),
    # Node 1 is not reached, and the last node reads it alone.
    ("|none~0|+|nor_conv_3x3~0|none~1|+|none~0|skip_connect~1|none~2|", "whose cell 'cell' leads nowhere"),
]


@pytest.mark.parametrize("cell, message", CELLS)
def test_cells(launched, tmp_path, cell, message):
    gin = ["--gin_file=recipes/nb201_retrain_200_epochs.gin", DIGITS]
    assert message in launched(retrain, *gin, RUN, f"--genotype={cell}")
    assert not list(tmp_path.iterdir())


ACTIONS = [
    ("TableLookup.table = 'table.csv'", "TableLookup.table must be a NasBench201Table or a Table. Received:"),
    ("TableLookup.table = @NasBench201Table", "TableLookup.table must be a NasBench201Table or a Table."),
    ("NasBench201Table.path = 'nowhere.csv'", "Expected a table, a CSV with the columns index, arch,"),
    ("NasBench201Table.path = 3", "NasBench201Table.path must be a text in quotes. Received: path=3"),
    ("TableLookup.table = None", "TableLookup.table must be a NasBench201Table or a Table. Received: table=None"),
    ("Sharpness.radius = '0.1'", "Sharpness.radius must be a number. Received: radius='0.1' (text; leave the"),
    ("Sharpness.batches = 100", "Sharpness expects 100 batches of 32 images to fit into the 719 validation"),
    ("Sharpness.which = 'largest'", "which must be one of 'algebraic', 'magnitude'. Received: which='largest'"),
    ("Sharpness.batch_size = 2.5", "Sharpness.batch_size must be an integer or None. Received: batch_size=2.5"),
    ("Sharpness.every_epochs = 0", "every_epochs must be an integer of at least 1. Received: every_epochs=0"),
    ("Sharpness.relative = 'yes'", "Sharpness.relative must be True or False. Received: relative='yes' (text)"),
    ("CollapseWarning.max_share = 2.0", "max_share must lie in [0, 1]. Received: max_share=2.0"),
    ("CollapseWarning.patience = 0", "patience must be an integer of at least 1. Received: patience=0"),
    ("CollapseWarning.patience = '3'", "CollapseWarning.patience must be an integer. Received: patience='3'"),
    ("Drawings.every = 0", "every must be an integer of at least 1. Received: every=0"),
    ("Drawings.every = 2.5", "Drawings.every must be an integer. Received: every=2.5"),
]


@each(ACTIONS)
def test_actions(launched, tmp_path, binding, message):
    bindings = {
        "TableLookup": ["actions.mine = @TableLookup()"],
        "NasBench201Table": ["actions.mine = @TableLookup()", "TableLookup.table = @NasBench201Table()"],
        "Sharpness": ["actions.mine = @Sharpness()"],
    }.get(binding.split(".")[0], [])
    arguments = [f"--gin_param={text}" for text in [*bindings, binding]]
    assert message in launched(search, "--gin_file=quickstart.gin", RUN, *arguments)
    assert not list(tmp_path.iterdir())


SAMPLED = [
    ("SampledPaths.paths = 'uniform'", "SampledPaths.paths must be a sampler of paths such as @UniformPaths()."),
    ("SampledPaths.paths = @UniformPaths", "SampledPaths.paths must be a sampler of paths such as"),
    ("SampledPaths.images = None", "SampledPaths.images must be a sampler of images such as @UniformImages()."),
    ("SampledPaths.num_validated_paths = 0", "num_validated_paths must be an integer of at least 1. Received:"),
    ("SampledPaths.num_validated_paths = '4'", "SampledPaths.num_validated_paths must be an integer. Received:"),
    ("SampledPaths.variance_draws = 1", "variance_draws must be an integer of at least 2 or 0. Received:"),
    ("SampledPaths.variance_draws = 10000", "variance_draws must be at most the 11 batches of an epoch."),
    ("SampledPaths.rest_unused = 'no'", "SampledPaths.rest_unused must be True or False. Received:"),
    ("SampledPaths.weight_gradient_clip = '5'", "SampledPaths.weight_gradient_clip must be a number or None."),
    ("search.rematerialize = True", "Sampled paths keep nothing that could be run again. Received:"),
    ("Method.weight_optimizer = @Adam()", "Sampled paths expect an optimizer that can leave variables alone"),
    ("Method.regularizers = [@SelfDistillation()]", "SampledPaths takes no regularizers: leave it out."),
    ("Method.relaxation = @Softmax()", "SampledPaths takes no relaxation: leave it out. Received:"),
    ("Method.arch_rate = 0.1", "Method.arch_rate must be a learning-rate schedule such as @CosineRate() or"),
    ("Method.warmup_epochs = 3", "SampledPaths takes no warmup_epochs: leave it out. Received: warmup_epochs=3"),
    ("ImportancePaths.smoothing = '1'", "ImportancePaths.smoothing must be a number. Received: smoothing='1'"),
    ("ImportancePaths.per_edge = 'a'", "ImportancePaths.per_edge must be True or False. Received: per_edge='a'"),
    ("ImportanceImages.smoothing = 2.0", "smoothing must lie in [0, 1]. Received: smoothing=2.0"),
    ("ImportancePaths.importance_weights = 1", "ImportancePaths.importance_weights must be True or False."),
    ("SampledPaths.paths = @UniformImages()", "SampledPaths.paths.build must return a running sampler of paths."),
    ("SampledPaths.images = @UniformPaths()", "SampledPaths.images.build must return a running sampler of images."),
    ("EvolutionarySearch.population = 0", "population must be an integer of at least 1. Received: population=0"),
    ("EvolutionarySearch.population = 5.5", "EvolutionarySearch.population must be an integer. Received:"),
    ("EvolutionarySearch.mutation_probability = 2", "mutation_probability must lie in [0, 1]. Received:"),
    ("EvolutionarySearch.mutation_probability = '0.1'", "EvolutionarySearch.mutation_probability must be a"),
    ("EvolutionarySearch.limits = None", "EvolutionarySearch.limits must be limits of the size such as"),
    ("EvolutionarySearch.limits = @SizeLimits", "EvolutionarySearch.limits must be limits of the size such as"),
]


@each(SAMPLED)
def test_one_shot_methods(launched, tmp_path, binding, message):
    method = "pa_da" if binding.startswith("Importance") else "spos"
    files = [DIGITS, "--gin_file=recipes/nb201_one_shot_small.gin", f"--gin_file=methods/{method}.gin"]
    files += ["--gin_file=selectors/evolution.gin"] if binding.startswith("Evolution") else []
    bindings = ["--gin_param=search.split = (0.5, 0.5)", f"--gin_param={binding}"]
    assert message in launched(search, *files, RUN, *bindings)
    assert not list(tmp_path.iterdir())


def test_self_distillation_of_sampled_paths_names_the_step(launched, tmp_path):
    files = ["recipes/nb201_one_shot_small.gin", "methods/spos.gin", "methods/self_distillation.gin"]
    arguments = [DIGITS, *(f"--gin_file={name}" for name in files), RUN]
    assert "SampledPaths takes no regularizers" in launched(search, *arguments)
    assert not list(tmp_path.iterdir())


DATA = [
    ("ImageFolder.directory = None", "ImageFolder.directory must be a text in quotes. Received: directory=None"),
    ("ImageFolder.directory = 3", "ImageFolder.directory must be a text in quotes. Received: directory=3"),
    ("ImageFolder.directory = 'nowhere'", "nowhere"),
    ("ImageFolder.image_size = 32", "ImageFolder.image_size must be a list of 2 integers or None"),
    ("ImageFolder.image_size = (32,)", "ImageFolder.image_size must be a list of 2 integers or None"),
    ("ImageFolder.image_size = ('a', 'b')", "ImageFolder.image_size must be a list of 2 integers or None"),
    ("ImageFolder.crop_fraction = '1'", "ImageFolder.crop_fraction must be a number"),
    ("ImageFolder.channels = '3'", "ImageFolder.channels must be an integer or None"),
    ("ImageFolder.test_fraction = None", "ImageFolder.test_fraction must be a number"),
    ("ImageFolder.seed = -1", "seed must be an integer of at least 0"),
    ("ImageFolder.seed = 1.0", "ImageFolder.seed must be an integer. Received: seed=1.0 (not an integer; write 1)"),
    ("ImageFolder.in_memory = 3", "ImageFolder.in_memory must be True or False or a text in quotes"),
    ("ImageFolder.memory_limit = '4GB'", "ImageFolder.memory_limit must be an integer"),
    ("ImageFolder.stratified = 'yes'", "ImageFolder.stratified must be True or False"),
    ("TfdsImages.name = 3", "TfdsImages.name must be a text in quotes. Received: name=3"),
    ("TfdsImages.name = None", "TfdsImages.name must be a text in quotes"),
    ("TfdsImages.train_split = 3", "TfdsImages.train_split must be a text in quotes"),
    ("TfdsImages.mean = 'a'", "TfdsImages.mean must be a list of numbers or None"),
    ("TfdsImages.std = (0.1, 'b', 0.1)", "TfdsImages.std must be a list of numbers or None"),
    ("TfdsImages.download = 'yes'", "TfdsImages.download must be True or False"),
    ("RandomResizedCrop.scale = 0.5", "RandomResizedCrop.scale must be a list of 2 numbers"),
    ("RandomResizedCrop.scale = (1.0, 0.5)", "scale"),
    ("RandomResizedCrop.ratio = ('a', 'b')", "RandomResizedCrop.ratio must be a list of 2 numbers"),
    ("ColorJitter.brightness = -1", "brightness"),
    ("ColorJitter.contrast = 'a'", "ColorJitter.contrast must be a number"),
    ("ColorJitter.hue = 0.1", "ColorJitter needs RGB images"),  # the digits are gray
]


@each(DATA)
def test_data_sets_and_augmentations(launched, tmp_path, binding, message):
    part = binding.split(".")[0]
    data = {"ImageFolder": "image_folder", "TfdsImages": "cifar10"}.get(part, "digits")
    files = [f"datasets/{data}.gin", "recipes/nb201_shallow.gin", "methods/darts.gin"]
    bindings = ["ImageFolder.directory = 'photos'"] if part == "ImageFolder" else []
    bindings += [f"search.augmentation = [@{part}()]"] if data == "digits" else []
    bindings += ["search.split = (0.5, 0.5)", binding]
    arguments = [*(f"--gin_file={name}" for name in files), *(f"--gin_param={text}" for text in bindings)]
    assert message in launched(search, *arguments, RUN, "--data_dir=.")
    assert not list(tmp_path.iterdir())


VALUES = [
    ("nan", 0, "cifar10_valid is no percentage: nan"),
    ("inf", 0, "cifar10_valid is no percentage: inf"),
    ("-5", 0, "cifar10_valid is no percentage: -5.0"),
    ("100.5", 0, "cifar10_valid is no percentage: 100.5"),
    ("1e9", 0, "cifar10_valid is no percentage"),
    ("50", -1, "index -1 is negative"),
    ("50", "a", "invalid literal for int"),
]


@pytest.mark.parametrize("value, index, message", VALUES)
def test_values_of_tables(launched, tmp_path, value, index, message):
    row = ",".join([str(index), CELL, *[value] * (len(COLUMNS) - 2)])
    (tmp_path / "table.csv").write_text(f"{','.join(COLUMNS)}\n{row}\n")
    error = launched(query, "--table=table.csv", f"--genotype={CELL}")
    assert message in error and "table.csv, line 2" in error


PROGRAMS = [
    ("evaluate.which = 3", "evaluate.which must be a text in quotes"),
    ("evaluate.batch_size = '3'", "evaluate.batch_size must be an integer"),
    ("evaluate.data = @Digits", "evaluate.data must be a data set such as @Digits(). Received: data=Digits (a class"),
    ("rank.cells = 'all'", "rank.cells must be an integer. Received: cells='all' (text)"),
    ("rank.cells = 1", "cells must be at least"),
    ("rank.column = 3", "rank.column must be a text in quotes"),
    ("rank.images = 'train'", "images must be one of 'test', 'valid'"),
    ("rank.statistics = 'none'", "statistics must be one of 'batch', 'recalibrated'"),
    ("rank.confidence = '0.9'", "rank.confidence must be a number"),
    ("rank.resamples = 0", "resamples must be an integer of at least 1"),
    ("rank.table = 'table.csv'", "rank.table must be a NasBench201Table or a Table"),
]


@each(PROGRAMS)
def test_evaluation_and_ranking(launched, tmp_path, binding, message):
    (tmp_path / "run" / "search").mkdir(parents=True)
    program, files = {
        "evaluate": (evaluate, [DIGITS]),
        "rank": (rank, [DIGITS, "--gin_file=recipes/nb201_shallow.gin", "--gin_file=tables/nb201_rank.gin"]),
    }[binding.split(".")[0]]
    table = ["--gin_param=NasBench201Table.path = 'table.csv'"] if program is rank else []
    table = [] if binding.startswith("rank.table") else table
    assert message in launched(program, *files, *table, RUN, f"--gin_param={binding}")


@pytest.mark.parametrize("more", [[], ["--dry_run"]])
@pytest.mark.parametrize(
    "folder, message", [("gs://bucket/run", "that the system has mounted"), ("~no_such_user/run", "nobody")]
)
def test_folders(launched, tmp_path, folder, message, more):
    assert message in launched(search, "--gin_file=quickstart.gin", f"--model_dir={folder}", *more)
    assert not list(tmp_path.iterdir())

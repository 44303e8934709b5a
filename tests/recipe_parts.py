"""Numbers of the papers and of the authors' released codes, as gin names them: what the rows of a table are made of.

A value "%name" is that of the macro of this name. Sources are named as repository: file.
"""

import math

# ---------------------------------------------------------------------------------------------------------------- data


def data_set(source, augmentation, **numbers):
    """Who reads a data set, and the numbers of its parts, written PART__PARAMETER."""
    readers = {f"{program}.data": source for program in ("search", "retrain", "evaluate", "export")}
    readers |= {f"{program}.augmentation": augmentation for program in ("search", "retrain")}
    return readers | {name.replace("__", "."): value for name, value in numbers.items()}


CROP_AND_FLIP = ("@Crop()", "@Flip()")
# quark0/darts: cnn/utils.py; DrNAS: utils.py (SVHN flipped too); AutoDL-Projects: get_dataset_with_transform.py.
CIFAR10, CIFAR100, SVHN, IMAGENET16 = (
    data_set("@TfdsImages()", CROP_AND_FLIP, TfdsImages__name=name, Crop__padding=padding)
    for name, padding in (("cifar10", 4), ("cifar100", 4), ("svhn_cropped", 4), ("imagenet16_120", 2))
)
DIGITS = data_set("@Digits()", ("@Crop()",), Crop__padding=1)
FOLDER = data_set("@ImageFolder()", CROP_AND_FLIP, ImageFolder__image_size=(32, 32), Crop__padding=4)
FOLDER |= {"ImageFolder.stratified": True}  # with few images a class could miss in a part


def color_jitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.2):
    """The defaults are those of quark0/darts: cnn/train_imagenet.py."""
    numbers = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
    return {f"ColorJitter.{name}": value for name, value in numbers.items()}


IMAGENET_AUGMENTATION = ("@RandomResizedCrop()", "@Flip()", "@ColorJitter()")
IMAGENET = color_jitter() | data_set(
    "@TfdsImages()",
    IMAGENET_AUGMENTATION,
    TfdsImages__name="imagenet2012",
    TfdsImages__image_size=(224, 224),
    TfdsImages__crop_fraction=224 / 256,
    TfdsImages__test_split="validation",
)
# proxylessnas: search/data_providers/imagenet.py, "tf" distortion.
MOBILE_JITTER = color_jitter(0.1255, 0.0, 0.5, 0.0)
# Issue #6 of yuhuixu1993/PC-DARTS: 10 % of each class for the weights, 2.5 % for the logits.
IMAGENET_SEARCH = {
    "search.split": (0.1, 0.025),
    "TfdsImages.stratified": True,
    "TfdsImages.memory_limit": 24_000_000_000,
}

# -------------------------------------------------------------------------------------------------------------- spaces


def space(reference, **numbers):
    name = reference.strip("@()")
    return {"search.space": reference} | {f"{name}.{number}": value for number, value in numbers.items()}


# AutoDL-Projects: C 16, N 5
NB201 = space("@nas_bench_201()", init_channels=16, cells_per_stage=5, with_none=True, stem_stride=1)
# quark0/darts: cnn/train_search.py, cnn/model_search.py.
DARTS = space("@darts()", init_channels=16, num_cells=8, num_nodes=4, stem_multiplier=3, with_none=True)
DARTS_IMAGENET = space(
    "@darts_imagenet()", init_channels=16, num_cells=8, num_nodes=4, stem="search", with_none=True
)  # PC-DARTS: model_search_imagenet.py
# RobustDARTS: src/search, C 16, 8 cells in all four spaces.
S = {name: space(f"@{name}()", init_channels=16, num_cells=8, stem_multiplier=3) for name in ("s1", "s2", "s3", "s4")}
# proxylessnas: search/models/super_nets/super_proxyless.py, search/imagenet_arch_search.py.
PROXYLESS = space(
    "@proxyless()",
    widths=(24, 40, 80, 96, 192, 320),
    blocks=(4, 4, 4, 4, 4, 1),
    strides=(2, 2, 2, 1, 2, 1),
    stem_width=32,
    stem_stride=2,
    first_width=16,
    head_width=1280,
    width_multiplier=1.0,
    with_none=True,
)

# ------------------------------------------------------------------------------------------------------------- methods

# What defaults.gin binds of a search whatever its method.
ALWAYS = {"search.actions": "@actions()", "search.steps_per_epoch": None, "search.measured_images": None}
ALWAYS |= {"search.max_image_side": None}
# quark0/darts: cnn/train_search.py and cnn/architect.py; momentum 0.9, Adam (0.5, 0.999) of eps 1e-8 with decay 1e-3.
DEFAULTS = {
    "step_order": "weights_first",
    "weight_gradient_clip": 5.0,
    "arch_gradient_clip": None,
    "skip_unused": False,
    "negligible_weight": 2**-32,
    "exploration": 0.0,
    "stopper": None,
    "warmup_epochs": 0,
    "ticks": None,  # the temperature follows the entropy after each epoch, Algorithm 2
    "num_validated_paths": 4,
    "variance_draws": 10,
    "entropy_gain": 0.06,  # lambda: the row of Tables 1 and 7
    "initial_temperature": 1.0,  # t_0 of Algorithm 2
    "gumbel_final_temperature": 0.1,  # AutoDL-Projects: GDAS.py; DrNAS: 201-space/train_search.py has 1
    "weight_optimizer": "@weights/SGD()",
    "weights/SGD.momentum": 0.9,
    "weights/SGD.nesterov": False,
    "weights/SGD.weight_decay": 3e-4,
    "weight_rate": "@weights/CosineRate()",
    "weights/CosineRate.base": 0.025,
    "weights/CosineRate.minimum": 0.001,
    "weights/CosineRate.epochs": "%epochs",
    "arch_optimizer": "@arch/Adam()",
    "arch/Adam.beta_1": 0.5,
    "arch/Adam.beta_2": 0.999,
    "arch/Adam.epsilon": 1e-8,
    "arch/Adam.weight_decay": 1e-3,
    "arch_rate": "@arch/ConstantRate()",
    "arch/ConstantRate.value": 3e-4,
    "arch_rate_cap": None,
    "search.epochs": "%epochs",
    **ALWAYS,
}
STEP = {
    "search.method": "@Method()",
    "Method.discretizer": "@Argmax()",
    "Method.weight_optimizer": "%weight_optimizer",
    "Method.weight_rate": "%weight_rate",
}
LOGITS = STEP | {
    "Method.regularizers": "@regularizers()",
    "Method.edges": "@edges()",
    "Method.edge_weights": None,
    "Method.arch_optimizer": "%arch_optimizer",
    "Method.arch_rate": "%arch_rate",
    "Method.arch_rate_cap": "%arch_rate_cap",
    "Method.stopper": "%stopper",
    "Method.warmup_epochs": "%warmup_epochs",
    "Method.ticks": "%ticks",
    "Method.logit_init_scale": 1e-3,  # section 2.2: samples of N(0, 1) scaled by 1e-3
    "Method.entropy_temperature": None,
}


def bilevel(part, order):
    names = ("weight_gradient_clip", "arch_gradient_clip", "skip_unused", "negligible_weight")
    numbers = {"order": order, **{name: f"%{name}" for name in names}}
    return LOGITS | {"Method.step": f"@{part}()"} | {f"{part}.{name}": value for name, value in numbers.items()}


FIRST_ORDER = bilevel("FirstOrder", "%step_order") | {
    "FirstOrder.images": None,
    "FirstOrder.exploration": "%exploration",
    "FirstOrder.perturbation": None,
}
SECOND_ORDER = bilevel("SecondOrder", "arch_first")  # the look-ahead is the step that the weights then take
SOFTMAX = {"Method.relaxation": "@Softmax()"}
AT_ONE = SOFTMAX | {"Method.temperature": "@ConstantTemperature()", "ConstantTemperature.temperature": 1.0}
# Algorithm 1, with the setting s*t = 1 of Tables 1 and 7.
SN_SOFTMAX = {
    "Method.relaxation": "@SparseNoisySoftmax()",
    "SparseNoisySoftmax.smooth_temperature": 1.0,
    "SparseNoisySoftmax.smooth_scale": None,
}
S_100 = {"SparseNoisySoftmax.smooth_scale": 100}  # Tables 5 and 6
EXPECTED_LOGIT = 1e-3 * math.sqrt(2 / math.pi) / 2  # section 2.2, E(a)
# Algorithm 2: t_0 = 1 (mostly), rho = 0.5, d^(0) = 0 before the first update.
DECAY = {
    "Method.temperature": "@EntropyDecay()",
    "EntropyDecay.entropy_gain": "%entropy_gain",
    "EntropyDecay.momentum": 0.5,
    "EntropyDecay.initial_temperature": "%initial_temperature",
    "EntropyDecay.logit_scale": EXPECTED_LOGIT,
    "EntropyDecay.first_epoch": 1,
}


def scheduled(part, **numbers):
    """Lists from t_0 = 1 to t_N = 1e-3 (the worked example of section 2.2) over the search."""
    shared = {"epochs": "%epochs", "initial_temperature": 1.0, "final_temperature": 1e-3, "decay_points": None}
    values = {f"{part}.{name}": value for name, value in {**shared, **numbers}.items()}
    return FIRST_ORDER | SN_SOFTMAX | {"Method.temperature": f"@{part}()"} | values


def periodic(kind):
    return scheduled("PeriodicTemperature", kind=kind, cycles=3, warmup_epochs=0)  # Fig. 4A shows three cycles


DARTS_V1, DARTS_V2 = FIRST_ORDER | AT_ONE, SECOND_ORDER | AT_ONE
EDD = FIRST_ORDER | SN_SOFTMAX | DECAY
SOFTMAX_EDD = FIRST_ORDER | SOFTMAX | DECAY
PCD, LPCD = periodic("exponential"), periodic("linear")
ETS, LTS = scheduled("ExponentialTemperature"), scheduled("LinearTemperature")
# arXiv 2302.05629 by its summary: lambda = 1.0 on both losses; teachers from the previous step; warm-up not given.
SELF_DISTILLATION = {
    "regularizers.self_distillation": "@SelfDistillation()",
    "SelfDistillation.weight": 1.0,
    "SelfDistillation.teachers": 1,
    "SelfDistillation.every": 1,
    "SelfDistillation.vote": "mean",
    "SelfDistillation.distillation_temperature": 1.0,
    "SelfDistillation.warmup_epochs": 5,
    "SelfDistillation.phases": ("weights", "arch"),
}
# beta-DARTS: optimizers/darts/architect.py, lambda = 50 e / 100.
BETA_DECAY = {"regularizers.beta_decay": "@BetaDecay()", "BetaDecay.weight": 50.0, "BetaDecay.tempered": False}
# PC-DARTS: model_search.py; k = 4, weights of the edges by softmax.
PARTIAL_CHANNELS = {"edges.partial_channels": "@PartialChannels()", "PartialChannels.groups": 4}
EDGE_WEIGHTS = {"Method.edge_weights": "@EdgeWeights()", "EdgeWeights.tempered": False}
# DARTS-: src/utils.py, scripts; beta_0 = 1, linear.
AUXILIARY_SKIP = {
    "edges.auxiliary_skip": "@AuxiliarySkip()",
    "AuxiliarySkip.initial": 1.0,
    "AuxiliarySkip.decay": "linear",
}
# RobustDARTS: scripts/start_search.sh, the first of 0.2, 0.4 and 0.6.
DROP_PATH = {"edges.drop_path": "@EdgeDropPath()", "EdgeDropPath.probability": 0.2}
PC_DARTS, EDD_PC = DARTS_V1 | PARTIAL_CHANNELS | EDGE_WEIGHTS, EDD | PARTIAL_CHANNELS | EDGE_WEIGHTS
# DrNAS: 201-space/train_search.py; k = 1, no KL (--reg_type l2), or KL with 1e-3 and no decay.
DRNAS = FIRST_ORDER | {"Method.relaxation": "@Dirichlet()", "Method.temperature": "@ConstantTemperature()"}
DRNAS_KL = DRNAS | {
    "regularizers.dirichlet_divergence": "@DirichletDivergence()",
    "DirichletDivergence.weight": 1e-3,
    "Method.arch_optimizer": "@drnas_kl/Adam()",
    "drnas_kl/Adam.beta_1": 0.5,
    "drnas_kl/Adam.beta_2": 0.999,
    "drnas_kl/Adam.weight_decay": 0.0,
}
# RobustDARTS: src/search/args.py (window 5, factor 1.3, delta 4, start 10 from 0, every 2 epochs), src/utils.py.
EIGENVALUE_STOP = {
    "Method.stopper": "@EigenvalueStop()",
    "EigenvalueStop.factor": 1.3,
    "EigenvalueStop.window": 5,
    "EigenvalueStop.delta": 4,
    "EigenvalueStop.first_epoch": 11,
    "actions.sharpness": "@Sharpness()",
    "Sharpness.every_epochs": 2,
    "Sharpness.batches": 1,
    "Sharpness.which": "algebraic",
}
# GAEA: cnn/architect/architect_edarts.py (theta of 1 / O, no less than 1e-5), configs/cnn/mode/search_nasbench201.yaml.
GAEA = FIRST_ORDER | {
    "Method.relaxation": "@MirrorSoftmax()",
    "Method.temperature": "@ConstantTemperature()",
    "Method.logit_init_scale": 0.0,
    "Method.arch_optimizer": "@gaea/ExponentiatedGradient()",
    "gaea/ExponentiatedGradient.floor": 1e-5,
    "gaea/ExponentiatedGradient.weight_decay": 0.0,
    "Method.arch_rate": "@gaea/ConstantRate()",
    "gaea/ConstantRate.value": 0.1,
}
# gaea_release: cnn/architect/architect_eedarts.py
GAEA_PC = GAEA | PARTIAL_CHANNELS | EDGE_WEIGHTS | {"EdgeWeights.relaxation": "@MirrorSoftmax()"}
SINGLE_LEVEL = {"search.split": (1.0, None)}
# FairDARTS: fairdarts/train_search.py, separate_loss.py (L2, weight 10), utils.py (threshold 0.85); logits begin as 0.
FAIR = FIRST_ORDER | {
    "Method.relaxation": "@Sigmoid()",
    "Method.temperature": "@ConstantTemperature()",
    "Method.discretizer": "@Threshold()",
    "Threshold.threshold": 0.85,
    "Method.logit_init_scale": 0.0,
    "Method.arch_optimizer": "@fair_darts/Adam()",
    "fair_darts/Adam.beta_1": 0.9,
    "fair_darts/Adam.beta_2": 0.999,
    "fair_darts/Adam.weight_decay": 1e-3,
    "Method.arch_rate": "@fair_darts/ConstantRate()",
    "fair_darts/ConstantRate.value": 3e-3,
    "regularizers.zero_one": "@ZeroOneLoss()",
    "ZeroOneLoss.weight": 10.0,
    "ZeroOneLoss.norm": "l2",
}
# SmoothDARTS: sota/cnn/train_search.py, epsilon from 0.03 to 0.3; attacker/perturb.py, 7 steps.
RADII = {"initial_radius": 0.03, "final_radius": 0.3}


def smoothing(part, **numbers):
    values = {f"{part}.{name}": value for name, value in {**RADII, **numbers}.items()}
    return {"FirstOrder.perturbation": f"@{part}()"} | values


RANDOM_SMOOTHING, ADVERSARIAL_SMOOTHING = smoothing("RandomSmoothing"), smoothing("AdversarialSmoothing", steps=7)
# AutoDL-Projects: exps/NAS-Bench-201-algos/GDAS.py, tau from 10 to 0.1 in equal steps; forward_gdas in search_cells.py.
HARD_GUMBEL = {"Method.relaxation": "@HardGumbel()", "HardGumbel.unselected_gradient": True}


def gumbel(part, initial, final, **more):
    """A schedule over the search, whose last epoch is the first at the final temperature."""
    numbers = {"epochs": "%epochs", "initial_temperature": initial, "final_temperature": final, "decay_points": None}
    return {"Method.temperature": f"@{part}()"} | {f"{part}.{name}": v for name, v in {**numbers, **more}.items()}


GDAS = FIRST_ORDER | HARD_GUMBEL | gumbel("LinearTemperature", 10.0, "%gumbel_final_temperature")
ETS_GDAS = FIRST_ORDER | HARD_GUMBEL
ETS_GDAS |= gumbel("ExponentialTemperature", 10.0, "%gumbel_final_temperature", logit_scale=EXPECTED_LOGIT)
ONE_LEVEL = LOGITS | {
    "Method.step": "@OneLevel()",
    "OneLevel.weight_gradient_clip": "%weight_gradient_clip",
    "OneLevel.arch_gradient_clip": "%arch_gradient_clip",
}
# SNAS-Series: SNAS/train_search.py, from 1 to 0.03; that it falls linearly is our choice.
SNAS = ONE_LEVEL | {"Method.relaxation": "@SoftGumbel()"} | gumbel("LinearTemperature", 1.0, 0.03)
# SGAS: cnn/train_search.py, --warmup_dec_epoch 9 (counted from 0), --decision_freq 5 and --history_size 4.
SGAS = DARTS_V1 | {
    "Method.decisions": "@SequentialGreedy()",
    "SequentialGreedy.stability": False,
    "SequentialGreedy.warmup_epochs": "%warmup_epochs",
    "SequentialGreedy.first": None,
    "SequentialGreedy.interval": None,
}
SGAS_2 = SGAS | {"SequentialGreedy.stability": True, "SequentialGreedy.history": 4}
# darts-pt: --proj_crit acc; where the schedules are not the released ones, they are of the length of the search.
PT = {
    "Method.decisions": "@PerturbationSelection()",
    "PerturbationSelection.criterion": "accuracy",
    "PerturbationSelection.first": None,
    "PerturbationSelection.interval": None,
}


def projection(epochs):
    """darts-pt: projection.py, --proj_intv 5, SGD with 0.025 / 10 and a scheduler that is never stepped."""
    return PT | {
        "PerturbationSelection.first": epochs,
        "PerturbationSelection.interval": 5,
        "Method.weight_rate": "@projection/SequenceRate()",
        "projection/SequenceRate.first": "@weights/CosineRate()",
        "projection/SequenceRate.epochs": epochs,
        "projection/SequenceRate.then": "@projection/ConstantRate()",
        "projection/ConstantRate.value": 0.0025,
        "weights/CosineRate.epochs": epochs,
    }


# The logits of its "blank" method are never moved.
FIXED = {"Method.warmup_epochs": "%epochs", "Method.ticks": None}
SAMPLED = STEP | {
    "Method.step": "@SampledPaths()",
    "SampledPaths.weight_gradient_clip": "%weight_gradient_clip",
    "SampledPaths.num_validated_paths": "%num_validated_paths",
    "SampledPaths.variance_draws": "%variance_draws",
    "SampledPaths.rest_unused": True,  # SinglePathOneShot: src/Supernet/train.py
}
# No source: a reading of the abstract of GibbsNAS.
GIBBS = STEP | {
    "Method.step": "@GibbsSampling()",
    "GibbsSampling.weight_gradient_clip": "%weight_gradient_clip",
    "GibbsSampling.langevin_temperature": 0.1,
    "GibbsSampling.evidence": None,
    "GibbsSampling.forgetting": 0.5,
}
# PA-DA: nasbench201/train_panda_201.py; no importance weights, one distribution, tau = e / 250.
SHARES = {"smoothing": 1.0, "importance_weights": False}
PATHS = {"SampledPaths.paths": "@ImportancePaths()", "ImportancePaths.per_edge": False}
PATHS |= {f"ImportancePaths.{name}": value for name, value in SHARES.items()}
PATHS |= {"ImportancePaths.keep_without_gradient": False}
IMAGE_SHARES = {f"ImportanceImages.{name}": value for name, value in SHARES.items()}
IMAGES = {"SampledPaths.images": "@ImportanceImages()"} | IMAGE_SHARES
IMAGE_IMPORTANCE = {"FirstOrder.images": "@ImportanceImages()"} | IMAGE_SHARES  # own choice: docs/equations.md
UNIFORM_PATHS, FAIR_PATHS = {"SampledPaths.paths": "@UniformPaths()"}, {"SampledPaths.paths": "@FairPaths()"}
UNIFORM_IMAGES = {"SampledPaths.images": "@UniformImages()"}
SPOS, FAIRNAS = SAMPLED | UNIFORM_PATHS | UNIFORM_IMAGES, SAMPLED | FAIR_PATHS | UNIFORM_IMAGES
PA, DA, PA_DA = SAMPLED | PATHS | UNIFORM_IMAGES, SAMPLED | UNIFORM_PATHS | IMAGES, SAMPLED | PATHS | IMAGES
RELEASED = {"SampledPaths.rest_unused": False}  # PA-DA: README, PyTorch 1.7.1, whose zero_grad leaves zeros


def evolution(population, generations, parents, mutants, crossovers):
    """SinglePathOneShot: src/Search/search.py, with the probability 0.1 and 10 tries for each child."""
    numbers = {"population": population, "generations": generations, "parents": parents, "mutants": mutants}
    numbers |= {"crossovers": crossovers, "mutation_probability": 0.1, "tries": 10, "recalibration_batches": 200}
    return {"Method.selector": "@EvolutionarySearch()"} | {f"EvolutionarySearch.{n}": v for n, v in numbers.items()}


EVOLUTION = evolution(50, 20, 10, 25, 25)

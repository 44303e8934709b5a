"""What each gin file has to bind, from the papers and the authors' released codes: one row per file.

A row is a tuple of parts of `recipe_parts.py` and of numbers of its own; later ones replace earlier ones. What the
papers leave open is a choice (docs/equations.md), and a row fixes it as well.
"""

import recipe_parts as p

# ------------------------------------------------------------------------------------------------ recipes of searches

HALVES = {"search.batch_size": 64, "search.split": (0.5, 0.5)}
# quark0/darts: cnn/train_search.py; 50 epochs, batch 64, SGD 0.025 -> 0.001, decay 3e-4, the logits first.
DARTS_SEARCH = p.DEFAULTS | HALVES | {"epochs": 50, "step_order": "arch_first"}
# PC-DARTS: train_search.py; batch 256, 0.1 -> 0, logits 6e-4 from epoch 15 on, the other numbers are those of DARTS.
PC_DARTS_SEARCH = DARTS_SEARCH | {"search.batch_size": 256, "warmup_epochs": 15, "weights/CosineRate.base": 0.1}
PC_DARTS_SEARCH |= {"weights/CosineRate.minimum": 0.0, "arch/ConstantRate.value": 6e-4}
# DrNAS: 201-space/train_search.py has the same numbers; 50 epochs by the seconds of Table 1 (7,392 beside 7,253).
NB201_SEARCH = p.NB201 | DARTS_SEARCH
# AutoDL-Projects: configs/nas-benchmark/algos/DARTS.config, scripts-search/NAS-Bench-201-algos/DARTS-V1.sh.
NESTEROV = {"weights/SGD.nesterov": True, "weights/SGD.weight_decay": 5e-4}
NB201_SEARCH_V1 = NB201_SEARCH | NESTEROV | {"epochs": 50, "step_order": "weights_first"}
# FairDARTS: fairdarts/train_search.py, seven operations, batch 128, SGD 0.005 -> 0.001.
FAIR_SEARCH = {"darts.with_none": False, "darts.optional_edges": True, "search.batch_size": 128}
FAIR_SEARCH |= {"weights/CosineRate.base": 0.005}
# gaea_release: configs/cnn/mode/search_nasbench201.yaml (scheduler_epochs 50), README (exclude_zero).
NB201_SEARCH_GAEA = NB201_SEARCH | {"epochs": 25, "nas_bench_201.init_channels": 24, "nas_bench_201.with_none": False}
NB201_SEARCH_GAEA |= {"weight_rate": "@weights/SequenceRate()", "weights/SequenceRate.first": "@weights/CosineRate()"}
NB201_SEARCH_GAEA |= {"weights/SequenceRate.epochs": 25, "weights/SequenceRate.then": "@weights/ConstantRate()"}
NB201_SEARCH_GAEA |= {"weights/CosineRate.epochs": 50, "weights/ConstantRate.value": 0.001}
# Own choices (docs/reproduce.md); rates of DARTS-V1.
SHALLOW = p.DEFAULTS | p.NB201 | NESTEROV
SHALLOW |= {"nas_bench_201.cells_per_stage": 1, "epochs": 25, "search.batch_size": 64, "search.split": (5000, 5000)}
SHALLOW |= {"search.measured_images": 1000, "warmup_epochs": 5, "arch_gradient_clip": 5.0, "entropy_gain": 0.24}
NB201_SMALL = SHALLOW | {"nas_bench_201.cells_per_stage": 5, "nas_bench_201.init_channels": 8}
NB201_SMALL |= {
    "search.max_image_side": 16,
    "search.split": (0.5, 0.5),
    "search.steps_per_epoch": 78,
    "initial_temperature": 0.01,
}
FAMILY_SMALL = p.DEFAULTS | {"epochs": 15, "search.batch_size": 32, "search.split": (1000, 1000)}
FAMILY_SMALL |= {"step_order": "arch_first", "arch_gradient_clip": 5.0, "warmup_epochs": 3, "entropy_gain": 0.24}
# PA-DA: nasbench201/train_baselines_201.py; batch 256, SGD 0.05 -> 0, decay 2.5e-4, momentum 0.9 without Nesterov.
ONE_SHOT_RATES = {
    "weights/SGD.weight_decay": 2.5e-4,
    "weights/CosineRate.base": 0.05,
    "weights/CosineRate.minimum": 0.0,
}
ONE_SHOT = p.DEFAULTS | ONE_SHOT_RATES
ONE_SHOT |= {"epochs": 250, "search.batch_size": 256, "search.split": (45000, 5000)}
ONE_SHOT_SMALL = p.DEFAULTS | ONE_SHOT_RATES | p.NB201
ONE_SHOT_SMALL |= {"nas_bench_201.init_channels": 8, "nas_bench_201.cells_per_stage": 1, "num_validated_paths": 2}
ONE_SHOT_SMALL |= {"epochs": 25, "search.batch_size": 64, "search.split": (5000, 2000)}
# proxylessnas: search/imagenet_arch_search.py; 50,000 of 1,281,167 images for the logits, batch 256, decay 4e-5.
MOBILE = p.DEFAULTS | p.PROXYLESS | {"search.batch_size": 256, "search.split": (0.961, 0.039), "epochs": 120}
MOBILE |= {"weights/SGD.nesterov": True, "weights/SGD.weight_decay": 4e-5}
MOBILE_ONE_SHOT = MOBILE | {"weights/CosineRate.base": 0.05, "weights/CosineRate.minimum": 0.0}  # the rate of PA-DA
# The same: 40 epochs of the weights alone at 0.05, then 120 at 0.025, no clip, Adam (0, 0.999) of rate 1e-3.
MOBILE_SEARCH = {name: value for name, value in MOBILE.items() if not name.startswith("weights/CosineRate")}
MOBILE_SEARCH |= {"search.epochs": 160, "warmup_epochs": 40, "weight_gradient_clip": None}
MOBILE_SEARCH |= {"weight_rate": "@weights/SequenceRate()", "weights/SequenceRate.first": "@warmup/CosineRate()"}
MOBILE_SEARCH |= {"weights/SequenceRate.epochs": 40, "weights/SequenceRate.then": "@joint/CosineRate()"}
MOBILE_SEARCH |= {"warmup/CosineRate.base": 0.05, "warmup/CosineRate.epochs": 40, "warmup/CosineRate.minimum": 0.0}
MOBILE_SEARCH |= {"joint/CosineRate.base": 0.025, "joint/CosineRate.epochs": "%epochs", "joint/CosineRate.minimum": 0.0}
MOBILE_SEARCH |= {"arch/Adam.beta_1": 0.0, "arch/Adam.weight_decay": 0.0, "arch/ConstantRate.value": 1e-3}

# --------------------------------------------------------------------------------------------- recipes of retrainings


def training(epochs, batch_size, decay, clip, nesterov=False, **recipe):
    """SGD with momentum 0.9 on all training images."""
    numbers = {
        "label_smoothing": 0.0,
        "mixup": 0.0,
        "auxiliary_weight": 0.0,
        "drop_path_rate": 0.0,
        "extra_augmentation": (),
    }
    numbers |= {"weight_gradient_clip": clip, "optimizer": "@retrain/SGD()", **recipe}
    return {
        "retrain.recipe": "@TrainingRecipe()",
        "retrain.valid": 0.0,
        "retrain.steps_per_epoch": None,
        "retrain.patience": None,
        "retrain.epochs": epochs,
        "retrain.batch_size": batch_size,
        "retrain/SGD.momentum": 0.9,
        "retrain/SGD.nesterov": nesterov,
        "retrain/SGD.weight_decay": decay,
    } | {f"TrainingRecipe.{name}": value for name, value in numbers.items()}


def cosine(base, epochs):
    numbers = {"base": base, "minimum": 0.0, "epochs": epochs}
    return {"TrainingRecipe.rate": "@retrain/CosineRate()"} | {f"retrain/CosineRate.{n}": v for n, v in numbers.items()}


def network(name, **numbers):
    return {"retrain.space": f"@retrain/{name}()"} | {f"retrain/{name}.{number}": v for number, v in numbers.items()}


# AutoDL-Projects: configs/nas-benchmark/CIFAR.config; 200 epochs, batch 256, Nesterov, 0.1 -> 0, 5e-4, no clip.
NB201_TRAINING = training(200, 256, 5e-4, None, True) | cosine(0.1, 200)
NB201_TRAINING |= network("nas_bench_201", init_channels=16, cells_per_stage=5)
# Own choices; NAS-Bench-201's rate by the square root of the batch, and the same product of rate and decay.
OWN_IMAGES = NB201_TRAINING | training(60, 64, 5e-4 * 2, 5.0, True, label_smoothing=0.1) | cosine(0.1 / 2, 60)
OWN_IMAGES |= {"retrain.steps_per_epoch": 50, "retrain.valid": 0.15, "retrain.patience": 20}
OWN_IMAGES |= network("nas_bench_201", init_channels=16, cells_per_stage=2)
# quark0/darts: cnn/train.py; 600 epochs, batch 96, 0.025 -> 0, 3e-4, clip 5, cutout 16, auxiliary 0.4, drop path 0.2.
DARTS_HEAD = {"auxiliary_weight": 0.4, "drop_path_rate": 0.2, "extra_augmentation": ("@Cutout()",)}
DARTS_TRAINING = training(600, 96, 3e-4, 5.0, **DARTS_HEAD) | cosine(0.025, 600) | {"Cutout.size": 16}
CIFAR_TRAINING = DARTS_TRAINING | network("darts", init_channels=36, num_cells=20)
# DrNAS: DARTS-space/train.py, by which the paper evaluates on CIFAR-10 (section 3.3); batch 64, drop path 0.3.
DRNAS_TRAINING = CIFAR_TRAINING | {"retrain.batch_size": 64, "TrainingRecipe.drop_path_rate": 0.3}
# quark0/darts: cnn/train_imagenet.py; C 48, 14 cells, 250 epochs, 3e-5, smoothing 0.1, auxiliary 0.4, clip 5.
IMAGENET_HEAD = {"label_smoothing": 0.1, "auxiliary_weight": 0.4}
IMAGENET_NETWORK = network("darts_imagenet", init_channels=48, num_cells=14, stem="evaluation")
IMAGENET_SHARED = training(250, 0, 3e-5, 5.0, **IMAGENET_HEAD) | IMAGENET_NETWORK | {"TrainingRecipe.rate": None}
del IMAGENET_SHARED["retrain.batch_size"]
# The same: batch 128, 0.1 times 0.97 per epoch.
EXPONENTIAL = {"TrainingRecipe.rate": "@retrain/ExponentialRate()", "retrain.batch_size": 128}
EXPONENTIAL |= {"retrain/ExponentialRate.base": 0.1, "retrain/ExponentialRate.decay": 0.97}
# DrNAS: DARTS-space/train_imagenet.py; batch 768, 0.5, linear, slower in the last 5 epochs, 5 epochs of warm-up.
LINEAR = {"TrainingRecipe.rate": "@retrain/WarmupRate()", "retrain.batch_size": 768}
LINEAR |= {"retrain/WarmupRate.rate": "@retrain/LinearRate()", "retrain/WarmupRate.epochs": 5}
LINEAR |= {"retrain/LinearRate.base": 0.5, "retrain/LinearRate.epochs": 250, "retrain/LinearRate.tail": 5}
IMAGENET_TRAINING = IMAGENET_SHARED | LINEAR
# proxylessnas: training/main.py; 300 epochs, 64 images and 0.0125 a worker, 5 epochs of warm-up, 5e-5, smoothing 0.1.
MOBILE_TRAINING = training(300, 8 * 64, 5e-5, None, label_smoothing=0.1) | cosine(8 * 0.0125, 295)
MOBILE_TRAINING |= network("proxyless", width_multiplier=1.0) | p.color_jitter(hue=0.1)
MOBILE_TRAINING |= {"TrainingRecipe.rate": "@retrain/SequenceRate()", "retrain/SequenceRate.epochs": 5}
MOBILE_TRAINING |= {"retrain/SequenceRate.first": "@warmup/WarmupRate()"}
MOBILE_TRAINING |= {"retrain/SequenceRate.then": "@retrain/CosineRate()"}
MOBILE_TRAINING |= {"warmup/WarmupRate.rate": "@warmup/ConstantRate()", "warmup/WarmupRate.epochs": 5}
MOBILE_TRAINING |= {"warmup/ConstantRate.value": 8 * 0.0125}
# Own choices.
SMALL_TRAINING = training(20, 64, 5e-4, 5.0, True)
SMALL_MOBILE = {"blocks": (2, 3, 2), "strides": (1, 2, 2), "stem_stride": 1}
SEVEN_BLOCKS = {"widths": (8, 16, 24), "stem_width": 8, "first_width": 8, "head_width": 64, **SMALL_MOBILE}
SEVEN_WIDE = {"widths": (24, 48, 96), "stem_width": 24, "first_width": 24, "head_width": 384, **SMALL_MOBILE}
SMALL_CELLS = {name: {f"{name}.init_channels": 8, f"{name}.num_cells": 4} for name in ("darts", "s2", "s4")}

# ----------------------------------------------------------------------------------------------------------- the rows

QUICKSTART = (p.DIGITS, SHALLOW, p.EDD, SMALL_TRAINING, cosine(0.1, 20))
QUICKSTART += (network("nas_bench_201", init_channels=16, cells_per_stage=1),)
QUICKSTART += ({"epochs": 12, "warmup_epochs": 0, "arch_gradient_clip": None, "entropy_gain": 0.06},)
QUICKSTART += ({"search.batch_size": 32, "search.split": (0.5, 0.5)},)
QUICKSTART += ({"nas_bench_201.init_channels": 8},)
RECIPES = {
    "nb201_search": (NB201_SEARCH,),
    "nb201_search_darts_v1": (NB201_SEARCH_V1,),
    "nb201_search_gaea": (NB201_SEARCH_GAEA,),
    "nb201_shallow": (SHALLOW,),
    "nb201_small": (NB201_SMALL,),
    "nb201_own_images": (
        NB201_SMALL,
        {"stopper": "@HealthyCell()", "HealthyCell.least_ratio": 0.8, "nas_bench_201.cells_per_stage": 2},
    ),
    "nb201_cifar10_small": (p.CIFAR10, NB201_SMALL, p.EDD),
    "nb201_one_shot_small": (ONE_SHOT_SMALL,),
    "nb201_retrain_200_epochs": (NB201_TRAINING,),
    "nb201_retrain_own_images": (OWN_IMAGES,),
    "one_shot_search": (ONE_SHOT,),
    "darts_search": (p.DARTS, DARTS_SEARCH),
    "darts_search_fair": (p.DARTS, DARTS_SEARCH, FAIR_SEARCH),
    "darts_family_search": (DARTS_SEARCH,),
    "pc_darts_search": (p.DARTS, PC_DARTS_SEARCH),
    "darts_family_small": (FAMILY_SMALL,),
    "darts_cifar10_small": (p.CIFAR10, p.DARTS, FAMILY_SMALL, p.EDD, SMALL_CELLS["darts"]),
    "s2_cifar10_small": (p.CIFAR10, p.S["s2"], FAMILY_SMALL, p.EDD, SMALL_CELLS["s2"]),
    "s4_cifar10_small": (p.CIFAR10, p.S["s4"], FAMILY_SMALL, p.EDD, SMALL_CELLS["s4"]),
    "darts_retrain_600_epochs": (DARTS_TRAINING,),
    "darts_retrain_small": (DARTS_TRAINING, network("darts", init_channels=16, num_cells=8)),  # RobustDARTS
    "darts_retrain_cifar_600_epochs": (CIFAR_TRAINING,),
    "darts_retrain_cifar_600_epochs_edd": (DRNAS_TRAINING,),
    "darts_retrain_imagenet": (IMAGENET_SHARED,),
    "darts_retrain_imagenet_250_epochs": (IMAGENET_SHARED, EXPONENTIAL),
    "darts_retrain_imagenet_250_epochs_linear": (IMAGENET_TRAINING,),
    "proxyless_search": (MOBILE_SEARCH,),
    "proxyless_one_shot_search": (MOBILE_ONE_SHOT,),
    "proxyless_retrain_imagenet": (p.IMAGENET, MOBILE_TRAINING),
    "proxyless_cifar10_small": (
        p.CIFAR10,
        p.PROXYLESS | p.space("@proxyless()", **SEVEN_BLOCKS),
        FAMILY_SMALL,
        p.EDD,
        training(20, 64, 4e-5, 5.0, True) | cosine(0.05, 20) | network("proxyless", **SEVEN_WIDE),
    ),
}
METHODS = {
    "darts": (p.DARTS_V1,),
    "darts_v2": (p.DARTS_V2,),
    "edd_darts": (p.EDD,),
    "softmax_edd_darts": (p.SOFTMAX_EDD,),
    "pcd_darts": (p.PCD,),
    "lpcd_darts": (p.LPCD,),
    "ets_darts": (p.ETS,),
    "lts_darts": (p.LTS,),
    "sd_darts": (p.DARTS_V1, p.SELF_DISTILLATION),
    "sd_edd_darts": (p.EDD, p.SELF_DISTILLATION),
    "beta_darts": (p.DARTS_V1, p.BETA_DECAY),
    "pc_darts": (p.PC_DARTS,),
    "edd_pc_darts": (p.EDD_PC,),
    "darts_minus": (p.DARTS_V1, p.AUXILIARY_SKIP),
    "r_darts_dp": (p.DARTS_V2, p.DROP_PATH),
    "drnas": (p.DRNAS,),
    "drnas_kl": (p.DRNAS_KL,),
    "gaea": (p.GAEA,),
    "gaea_pc_darts": (p.GAEA_PC,),
    "gaea_erm": (p.GAEA, p.SINGLE_LEVEL),
    "darts_es": (p.DARTS_V2, p.EIGENVALUE_STOP),
    "darts_es_first_order": (p.DARTS_V1, p.EIGENVALUE_STOP),
    "r_darts_l2": (p.DARTS_V2, {"weights/SGD.weight_decay": 27e-4}),  # RobustDARTS: scripts, 3e-4 times 1, 3, 9, 27
    "fair_darts": (p.FAIR,),
    "sdarts_rs": (p.DARTS_V1, p.RANDOM_SMOOTHING),
    "sdarts_adv": (p.DARTS_V1, p.ADVERSARIAL_SMOOTHING),
    "gdas": (p.GDAS,),
    "ets_gdas": (p.ETS_GDAS,),
    "snas": (p.SNAS,),
    "sgas": (p.SGAS,),
    "sgas_criterion_2": (p.SGAS_2,),
    "darts_pt": (p.DARTS_V1, p.PT),
    "sdarts_rs_pt": (p.DARTS_V1, p.RANDOM_SMOOTHING, p.PT),
    "darts_pt_fixed": (p.DARTS_V1, p.PT, p.FIXED),
    "spos": (p.SPOS,),
    "gibbs_nas": (p.GIBBS,),
    "rsps": (p.SPOS, {"Method.selector": "@RandomSearch()", "RandomSearch.evaluations": 100}),
    "fairnas": (p.FAIRNAS,),
    "pa": (p.PA,),
    "da": (p.DA,),
    "pa_da": (p.PA_DA,),
    "logits": (p.LOGITS,),
    "first_order": (p.FIRST_ORDER,),
    "second_order": (p.SECOND_ORDER,),
    "one_level": (p.ONE_LEVEL,),
    "sampled_paths": (p.SAMPLED,),
    "self_distillation": (p.DARTS_V1, p.SELF_DISTILLATION),
    "beta_decay": (p.DARTS_V1, p.BETA_DECAY),
    "image_importance": (p.EDD, p.IMAGE_IMPORTANCE),
    "eigenvalue_stop": (p.DARTS_V1, p.EIGENVALUE_STOP),
    "random_smoothing": (p.EDD, p.RANDOM_SMOOTHING),
    "adversarial_smoothing": (p.EDD, p.ADVERSARIAL_SMOOTHING),
    "partial_channels": (p.EDD, p.PARTIAL_CHANNELS),
    "edge_weights": (p.EDD, p.EDGE_WEIGHTS),
    "auxiliary_skip": (p.EDD, p.AUXILIARY_SKIP),
    "drop_path": (p.EDD, p.DROP_PATH),
    "perturbation_selection": (p.EDD, p.PT),
    "pt_schedule_nb201": (p.DARTS_V1, p.projection(100)),
    "pt_schedule_darts_space": (p.DARTS_V1, p.projection(50)),
}
PARTS = {
    "datasets/cifar10.gin": (p.CIFAR10,),
    "datasets/cifar100.gin": (p.CIFAR100,),
    "datasets/svhn.gin": (p.SVHN,),
    "datasets/imagenet16_120.gin": (p.IMAGENET16,),
    "datasets/digits.gin": (p.DIGITS,),
    "datasets/image_folder.gin": (p.FOLDER,),
    "datasets/imagenet2012.gin": (p.IMAGENET,),
    "datasets/imagenet2012_mobile.gin": (p.IMAGENET, p.MOBILE_JITTER),
    "datasets/imagenet2012_search.gin": (p.IMAGENET, p.IMAGENET_SEARCH),
    "spaces/nas_bench_201.gin": (p.NB201,),
    "spaces/darts.gin": (p.DARTS,),
    "spaces/darts_imagenet.gin": (p.DARTS_IMAGENET,),
    "spaces/proxyless.gin": (p.PROXYLESS,),
    **{f"spaces/{name}.gin": (numbers,) for name, numbers in p.S.items()},
    "selectors/evolution.gin": (p.SPOS, p.EVOLUTION),
    "selectors/evolution_small.gin": (p.SPOS, p.evolution(20, 5, 5, 10, 10)),
    "selectors/regularized_evolution.gin": (
        p.SPOS,
        {
            "Method.selector": "@RegularizedEvolution()",
            "RegularizedEvolution.population": 10,
            "RegularizedEvolution.sample_size": 3,
            "RegularizedEvolution.evaluations": 1000,
        },
    ),
    "selectors/random.gin": (p.SPOS, {"Method.selector": "@RandomSearch()", "RandomSearch.evaluations": 1000}),
    "selectors/random_small.gin": (p.SPOS, {"Method.selector": "@RandomSearch()", "RandomSearch.evaluations": 100}),
}

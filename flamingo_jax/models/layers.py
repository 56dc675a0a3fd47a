"""The small layers that every module shares: projections, norms and activations, each parameter with its logical axes.

Parameters are created in float32 and cast to the module's compute dtype where they are used; statistics of norms are
always float32. Logical axis names (`embed`, `heads`, `mlp`, ...) say what an axis is, and a run's sharding rules
map them to the mesh.
"""

import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from flamingo_jax.models.quantized import scale_of

Initializer = Callable[..., Array]

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "squared_relu": lambda x: jnp.square(jax.nn.relu(x)),
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    "quick_gelu": lambda x: x * jax.nn.sigmoid(1.702 * x),  # OpenAI's CLIP
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
}


def activation(name: str) -> Callable[[Array], Array]:
    """The activation called `name`; a ValueError lists the known ones."""
    if name not in ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}; known: {', '.join(sorted(ACTIVATIONS))}")
    return ACTIVATIONS[name]


def scaled_init(scale: float) -> Initializer:
    """LeCun normal (fan in) with its standard deviation multiplied by `scale`."""
    return nn.initializers.variance_scaling(scale**2, "fan_in", "truncated_normal")


class Projection(nn.Module):
    """A linear map from the last `contracted` axes of the input to `features`.

    `axes` names the kernel's axes, contracted ones first. The kernel is `[*input axes, *features]`, the bias is
    `features`.
    """

    features: tuple[int, ...]
    axes: tuple[str, ...]
    contracted: int = 1
    dtype: jnp.dtype = jnp.float32
    kernel_init: Initializer = scaled_init(1.0)
    use_bias: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        shape = (*x.shape[-self.contracted :], *self.features)
        init = nn.with_logical_partitioning(_flattened(self.kernel_init, self.contracted), self.axes)
        kernel = self.param("kernel", init, shape, jnp.float32)
        scale = scale_of(self, "kernel", shape, self.axes, range(self.contracted))
        dims = tuple(range(x.ndim - self.contracted, x.ndim)), tuple(range(self.contracted))
        y = jax.lax.dot_general(x.astype(self.dtype), kernel.astype(self.dtype), (dims, ((), ())))
        if scale is not None:
            y = (y.astype(jnp.float32) * scale.reshape(self.features)).astype(self.dtype)
        if not self.use_bias:
            return y
        init = nn.with_logical_partitioning(nn.initializers.zeros, self.axes[self.contracted :])
        return y + self.param("bias", init, self.features, jnp.float32).astype(self.dtype)


def _flattened(init: Initializer, contracted: int) -> Initializer:
    """Draws the kernel as the matrix that it acts as, so that fans count every contracted axis."""

    def flat_init(key, shape, dtype):
        return init(key, (math.prod(shape[:contracted]), math.prod(shape[contracted:])), dtype).reshape(shape)

    return flat_init


class LayerNorm(nn.Module):
    """Layer normalization over the last axis with a learned scale and, unless `use_bias` is off, a bias."""

    eps: float = 1e-5
    dtype: jnp.dtype = jnp.float32
    use_bias: bool = True
    axis: str = "embed"

    @nn.compact
    def __call__(self, x: Float[Array, "*lead width"]) -> Float[Array, "*lead width"]:
        scale = self.param("scale", nn.with_logical_partitioning(nn.initializers.ones, (self.axis,)), x.shape[-1:])
        x = x.astype(jnp.float32)
        centred = x - jnp.mean(x, axis=-1, keepdims=True)
        variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
        x = centred * jax.lax.rsqrt(variance + self.eps) * scale
        if self.use_bias:
            x += self.param("bias", nn.with_logical_partitioning(nn.initializers.zeros, (self.axis,)), x.shape[-1:])
        return x.astype(self.dtype)


class RMSNorm(nn.Module):
    """Root-mean-square normalization over the last axis with a learned scale, which is `offset` + the parameter."""

    eps: float = 1e-5
    dtype: jnp.dtype = jnp.float32
    offset: float = 0.0
    axis: str = "embed"

    @nn.compact
    def __call__(self, x: Float[Array, "*lead width"]) -> Float[Array, "*lead width"]:
        init = nn.with_logical_partitioning(nn.initializers.constant(1.0 - self.offset), (self.axis,))
        scale = self.param("scale", init, x.shape[-1:])
        x = x.astype(jnp.float32)
        x = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + self.eps)
        return (x * (self.offset + scale.astype(jnp.float32))).astype(self.dtype)


NORMS: dict[str, Callable[..., nn.Module]] = {
    "layer": LayerNorm,
    "layer_no_bias": lambda *args, **named: LayerNorm(*args, use_bias=False, **named),
    "rms": RMSNorm,
    "rms_offset": lambda *args, **named: RMSNorm(*args, offset=1.0, **named),
}
"""Constructors `(eps, dtype, name=...)` by the name that configs give them."""

"""A table of one vector a token (or position): looked up at the bottom, multiplied with at the top."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from flamingo_jax.models.sharding import constrain


class Table(NamedTuple):
    """`scale` is there where the table is stored in 8 bits: each row is a channel, see `models.quantized`."""

    table: Float[Array, "count width"]
    scale: Float[Array, "count 1"] | None

    def rows(self, indices: Int[Array, "..."]) -> Float[Array, "... width"]:
        """The rows of these indices."""
        # Where only rows are cut, a device looks its own up; cut vectors would have to be put together after it.
        found = constrain(self.table, "vocab", "activation_embed")[indices]
        return found if self.scale is None else found.astype(jnp.float32) * self.scale[indices]

    def logits(self, states: Float[Array, "batch length width"]) -> Float[Array, "batch length count"]:
        """The product of each state with each row, in float32."""
        table = self.table.astype(states.dtype)
        found = jnp.einsum("blw,vw->blv", states, table, preferred_element_type=jnp.float32)
        return found if self.scale is None else found * self.scale[:, 0]

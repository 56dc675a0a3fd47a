"""Canonical names against the stacks of real models, and the two ways of going between them, for any plan."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flamingo_jax.interop.canonical import Place, canonical_name, flatten_shapes, in_order, places
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.models.language.plan import LayerPlan
from flamingo_jax.training.state import abstract_params, flat_shapes
from tests import tiny


@st.composite
def plans(draw) -> LayerPlan:
    """Any plan of up to 12 layers, grafted layers included."""
    layers = draw(st.integers(1, 12))
    first = draw(st.integers(0, layers - 1))
    return LayerPlan.make(layers, draw(st.integers(0, layers + 1)), first, draw(st.integers(0, 3)))


def stacked_shapes(plan: LayerPlan) -> dict[str, tuple[int, ...]]:
    """The leaves of a made-up model with this plan: what the layers hold does not matter here."""
    shapes = {
        "language_model/embedding": (9, 4),
        "resampler/layers/query/kernel": (2, 4, 4),
        "vision_encoder/layers/up/bias": (3, 5),
        "vision_encoder/block_7/kernel": (4,),
        "vision_encoder/blocks_8_to_11/kernel": (4, 4),
        "visual_projection/kernel": (4, 4),
    }
    parts = {"head": (plan.head,), "groups/layers": (plan.groups, plan.every), "tail/layers": (plan.tail,)}
    parts["graft/layers"] = (plan.graft, 1)
    shapes |= {f"language_model/{part}/query/kernel": (*lead, 4) for part, lead in parts.items() if math.prod(lead)}
    for part, lead in {"groups": (plan.groups,), "tail": () if plan.tail else (0,), "graft": (plan.graft,)}.items():
        if math.prod(lead):
            shapes[f"language_model/{part}/gated_cross_attention/attention_gate"] = lead
    return shapes


@given(plans())
def test_every_element_has_one_name_and_every_name_one_place(plan):
    stacked = stacked_shapes(plan)
    names = flatten_shapes(stacked, plan)
    where = places(stacked, plan)
    assert where.keys() == names.keys()
    filled = {path: np.zeros(shape, int) for path, shape in stacked.items()}
    for name, shape in names.items():
        place = where[name]
        assert filled[place.path][place.index].shape == shape
        filled[place.path][place.index] += 1
    assert all((count == 1).all() for count in filled.values())


@given(plans())
def test_layers_and_blocks_are_numbered_from_the_bottom_up(plan):
    names = flatten_shapes(stacked_shapes(plan), plan)
    layers = [name for name in names if name.startswith("language_model/layers/")]
    assert layers == [f"language_model/layers/{i}/query/kernel" for i in range(plan.num_layers)]
    blocks = [name for name in names if "gated_cross_attention" in name]
    assert blocks == [f"language_model/gated_cross_attention/{j}/attention_gate" for j in range(plan.num_blocks)]
    found = [places(stacked_shapes(plan), plan)[name] for name in blocks]
    order = ["groups", "tail", "graft"]
    assert found == sorted(found, key=lambda place: (order.index(place.path.split("/")[1]), place.index))


def test_a_plan_by_hand():
    plan = LayerPlan.make(8, every=3, first=1, graft=2)  # 0 [x 1 2 3] [x 4 5 6] [x 7] [x g] [x g]
    expected = {
        "language_model/layers/0/a/b": Place("language_model/head/a/b", (0,)),
        "language_model/layers/5/a/b": Place("language_model/groups/layers/a/b", (1, 1)),
        "language_model/layers/7/a/b": Place("language_model/tail/layers/a/b", (0,)),
        "language_model/gated_cross_attention/1/a": Place("language_model/groups/gated_cross_attention/a", (1,)),
        "language_model/gated_cross_attention/2/a": Place("language_model/tail/gated_cross_attention/a", ()),
        "language_model/gated_cross_attention/4/a": Place("language_model/graft/gated_cross_attention/a", (1,)),
        "language_model/graft/layers/1/a": Place("language_model/graft/layers/a", (1, 0)),
        "language_model/embedding": Place("language_model/embedding", ()),
        "resampler/layers/11/a": Place("resampler/layers/a", (11,)),
        "vision_encoder/block_8/a/b": Place("vision_encoder/block_8/a/b", ()),
        "vision_encoder/block_12/a/b": Place("vision_encoder/blocks_9_to_20/a/b", (3,)),
    }
    for name, place in expected.items():
        assert canonical_name(place, plan) == name


def test_a_real_model():
    for changes in (
        {"cross_attention_every": 2, "cross_attention_first": 1},
        {"cross_attention_every": 0, "grafted_layers": 2},
    ):
        config = tiny.config(**changes)
        stacked = {path: leaf.shape for path, leaf in flat_shapes(abstract_params(Flamingo(config))).items()}
        names = flatten_shapes(stacked, config.plan)
        assert sum(map(math.prod, names.values())) == sum(map(math.prod, stacked.values()))
        assert {place.path for place in places(stacked, config.plan).values()} == stacked.keys()
        width, heads, size = tiny.LANGUAGE.width, tiny.LANGUAGE.num_heads, tiny.LANGUAGE.head_dim
        assert names["language_model/layers/4/query/kernel"] == (width, heads, size)
        assert "resampler/layers/1/latents_norm/scale" in names


def test_order_is_by_number():
    names = ["a/layers/10/x", "a/layers/9/x", "a/embedding", "a/layers/9/b"]
    assert in_order(names) == ["a/embedding", "a/layers/9/b", "a/layers/9/x", "a/layers/10/x"]

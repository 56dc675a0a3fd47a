"""From a table of names to a decoder's weight map: what all naming schemes have in common.

A scheme is a table `our module -> their module`; which modules there are, and which of them have biases, is the
config's. Their tensors end in `.weight` and `.bias` in every scheme known here.
"""

from collections.abc import Callable, Container, Mapping, Sequence

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.layouts import Flat, Layout, Linear, Plain, Single
from flamingo_jax.interop.weight_map import Drop, Rule, WeightMap
from flamingo_jax.models.language.decoder_config import DecoderConfig

FUSED = "query+key+value"
"""In a table, stands for the module that holds all three."""
_QKV = ("query", "key", "value")

ROTARY_BUFFERS = Drop(r".*rotary_emb\.inv_freq", "rotary frequencies: computed from the config")
MASK_BUFFERS = Drop(r"(.*\.)?(attn|attention)\.(masked_)?bias", "the causal mask: computed")


def _tables(config: DecoderConfig) -> tuple[str, ...]:
    """The tables that a decoder of this config has, each a parameter by itself."""
    learned, untied = config.positions == "learned", not config.tied_embeddings
    return ("embedding", *(("position_embedding",) if learned else ()), *(("output_embedding",) if untied else ()))


def _layer_modules(config: DecoderConfig) -> dict[str, tuple[str, ...]]:
    """The modules of one layer, each with its parameters."""

    def linear(bias: bool) -> tuple[str, ...]:
        return ("kernel", "bias") if bias else ("kernel",)

    norm, qkv, dense = _norm_parameters(config), linear(config.qkv_bias), linear(config.dense_bias)
    return {
        "attention_norm": norm,
        **dict.fromkeys(_QKV, qkv),
        **(dict.fromkeys(("query_norm", "key_norm"), norm) if config.qk_norm else {}),
        "output": linear(config.output_bias),
        **({"attention_post_norm": norm} if config.post_norms else {}),
        "dense_norm": norm,
        **({"gate": dense} if config.gated_dense else {}),
        "up": dense,
        "down": dense,
        **({"dense_post_norm": norm} if config.post_norms else {}),
    }


def _norm_parameters(config: DecoderConfig) -> tuple[str, ...]:
    """The parameters of a norm."""
    return ("scale", "bias") if config.norm == "layer" else ("scale",)


def find_prefix(names: Container[str], name: str, prefixes: Sequence[str]) -> str:
    """The first of `prefixes` under which the tensor `name` is in a file; the first of all if there is none."""
    return next((prefix for prefix in prefixes if prefix + name in names), prefixes[0])


def tied_copy(config: DecoderConfig, *names: str) -> tuple[Drop, ...]:
    """Drops an output table that a file holds although the config says that it is the embedding table."""
    reason = "a copy of the embedding table, which is the output table too"
    return tuple(Drop(name, reason) for name in names) if config.tied_embeddings else ()


def linear_layout(module: str, parameter: str, transposed: bool = True) -> Single:
    """How torch lays out a parameter of `module`: `[out, in]` for kernels, or `[in, out]` if not `transposed`."""
    if parameter == "kernel":
        return Linear(2 if module == "output" else 1, transposed)
    return Flat() if parameter == "bias" and module in _QKV else Plain()


def weight_map(
    config: DecoderConfig,
    names: Mapping[str, str],
    drops: Sequence[Drop] = (),
    *,
    layout: Callable[[str, str], Single] = linear_layout,
    fused: Callable[[str, Single], Layout] | None = None,
) -> WeightMap:
    """The weight map of a scheme.

    Args:
      config: of the decoder.
      names: their name of each table, of `final_norm`, and of each module of a layer under `layers/`, with `{}` for the
        layer's number (`layers/query`: `model.layers.{}.self_attn.q_proj`). `layers/query+key+value` stands for all
        three.
      drops: what else the file may hold.
      layout: of a parameter of a module, by their names.
      fused: with `query+key+value`, the layout of three parameters of that name, from the layout of each.

    Raises:
      WeightsError: the scheme has no place for a parameter of the config.
    """
    joined = f"layers/{FUSED}" in names
    parts = [("", (table,), "") for table in _tables(config)]
    parts += [("", ("final_norm",), parameter) for parameter in _norm_parameters(config)]
    for module, parameters in _layer_modules(config).items():
        if not joined or module not in _QKV:
            parts += [("layers/", (module,), parameter) for parameter in parameters]
        elif module == _QKV[0]:
            parts += [("layers/", _QKV, parameter) for parameter in parameters]
    homeless = {f"{stem}{'+'.join(modules)}" for stem, modules, _ in parts} - names.keys()
    if config.positions == "relative":
        homeless.add("layers/relative_key")
    if homeless:
        listed = ", ".join(sorted(homeless))
        raise WeightsError(f"this family's files have no place for {listed}, which the model's config asks for")

    def rule(stem: str, modules: tuple[str, ...], parameter: str, layer: str) -> Rule:
        own = layout(modules[0], parameter)
        theirs = names[stem + "+".join(modules)].format(layer) + (".bias" if parameter == "bias" else ".weight")
        prefix, leaf = f"{stem}{layer}/" if stem else "", f"/{parameter}" if parameter else ""
        ours = tuple(f"{prefix}{module}{leaf}" for module in modules)
        return Rule(theirs, ours, fused(parameter, own) if len(modules) > 1 else own)

    rules = [rule(*part, "") for part in parts if not part[0]]
    rules += [rule(*part, str(layer)) for layer in range(config.num_layers) for part in parts if part[0]]
    return WeightMap(tuple(rules), tuple(drops))

"""OpenFlamingo checkpoints, in and out: what of a Flamingo they hold, under which names, and the config they imply.

A release (`checkpoint.pt`) holds what was trained: the resampler, the gated cross-attention blocks and the embedding
table of the language model with rows for `<|endofchunk|>`, `<image>` and, where the tokenizer had no padding token,
`<PAD>`. The rest comes from the language model's and the vision encoder's own checkpoints. A save of the whole model
has everything.

Two things are lost in a release. The output table of an untied language model (LLaMA) is not in it, so the
rows of the new tokens get zeros (`zeros`), which is what the peer's own random rows were on average. And nothing says
how many rows are new: see `derive`.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping

from flamingo_jax.interop.files.tensors import TensorSpec, WeightsError
from flamingo_jax.interop.language.families import find_family
from flamingo_jax.interop.layouts import Flat, Joined, Layout, Linear, Plain
from flamingo_jax.interop.vision import open_clip
from flamingo_jax.interop.weight_map import Drop, Rule, WeightMap
from flamingo_jax.interop.whole.expressible import require_expressible
from flamingo_jax.interop.whole.openflamingo_names import Names, host_of
from flamingo_jax.models.flamingo import FlamingoConfig, VisionConfig
from flamingo_jax.models.gated_cross_attention import GatedCrossAttentionConfig
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.resampler import PerceiverResamplerConfig
from flamingo_jax.models.vision.vit import ViTConfig

NUM_HEADS = 8  # of resampler and blocks: the peer's code has it, no file says it
_INPUTS, _OUTPUTS = Linear(), Linear(contracted=2)

_RESAMPLER_LAYER: dict[str, tuple[tuple[str, ...], Layout]] = {
    "0.norm_media.weight": (("media_norm/scale",), Plain()),
    "0.norm_media.bias": (("media_norm/bias",), Plain()),
    "0.norm_latents.weight": (("latents_norm/scale",), Plain()),
    "0.norm_latents.bias": (("latents_norm/bias",), Plain()),
    "0.to_q.weight": (("query/kernel",), _INPUTS),
    "0.to_kv.weight": (("key/kernel", "value/kernel"), Joined(_INPUTS)),
    "0.to_out.weight": (("output/kernel",), _OUTPUTS),
    "1.0.weight": (("dense_norm/scale",), Plain()),
    "1.0.bias": (("dense_norm/bias",), Plain()),
    "1.1.weight": (("dense_in/kernel",), _INPUTS),
    "1.3.weight": (("dense_out/kernel",), _INPUTS),
}
_BLOCK: dict[str, tuple[tuple[str, ...], Layout]] = {
    "attn_gate": (("attention_gate",), Flat()),
    "ff_gate": (("dense_gate",), Flat()),
    "attn.norm.weight": (("query_norm/scale",), Plain()),
    "attn.norm.bias": (("query_norm/bias",), Plain()),
    "attn.to_q.weight": (("query/kernel",), _INPUTS),
    "attn.to_kv.weight": (("key/kernel", "value/kernel"), Joined(_INPUTS)),
    "attn.to_out.weight": (("output/kernel",), _OUTPUTS),
    "ff.0.weight": (("dense_norm/scale",), Plain()),
    "ff.0.bias": (("dense_norm/bias",), Plain()),
    "ff.1.weight": (("dense_in/kernel",), _INPUTS),
    "ff.3.weight": (("dense_out/kernel",), _INPUTS),
}


def is_openflamingo(names: Iterable[str]) -> bool:
    """Whether tensors of these names are a checkpoint of OpenFlamingo."""
    try:
        found = Names.read(names)
    except WeightsError:
        return False
    return "perceiver.latents" in found.actual


def derive(
    specs: Mapping[str, TensorSpec], language: DecoderConfig, vision: VisionConfig, num_new_tokens: int = 0
) -> FlamingoConfig:
    """The config of the model that a checkpoint makes of its language model and vision encoder.

    Args:
      specs: the file's tensors.
      language: of the language model by itself. The result's has another `vocab_size`: the checkpoint's table counts.
      vision: of the vision encoder. The patches' features alone are taken, whatever `vision` says; and CLIP's (told by
        its norm before the layers) before the last norm, as in the training of all releases (open_clip until 2.22).
      num_new_tokens: how many of the table's last rows are new. 0: as many as the table has more than `language`, if
        that is 2 or 3; otherwise 3, because the peer cuts padded tables (MPT, RedPajama) to the tokenizer's length and
        no tokenizer of theirs has a padding token. The logits are the same for any number: it says which rows are
        trained.

    Raises:
      WeightsError: this is no checkpoint of OpenFlamingo, it belongs to another language model or vision encoder, or
        its blocks stand where no `cross_attn_every_n_layers` puts them.
    """
    names = Names.read(specs)

    def shape(plain: str) -> tuple[int, ...]:
        if plain not in names.actual:
            raise WeightsError(f"no complete checkpoint of OpenFlamingo: it has no {plain}")
        return specs[names.actual[plain]].shape

    every = _every(names.blocks, language.num_layers)
    block = f"lang_encoder.{names.host.layers}.{every - 1}.gated_cross_attn_layer."
    (width,) = shape(f"{block}attn.norm.weight")
    if width != language.width:
        raise WeightsError(
            f"the checkpoint belongs to a language model of width {width}, this one has {language.width}: name the one "
            "that it was trained with"
        )
    num_latents, visual_width = shape("perceiver.latents")
    if visual_width != vision.output_width:
        raise WeightsError(
            f"the checkpoint belongs to a vision encoder of width {visual_width}, this one has {vision.output_width}: "
            "name the one that it was trained with (OpenAI's CLIP ViT-L/14 for all releases)"
        )
    frames = shape("perceiver.frame_embs")[0] if "perceiver.frame_embs" in names.actual else 0
    rows = shape(f"lang_encoder.{names.host.embedding}")[0]
    if not num_new_tokens:
        more = rows - language.vocab_size
        num_new_tokens = more if more in (2, 3) else 3
    layers = {int(match[1]) for name in names.actual if (match := re.match(r"perceiver\.layers\.(\d+)\.", name))}
    return _config(
        dataclasses.replace(language, vocab_size=rows - num_new_tokens),
        vision,
        resampler=PerceiverResamplerConfig(
            num_latents=num_latents,
            num_layers=len(layers),
            head_dim=_divided("perceiver.layers.0.0.to_q.weight", shape("perceiver.layers.0.0.to_q.weight")[0]),
            hidden_multiplier=shape("perceiver.layers.0.1.1.weight")[0] // visual_width,
            max_frames=frames,
        ),
        cross_attention=GatedCrossAttentionConfig(
            num_heads=NUM_HEADS,
            head_dim=_divided(f"{block}attn.to_q.weight", shape(f"{block}attn.to_q.weight")[0]),
            hidden_multiplier=shape(f"{block}ff.1.weight")[0] // width,
        ),
        every=every,
        num_new_tokens=num_new_tokens,
    )


def check_export(config: FlamingoConfig) -> None:
    """Refuses models that OpenFlamingo has no form for.

    Sizes that its code can be given but its factory does not are allowed: see `export_remarks`.

    Raises:
      WeightsError: with every field that differs from what the format can say.
    """
    host_of(config.language)
    if not isinstance(config.resampler, PerceiverResamplerConfig):
        raise WeightsError("OpenFlamingo has no form for this model: its only resampler is the Perceiver Resampler")
    expressed = _config(
        config.language,
        config.vision,
        config.resampler,
        config.cross_attention,
        every=config.cross_attention_every or 1,
        num_new_tokens=config.num_new_tokens if config.num_new_tokens in (2, 3) else 2,
    )
    require_expressible("OpenFlamingo", config, expressed)


def export_remarks(config: FlamingoConfig) -> list[str]:
    """What a user of an exported checkpoint must do to OpenFlamingo's code, because its factory has fixed sizes.

    Loading with `strict=False`, as the peer's README does, says nothing of layers that a checkpoint lacks.
    """
    resampler, block = config.resampler, config.cross_attention
    remarks = []
    for name, field, value, stock in (
        ("PerceiverResampler", "depth", resampler.num_layers, 6),
        ("PerceiverResampler", "num_latents", resampler.num_latents, 64),
        ("PerceiverResampler", "dim_head", resampler.head_dim, 64),
        ("PerceiverResampler", "ff_mult", resampler.hidden_multiplier, 4),
        ("PerceiverResampler", "max_num_frames", resampler.max_frames, 0),
        ("GatedCrossAttentionBlock", "dim_head", block.head_dim, 64),
        ("GatedCrossAttentionBlock", "ff_mult", block.hidden_multiplier, 4),
    ):
        if value != stock:
            remarks.append(f"make OpenFlamingo's {name} with {field}={value} before loading (its own value: {stock})")
    return remarks


def weight_map(
    config: FlamingoConfig,
    names: Iterable[str] = (),
    *,
    language: WeightMap | None = None,
    vision: WeightMap | None = None,
) -> WeightMap:
    """The map between a checkpoint and the parameters of the whole model.

    Args:
      config: of the model, as from `derive`.
      names: of the file's tensors, with whatever prefixes they have. None: those of a release, for writing one.
      language, vision: for a save of the whole model, the maps of the parts by themselves, from `parts_in`: they are
        read from this file too. Without them, the file's copies of the parts are dropped.

    Returns:
      Rules for the resampler, the blocks, the embeddings and the parts asked for. Where the language model comes from
      its own checkpoint, the embeddings of this file come before those there, which lack the new tokens and may be
      padded.
    """
    names = tuple(names)
    found = Names.read(names) if names else Names.none(host_of(config.language))
    host = found.host
    rules = [
        Rule("perceiver.latents", ("resampler/latents",), Plain()),
        Rule("perceiver.norm.weight", ("resampler/final_norm/scale",), Plain()),
        Rule("perceiver.norm.bias", ("resampler/final_norm/bias",), Plain()),
    ]
    if config.resampler.max_frames:
        rules.append(Rule("perceiver.frame_embs", ("resampler/time_embedding",), Plain()))
    for layer in range(config.resampler.num_layers):
        rules += _rules(_RESAMPLER_LAYER, f"perceiver.layers.{layer}.", f"resampler/layers/{layer}/")
    every = config.cross_attention_every
    for block, layer in enumerate(range(every - 1, config.language.num_layers, every)):
        theirs = f"lang_encoder.{host.layers}.{layer}.gated_cross_attn_layer."
        rules += _rules(_BLOCK, theirs, f"language_model/gated_cross_attention/{block}/")
    rules.append(_table(f"lang_encoder.{host.embedding}", "embedding", "new_rows", config.num_new_tokens))
    if not config.language.tied_embeddings and (output := _output_name(found, bool(names))):
        rules.append(_table(output, "output_embedding", "new_output_rows", config.num_new_tokens))
    rules = [rule._replace(theirs=found.actual.get(rule.theirs, rule.theirs)) for rule in rules]

    taken = {name for rule in rules for name in rule.ours}
    drops = list(_drops(found, {rule.theirs for rule in rules}, language is None, vision is None))
    for part, prefix, inner in (
        (language, "language_model/", found.language),
        (vision, "vision_encoder/", found.vision),
    ):
        if part is not None:
            here = [rule for rule in part.under(prefix).rules if taken.isdisjoint(rule.ours)]
            rules += [rule._replace(theirs=inner.get(rule.theirs, rule.theirs)) for rule in here]
            for drop in part.drops:
                drops += [
                    Drop(re.escape(inner[name]), drop.reason) for name in inner if re.fullmatch(drop.pattern, name)
                ]
    return WeightMap(tuple(rules), tuple(drops))


def zeros(config: FlamingoConfig, names: Iterable[str]) -> dict[str, str]:
    """The parameters that are to be zeros because no file has them, each with the reason for the user."""
    if config.language.tied_embeddings or not config.num_new_tokens or _output_name(Names.read(names), True):
        return {}
    reason = (
        "OpenFlamingo does not save the output table of an untied language model, so the output rows of its new tokens "
        "cannot be recovered"
    )
    return {"language_model/new_output_rows": reason}


def parts_in(config: FlamingoConfig, names: Iterable[str]) -> dict[str, WeightMap]:
    """The maps of the frozen parts that a file has too, as arguments of `weight_map`: all in a save of the whole model.

    A release has none, and its language model and vision encoder must come from their own checkpoints.
    """
    found, parts = Names.read(names), {}
    if found.has_layers:
        parts["language"] = find_family(found.language).weight_map(config.language, found.language)
    if found.vision:
        parts["vision"] = open_clip.weight_map(config.vision, found.vision)
    return parts


def _config(
    language: DecoderConfig,
    vision: VisionConfig,
    resampler: PerceiverResamplerConfig,
    cross_attention: GatedCrossAttentionConfig,
    every: int,
    num_new_tokens: int,
) -> FlamingoConfig:
    """A model as OpenFlamingo builds it; of `resampler` and `cross_attention` the sizes alone are taken."""
    if isinstance(vision, ViTConfig):
        vision = dataclasses.replace(vision, output="patches", post_norm=vision.post_norm and not vision.pre_norm)
    return FlamingoConfig(
        language=language,
        vision=vision,
        resampler=PerceiverResamplerConfig(
            width=vision.output_width,
            num_latents=resampler.num_latents,
            num_layers=resampler.num_layers,
            num_heads=NUM_HEADS,
            head_dim=resampler.head_dim,
            hidden_multiplier=resampler.hidden_multiplier,
            activation="gelu",
            max_frames=resampler.max_frames,
            project_input=False,
        ),
        cross_attention=GatedCrossAttentionConfig(
            num_heads=NUM_HEADS,
            head_dim=cross_attention.head_dim,
            hidden_multiplier=cross_attention.hidden_multiplier,
            activation="gelu",
            normalize_media=False,
        ),
        cross_attention_every=every,
        cross_attention_first=max(every - 1, 0),
        project_visual=False,
        num_new_tokens=num_new_tokens,
        image_tokens=(1,),
    )


def _every(blocks: list[int], num_layers: int) -> int:
    """The `cross_attn_every_n_layers` that puts blocks before these layers."""
    every = blocks[0] + 1 if blocks else 0
    if not every or blocks != list(range(every - 1, num_layers, every)):
        raise WeightsError(
            f"the checkpoint has gated cross-attention before the layers {blocks} of a language model that is said to "
            f"have {num_layers}: no cross_attn_every_n_layers puts them there. Name the language model that it was "
            "trained with"
        )
    return every


def _divided(name: str, rows: int) -> int:
    if rows % NUM_HEADS:
        raise WeightsError(f"{name} has {rows} rows, which are not {NUM_HEADS} heads: this is not OpenFlamingo's code")
    return rows // NUM_HEADS


def _rules(table: Mapping[str, tuple[tuple[str, ...], Layout]], theirs: str, ours: str) -> list[Rule]:
    return [
        Rule(theirs + name, tuple(ours + part for part in parts), layout) for name, (parts, layout) in table.items()
    ]


def _table(theirs: str, ours: str, new: str, num_new_tokens: int) -> Rule:
    names = (f"language_model/{ours}", f"language_model/{new}") if num_new_tokens else (f"language_model/{ours}",)
    return Rule(theirs, names, Joined(Plain()))


def _output_name(found: Names, reading: bool) -> str:
    """The output table's name: the one in the file, or the one to write; empty where the file has none."""
    candidates = [f"lang_encoder.{name}" for name in found.host.outputs]
    return next((name for name in candidates if name in found.actual), "") if reading else candidates[0]


def _drops(found: Names, used: set[str], language: bool, vision: bool) -> Iterable[Drop]:
    """What may be left out; `language`, `vision`: also the frozen tensors of these parts."""
    for name in found.copies:
        yield Drop(re.escape(name), f"a second copy: it is read from below lang_encoder.{found.host.layers}")
    for plain, name in found.actual.items():
        if name in used or ".gated_cross_attn_layer." in plain:
            continue
        if re.search(r"\.(rotary_emb\.inv_freq|(attention|attn)\.(bias|masked_bias))$", plain):
            yield Drop(re.escape(name), "a constant that the code computes")
        elif plain.removeprefix("lang_encoder.") in found.host.outputs:
            yield Drop(re.escape(name), "the same table as the embeddings: they are tied")
        elif plain.startswith("lang_encoder.") and language:
            yield Drop(re.escape(name), "frozen: the language model's own checkpoint has it")
        elif plain.startswith("vision_encoder.") and vision:
            yield Drop(re.escape(name), "frozen: the vision encoder's own checkpoint has it")
    yield Drop(r"(optimizer|lr_scheduler)_state_dict\..*", "state of the optimizer, not of the model")

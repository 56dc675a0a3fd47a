"""config.json files as they were released: the decoder each means, told by its number of parameters and its fields.

The numbers of parameters are those that the releases' safetensors files report.
"""

import math

import pytest

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.language.families import family_of, from_hf, to_hf
from flamingo_jax.models.language.decoder_config import RotaryScaling
from tests.language_goldens import shapes

LLAMA31 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}


def _llama(hidden, inner, layers, heads, kv_heads, vocab, **more):
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocab,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "pretraining_tp": 1,
        "attention_bias": False,
        **more,
    }


def _mistral(**more):
    return _llama(4096, 14336, 32, 32, 8, 32000, max_position_embeddings=32768) | {"model_type": "mistral"} | more


def _qwen(model_type, hidden, inner, layers, heads, kv_heads, vocab, **more):
    return _llama(hidden, inner, layers, heads, kv_heads, vocab, rms_norm_eps=1e-6, rope_theta=1e6) | {
        "model_type": model_type,
        "max_window_layers": layers,
        "sliding_window": 131072,
        "use_sliding_window": False,
        "use_mrope": False,
        "max_position_embeddings": 131072,
        **more,
    }


def _gemma(model_type, hidden, inner, layers, heads, kv_heads, head_dim, **more):
    return {
        "model_type": model_type,
        "attention_bias": False,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "vocab_size": 256000,
        **more,
    }


def _neox(hidden, layers, heads, vocab, **more):
    return {
        "model_type": "gpt_neox",
        "hidden_act": "gelu",
        "hidden_size": hidden,
        "intermediate_size": 4 * hidden,
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": 2048,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "rotary_emb_base": 10000,
        "rotary_pct": 0.25,
        "tie_word_embeddings": False,
        "use_parallel_residual": True,
        "vocab_size": vocab,
        **more,
    }


def _opt(hidden, layers, heads, **more):
    return {
        "_remove_final_layer_norm": False,
        "activation_function": "relu",
        "do_layer_norm_before": True,
        "ffn_dim": 4 * hidden,
        "hidden_size": hidden,
        "max_position_embeddings": 2048,
        "model_type": "opt",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "prefix": "</s>",
        "vocab_size": 50272,
        "word_embed_proj_dim": hidden,
        **more,
    }


MPT = {
    "architectures": ["MPTForCausalLM"],
    "attn_config": {
        "alibi": True,
        "alibi_bias_max": 8,
        "attn_impl": "torch",
        "attn_pdrop": 0,
        "attn_type": "multihead_attention",
        "attn_uses_sequence_id": False,
        "clip_qkv": None,
        "prefix_lm": False,
        "qk_ln": False,
        "softmax_scale": None,
    },
    "d_model": 4096,
    "embedding_fraction": 1.0,
    "expansion_ratio": 4,
    "init_device": "cpu",
    "learned_pos_emb": True,
    "logit_scale": None,
    "max_seq_len": 2048,
    "model_type": "mpt",
    "n_heads": 32,
    "n_layers": 32,
    "no_bias": True,
    "norm_type": "low_precision_layernorm",
    "vocab_size": 50432,
}
MPT_1B = {
    "alibi": True,
    "alibi_bias_max": 8,
    "architectures": ["MosaicGPT"],
    "attn_clip_qkv": None,
    "attn_impl": "torch",
    "attn_pdrop": 0,
    "attn_qk_ln": True,
    "attn_uses_sequence_id": False,
    "d_model": 2048,
    "low_precision_layernorm": True,
    "max_seq_len": 2048,
    "mlp_ratio": 4,
    "model_type": "mosaic_gpt",
    "n_heads": 16,
    "n_layers": 24,
    "no_bias": True,
    "param_init_fn": "kaiming_normal_",
    "prefix_lm": False,
    "softmax_scale": None,
    "vocab_size": 50368,
}
GPT2 = {
    "activation_function": "gelu_new",
    "architectures": ["GPT2LMHeadModel"],
    "layer_norm_epsilon": 1e-5,
    "model_type": "gpt2",
    "n_ctx": 1024,
    "n_embd": 768,
    "n_head": 12,
    "n_layer": 12,
    "n_positions": 1024,
    "vocab_size": 50257,
}
GEMMA3_4B = {
    "architectures": ["Gemma3ForConditionalGeneration"],
    "image_token_index": 262144,
    "model_type": "gemma3",
    "text_config": {
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "model_type": "gemma3_text",
        "num_hidden_layers": 34,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": 1024,
    },
    "vision_config": {"hidden_size": 1152, "model_type": "siglip_vision_model"},
}
LLAMA3 = {"max_position_embeddings": 131072, "rope_theta": 500000.0, "mlp_bias": False}
NEW_SPELLING = {"rope_parameters": LLAMA31 | {"factor": 32.0, "rope_theta": 500000.0}, "tie_word_embeddings": True}

# Name: the file, the number of parameters, and fields worth a look.
RELEASED = {
    "Llama-2-7b": (
        _llama(4096, 11008, 32, 32, 32, 32000, max_position_embeddings=4096, rope_scaling=None),
        6_738_415_616,
        {"rope_theta": 10000.0, "rotary_scaling": RotaryScaling(), "max_length": 4096, "tied_embeddings": False},
    ),
    "Llama-3-8B": (
        _llama(4096, 14336, 32, 32, 8, 128256, **LLAMA3 | {"max_position_embeddings": 8192}),
        8_030_261_248,
        {"rope_theta": 500000.0, "rotary_scaling": RotaryScaling()},
    ),
    "Llama-3.1-8B": (
        _llama(4096, 14336, 32, 32, 8, 128256, rope_scaling=LLAMA31, **LLAMA3),
        8_030_261_248,
        {"rope_theta": 500000.0, "rotary_scaling": RotaryScaling("llama3", 8.0, 1.0, 4.0, 8192)},
    ),
    "Llama-3.2-1B": (
        _llama(2048, 8192, 16, 32, 8, 128256, head_dim=64, max_position_embeddings=131072, **NEW_SPELLING),
        1_235_814_400,
        {"rope_theta": 500000.0, "rotary_scaling": RotaryScaling("llama3", 32.0, 1.0, 4.0, 8192)},
    ),
    "SmolLM2-135M": (
        _llama(576, 1536, 30, 9, 3, 49152, rope_theta=100000, tie_word_embeddings=True, rope_interleaved=False),
        134_515_008,
        {"rope_theta": 100000.0, "tied_embeddings": True},
    ),
    "Mistral-7B-v0.1": (
        _mistral(rope_theta=10000.0, sliding_window=4096),
        7_241_732_096,
        {"windows": (4096,), "head_dim": 128},
    ),
    "Mistral-7B-v0.3": (
        _mistral(rope_theta=1000000.0, sliding_window=None, vocab_size=32768),
        7_248_023_552,
        {"windows": (), "rope_theta": 1e6},
    ),
    "Qwen2.5-0.5B": (
        _qwen("qwen2", 896, 4864, 24, 14, 2, 151936, sliding_window=32768, tie_word_embeddings=True),
        494_032_768,
        {"windows": (), "qkv_bias": True, "output_bias": False},
    ),
    "Qwen2.5-7B": (
        _qwen("qwen2", 3584, 18944, 28, 28, 4, 152064),
        7_615_616_512,
        {"windows": (), "norm_eps": 1e-6, "tied_embeddings": False},
    ),
    "Qwen3-0.6B": (
        _qwen("qwen3", 1024, 3072, 28, 16, 8, 151936, head_dim=128, sliding_window=None, tie_word_embeddings=True),
        596_049_920,
        {"windows": (), "qkv_bias": False, "qk_norm": "head", "head_dim": 128},
    ),
    "gemma-2b": (
        _gemma("gemma", 2048, 16384, 18, 8, 1, 256, hidden_act="gelu", hidden_activation=None),
        2_506_172_416,
        {"activation": "gelu_tanh", "tied_embeddings": True, "embedding_scale": math.sqrt(2048)},
    ),
    "gemma-2-9b": (
        _gemma(
            "gemma2",
            3584,
            14336,
            42,
            16,
            8,
            256,
            query_pre_attn_scalar=256,
            sliding_window=4096,
            attn_logit_softcapping=50.0,
            final_logit_softcapping=30.0,
            cache_implementation="hybrid",
        ),
        9_241_705_984,
        {"windows": (4096, 0), "attention_scale": 0.0, "attention_softcap": 50.0, "logit_softcap": 30.0},
    ),
    "gemma-2-27b": (
        _gemma("gemma2", 4608, 36864, 46, 32, 16, 128, query_pre_attn_scalar=144),
        27_227_128_320,
        {"attention_scale": 1 / 12, "windows": (4096, 0)},
    ),
    "gemma-3-1b": (
        _gemma(
            "gemma3_text",
            1152,
            6912,
            26,
            4,
            1,
            256,
            rope_theta=1000000,
            rope_local_base_freq=10000,
            rope_scaling=None,
            sliding_window=512,
            sliding_window_pattern=6,
            query_pre_attn_scalar=256,
            vocab_size=262144,
        ),
        999_885_952,
        {"windows": (512,) * 5 + (0,), "local_rope_theta": 10000.0, "rope_theta": 1e6, "qk_norm": "head"},
    ),
    "gemma-3-4b, its language model": (
        GEMMA3_4B,
        3_880_263_168,
        {"num_heads": 8, "num_kv_heads": 4, "rotary_scaling": RotaryScaling("linear", 8.0), "max_length": 131072},
    ),
    "pythia-70m": (_neox(512, 6, 8, 50304), 70_426_624, {"rotary_fraction": 0.25, "parallel_residual": True}),
    "RedPajama-INCITE-Base-3B": (
        _neox(2560, 32, 32, 50432, rotary_pct=1.0, use_parallel_residual=False),
        2_775_864_320,
        {"rotary_fraction": 1.0, "parallel_residual": False},
    ),
    "opt-125m": (_opt(768, 12, 12), 125_239_296, {"position_offset": 2, "tied_embeddings": True}),
    "opt-1.3b": (_opt(2048, 24, 32), 1_315_758_080, {"activation": "relu", "dense_bias": True}),
    "mpt-7b": (MPT, 6_649_286_656, {"alibi_max": 8.0, "qkv_clip": 0.0, "norm": "layer_no_bias"}),
    "mpt-1b-redpajama-200b": (
        MPT_1B,
        # The table, and for each of 24 layers 12 square matrices and 4 norms (2 of them of q and k); the last norm.
        50368 * 2048 + 24 * (12 * 2048**2 + 4 * 2048) + 2048,
        {"qk_norm": "width", "alibi_max": 8.0},
    ),
    "gpt2": (GPT2, 124_439_808, {"activation": "gelu_tanh", "hidden_width": 3072, "max_length": 1024}),
}


@pytest.mark.parametrize("name", RELEASED)
def test_released(name):
    data, count, fields = RELEASED[name]
    config = from_hf(data)
    assert sum(map(math.prod, shapes(config).values())) == count
    assert {key: getattr(config, key) for key in fields} == fields
    family = family_of(data)
    assert from_hf(family.to_hf(config)) == config
    if name != "mpt-1b-redpajama-200b":
        assert from_hf(to_hf(config)) == config


def test_mpt_storywriter():
    attention = MPT["attn_config"] | {"alibi_bias_max": 16, "clip_qkv": 6}
    config = from_hf(MPT | {"attn_config": attention, "max_seq_len": 65536})
    assert (config.alibi_max, config.qkv_clip, config.max_length) == (16.0, 6.0, 65536)
    assert from_hf(to_hf(config, "mosaic_gpt")) == config


def test_defaults_that_files_leave_out():
    """A key may be left out where its value is the default of the peer's class."""
    lacking = {"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 1}
    config = from_hf(lacking)
    assert (config.num_kv_heads, config.head_dim, config.rope_theta) == (4, 16, 10000.0)
    neox = _neox(512, 6, 8, 50304, rotary_emb_base=500)
    del neox["rotary_pct"]
    assert (from_hf(neox).rotary_fraction, from_hf(neox).rope_theta) == (0.25, 500.0)


def test_windows_of_the_upper_layers():
    data = _qwen("qwen2", 64, 64, 4, 4, 4, 100, use_sliding_window=True, sliding_window=8, max_window_layers=2)
    assert from_hf(data).windows == (0, 0, 8, 8)
    assert from_hf(data | {"max_window_layers": 0}).windows == (8,)
    kinds = ["sliding_attention", "full_attention"] * 2
    assert from_hf(data | {"layer_types": kinds}).windows == (8, 0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_llama(64, 64, 1, 4, 4, 100, rope_scaling={"type": "dynamic", "factor": 2.0}), "llama.*'dynamic'.*'llama3'"),
        (_qwen("qwen2", 64, 64, 1, 4, 4, 100, rope_scaling={"type": "yarn", "factor": 4.0}), "qwen2.*'yarn'"),
        (_llama(64, 64, 1, 4, 4, 100, quantization_config={"bits": 4}), "quantization_config"),
        (_llama(64, 64, 1, 4, 4, 100, hidden_act="tanh"), "hidden_act = 'tanh'.*'silu'"),
        (_llama(64, 64, 1, 4, 4, 100, partial_rotary_factor=0.5), "part of each head"),
        (_mistral(sliding_window=64, rope_scaling={"type": "linear", "factor": 2.0}), "sliding window"),
        (_gemma("gemma2", 64, 64, 2, 4, 4, 16, rope_scaling={"type": "linear", "factor": 2.0}), "sliding window"),
        (_gemma("gemma", 64, 64, 2, 4, 4, 16, use_bidirectional_attention=True), "use_bidirectional_attention = True"),
        (_qwen("qwen3", 64, 64, 1, 4, 4, 100, layer_types=["chunked_attention"]), "chunked_attention"),
        (
            _opt(1024, 24, 16, do_layer_norm_before=False, word_embed_proj_dim=512),
            "OPT-350M.*word_embed_proj_dim = 512",
        ),
        (_opt(64, 1, 4, layer_norm_elementwise_affine=False), "layer_norm_elementwise_affine = False"),
        (MPT | {"no_bias": False}, "mpt.*no_bias = False"),
        (MPT | {"attn_config": {"attn_type": "multiquery_attention"}}, "attn_type = 'multiquery_attention'"),
        (MPT | {"attn_config": {"alibi": False}, "logit_scale": "inv_sqrt_d_model"}, "logit_scale.*alibi = False"),
        (MPT_1B | {"alibi": False}, "mosaic_gpt.*alibi = False"),
        (GPT2 | {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx = True"),
        (_llama(64, 64, 1, 5, 2, 100), "makes no sense: .*5 heads cannot share 2"),
        (_llama(64, 64, 1, 4, 4, 100, rope_scaling={"rope_type": "linear"}), "incomplete.*'factor'"),
    ],
)
def test_what_the_decoder_cannot_do_is_refused(data, message):
    with pytest.raises(WeightsError, match=message):
        from_hf(data)

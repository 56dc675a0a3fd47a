"""What a decoder costs: floating-point operations of its forward pass, from its config alone."""

from flamingo_jax.models.language.decoder_config import DecoderConfig


def forward_flops_per_token(config: DecoderConfig, length: int, batch: int = 1) -> float:
    """Operations for each token of `batch` rows of `length` tokens, a multiplication and an addition counted as two.

    Matrix products only: norms, activations and the softmax are below 5% in any real model. Attention is counted over
    all `length` keys, masked ones too, as it is computed (where there is a window as well). Cross-attention is not part
    of it. Training a model whose language model is frozen takes about twice this, as it needs gradients of activations
    but not of weights.

    Args:
      length: tokens a row.
      batch: rows; only relative positions depend on it, whose encodings are projected once for all rows.
    """
    heads = config.num_heads * config.head_dim
    kv_heads = config.num_kv_heads * config.head_dim
    projections = 2 * config.width * (2 * heads + 2 * kv_heads)
    scores = 2 * 2 * heads * length
    dense = 2 * config.width * config.hidden_width * (3 if config.gated_dense else 2)
    if config.positions == "relative":
        ways = 2 * length  # each query is scored against every distance, seen or not
        scores += 2 * heads * ways
        projections += 2 * config.width * heads * ways / (batch * length)
    logits = 2 * config.width * config.vocab_size
    return config.num_layers * (projections + scores + dense) + logits

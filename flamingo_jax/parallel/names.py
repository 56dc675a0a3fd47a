"""The logical names of axes, which sharding rules map to mesh axes; docs/sharding.md says what each one is.

Modules give them to their parameters (`nn.with_logical_partitioning`) and to activations (`models.sharding.constrain`).
"""

PARAMETER_AXES = (
    *("embed", "heads", "kv_heads", "head_dim", "mlp", "vocab", "positions"),
    *("new_tokens", "layers", "groups"),
    *("visual_embed", "visual_heads", "visual_mlp", "conv_in", "conv_out"),
    *("resampler_embed", "resampler_heads", "resampler_mlp", "latents", "frames"),
)
"""Of parameters; some activations have axes of these names too."""

BATCH_AXES = ("batch", "image_batch")
"""Of rows and of images. Without a rule for one, every device would compute all of it."""

ACTIVATION_AXES = (*BATCH_AXES, "activation_length", "activation_embed")
"""Of activations alone."""

NAMES = (*PARAMETER_AXES, *ACTIVATION_AXES)

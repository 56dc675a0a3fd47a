"""Loads whole models that this package exported into the peers' own code, and compares their logits with the goldens.

Environment: `tests/goldens/requirements.txt` (with the `--no-deps` lines). By hand, from the repository root:

    goldenenv/bin/python tests/goldens/check_export_flamingo.py write FOLDER

writes the goldens' models as the peers publish them: FOLDER/openflamingo_HOST/ with whole.pt (a save of the whole
model), checkpoint.pt (a release), language/ and clip/ (the frozen parts by themselves), and
FOLDER/idefics_VARIANT/model/. Then, in the package's own environment, each goes through the native format:

    cd FOLDER/openflamingo_HOST
    python -m flamingo_jax.convert --source=whole.pt --language=language --vision=clip --output=native
    python -m flamingo_jax.convert --source=native --to=openflamingo --output=exported
    cd FOLDER/idefics_VARIANT
    python -m flamingo_jax.convert --source=model --output=native
    python -m flamingo_jax.convert --source=native --to=idefics --output=exported

At last

    goldenenv/bin/python tests/goldens/check_export_flamingo.py check FOLDER

loads what was exported. OpenFlamingo: with `strict=False`, as its README does, into a model that has the frozen weights
and NaN in place of what is trained; every trained tensor must be in the file, and nothing unknown. IDEFICS: with
`from_pretrained`; nothing may be missing, unknown or of another shape. The logits must be the golden's to 1e-4 of the
largest.
"""

import json
import pathlib
import sys

import numpy as np
import torch
import transformers
from make_idefics import PIXEL_MEAN, PIXEL_SCALE, VARIANTS
from make_openflamingo import HERE, build, hosts
from safetensors.torch import save_file


def tensors(golden: np.lib.npyio.NpzFile, names: str) -> dict[str, torch.Tensor]:
    """The tensors that the golden lists under `names`."""
    keys = json.loads(str(golden[names]))
    stored = {name: key if key.startswith("base/") else f"state/{key}" for name, key in keys.items()}
    return {name: torch.from_numpy(golden[key].astype(np.float32)) for name, key in stored.items()}


def write(folder: pathlib.Path) -> None:
    """Writes the goldens' models as the peers publish them."""
    for host, (config, *_) in hosts().items():
        golden, target = np.load(HERE / f"openflamingo_{host}.npz"), folder / f"openflamingo_{host}"
        (target / "clip").mkdir(parents=True, exist_ok=True)
        whole = tensors(golden, "full")
        torch.save(whole, target / "whole.pt")
        torch.save(
            {f"module.{name}": tensor for name, tensor in tensors(golden, "released").items()}, target / "checkpoint.pt"
        )
        language = transformers.AutoModelForCausalLM.from_config(config)
        language.load_state_dict(tensors(golden, "base"))
        language.save_pretrained(target / "language")
        prefix = "vision_encoder."
        tower = {f"visual.{name[len(prefix) :]}": whole[name].clone() for name in whole if name.startswith(prefix)}
        save_file(tower, target / "clip" / "open_clip_model.safetensors")
        vision = json.loads(str(golden["config"]))["vision"]
        vision |= {"head_width": vision["width"] // vision["heads"]}
        clip = {"model_cfg": {"vision_cfg": vision, "quick_gelu": True}}
        (target / "clip" / "open_clip_config.json").write_text(json.dumps(clip))
    for variant in VARIANTS:
        golden, target = np.load(HERE / f"idefics_{variant}.npz"), folder / f"idefics_{variant}" / "model"
        target.mkdir(parents=True, exist_ok=True)
        state = {name.removeprefix("state/"): golden[name] for name in golden.files if name.startswith("state/")}
        state = {name: torch.from_numpy(array.astype(np.float32)) for name, array in state.items()}
        save_file(state, target / "model.safetensors", {"format": "pt"})
        (target / "config.json").write_text(str(golden["config"]))


def error(golden: np.lib.npyio.NpzFile, side: str, logits: torch.Tensor) -> float:
    """The largest difference at tokens that are no padding, over the largest logit."""
    seen, expected = golden[f"{side}/mask"] > 0, golden[f"{side}/logits"]
    return float(np.abs(logits.numpy()[seen] - expected[seen]).max() / np.abs(expected[seen]).max())


def pixels(golden: np.lib.npyio.NpzFile) -> torch.Tensor:
    """The images as both peers' processors normalize them, `[rows, images, 3, height, width]`."""
    scaled = torch.from_numpy(golden["images"]).float() / 255
    return ((scaled - torch.tensor(PIXEL_MEAN)) / torch.tensor(PIXEL_SCALE)).permute(0, 1, 4, 2, 3)


def check_openflamingo(host: str, path: pathlib.Path) -> None:
    """Loads one exported checkpoint."""
    golden = np.load(HERE / f"openflamingo_{host}.npz")
    model, _ = build(*hosts()[host])
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    model.load_state_dict(tensors(golden, "full"))
    exported = torch.load(path)
    if (
        host == "neox"
    ):  # its head has another name in the transformers that runs here than in that of OpenFlamingo's time
        exported = {name.replace(".embed_out.", ".lm_head."): tensor for name, tensor in exported.items()}
    state = model.state_dict()
    for name in trained | exported.keys():
        state[name].fill_(float("nan"))
    missing, unexpected = model.load_state_dict(exported, strict=False)
    # Modules that the peer holds in two places are listed under their second names too: judge the parameters.
    unset = [name for name, parameter in model.named_parameters() if parameter.isnan().any()]
    assert not unset and not unexpected, (unset, unexpected)
    errors = []
    for side in ("left", "right"):
        tokens, mask = torch.from_numpy(golden[f"{side}/tokens"]).long(), torch.from_numpy(golden[f"{side}/mask"])
        with torch.no_grad():
            out = model(pixels(golden)[:, :, None], tokens, attention_mask=mask)
        errors.append(error(golden, side, out.logits))
    print(
        f"openflamingo {host}: {len(exported)} tensors, {len(trained)} trained, {len(missing)} frozen; errors {errors}"
    )
    assert max(errors) < 1e-4


def check_idefics(variant: str, folder: pathlib.Path) -> None:
    """Loads one exported folder."""
    golden = np.load(HERE / f"idefics_{variant}.npz")
    model, info = transformers.IdeficsForVisionText2Text.from_pretrained(
        folder, output_loading_info=True, dtype=torch.float32, attn_implementation="eager"
    )
    assert not any(info.values()), info
    errors = []
    for side in ("left", "right"):
        inputs = {"input_ids": "tokens", "attention_mask": "mask", "image_attention_mask": "image_mask"}
        inputs = {name: torch.from_numpy(golden[f"{side}/{key}"]).long() for name, key in inputs.items()}
        with torch.no_grad():
            out = model.eval()(pixel_values=pixels(golden), **inputs)
        errors.append(error(golden, side, out.logits))
    print(f"idefics {variant}: {sum(1 for _ in model.state_dict())} tensors; errors {errors}")
    assert max(errors) < 1e-4


def main() -> None:
    """See above."""
    command, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    if command == "write":
        write(folder)
        return
    for host in hosts():
        check_openflamingo(host, folder / f"openflamingo_{host}" / "exported" / "checkpoint.pt")
    for variant in VARIANTS:
        check_idefics(variant, folder / f"idefics_{variant}" / "exported")


if __name__ == "__main__":
    main()

"""Takes every language-model golden through `flamingo_jax.convert` and back into transformers.

Environment: `tests/goldens/requirements.txt`. Command, from the repository root, with the Python of our own environment
as the argument:

    goldenenv/bin/python tests/goldens/check_export_language.py .venv/bin/python

Each golden becomes a Hugging Face folder, then a folder in the native format, then a Hugging Face folder again, which
transformers must load without a missing, unexpected or misshapen tensor, and whose logits must be those of the golden.
MosaicGPT is not in transformers: its tensors must be the same bits. Prints a line for each; exits with 1 if one fails.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import safetensors.numpy
import torch
import transformers
from language_golden import HERE, logits

FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "gpt_neox", "opt", "mpt", "gpt2")


def convert(python: str, source: pathlib.Path, to: str, output: pathlib.Path) -> None:
    """Runs the command; its output is shown if it fails."""
    flags = [f"--source={source}", f"--to={to}", f"--output={output}"]
    command = [python, "-m", "flamingo_jax.convert", *flags]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parents[1], check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def check(python: str, golden: np.lib.npyio.NpzFile, variant: str, folder: pathlib.Path) -> str:
    """What came of one variant; empty if all is well."""
    source, native, output = (folder / name for name in ("source", "native", "output"))
    source.mkdir()
    prefix = f"{variant}/weights/"
    tensors = {name.removeprefix(prefix): golden[name] for name in golden.files if name.startswith(prefix)}
    config = json.loads(str(golden[f"{variant}/config"]))
    (source / "config.json").write_text(json.dumps(config))
    safetensors.numpy.save_file(tensors, source / "model.safetensors", metadata={"format": "pt"})
    convert(python, source, "native", native)
    convert(python, native, "huggingface", output)
    if config["model_type"] == "mosaic_gpt":
        back = {}
        for file in output.glob("*.safetensors"):
            back |= safetensors.numpy.load_file(file)
        same = back.keys() == tensors.keys() and all(back[name].tobytes() == tensors[name].tobytes() for name in back)
        return "" if same else "the tensors differ"
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
        output, output_loading_info=True, attn_implementation="eager", dtype=torch.float32
    )
    if problems := {kind: names for kind, names in report.items() if names}:
        return f"not loaded: {problems}"
    found = logits(model.eval(), golden["input_ids"], golden["masks"], give_positions=config["model_type"] == "gpt2")
    expected = golden[f"{variant}/logits"]
    error = np.abs(found - expected).max() / np.abs(expected).max()
    return "" if error < 1e-6 else f"the logits differ by {error:.1e}"


def main(python: str) -> int:
    """Checks them all; returns the exit status."""
    transformers.logging.set_verbosity_error()
    failed = 0
    for family in FAMILIES:
        golden = np.load(HERE / f"{family}.npz")
        for variant in sorted({name.split("/")[0] for name in golden.files if name.endswith("/config")}):
            with tempfile.TemporaryDirectory() as folder:
                problem = check(python, golden, variant, pathlib.Path(folder))
            print(f"{family}/{variant}: {problem or 'the same'}", flush=True)
            failed += bool(problem)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

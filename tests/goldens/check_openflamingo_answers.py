"""Loads a run that this package trained and exported into OpenFlamingo's own code, and compares what both answer.

Environment: `tests/goldens/requirements_openflamingo.txt`. By hand, from the repository root: train, export and ask in
the package's own environment (the web and its corpus are those of `launch/quickstart.sh`),

    python -m flamingo_jax.train --gin_file=gin/runs/openflamingo_smollm2_dinov2.gin --workdir=RUN
    python -m flamingo_jax.convert --source=RUN --to=openflamingo --output=FOLDER/exported
    python -m flamingo_jax.convert --source=RUN --to=huggingface --part=language --output=FOLDER/language
    python -m flamingo_jax.convert --source=RUN --to=huggingface --part=vision --output=FOLDER/vision
    python -m tests.goldens.write_openflamingo_answers --workdir=RUN --web=runs/quickstart/web --output=FOLDER

and then

    peerenv/bin/python tests/goldens/check_openflamingo_answers.py FOLDER

which builds OpenFlamingo's `Flamingo` as its factory does, of transformers' Llama and DINOv2 in place of open_clip's
tower, loads `checkpoint.pt` over it with `strict=False`, as its README does, tokenizes the prompts with the exported
tokenizer and its special tokens, and lets its `generate` answer, greedily and with beams, in float32. Every answer must
be ours, word for word; where one is not, both are printed.
"""

import importlib.util
import itertools
import json
import pathlib
import sys
import tempfile
import types

import numpy as np
import torch
import transformers

# The package imports open_clip and more for its factory; its modules alone do not need them.
_PACKAGE = types.ModuleType("open_flamingo")
_PACKAGE.__path__ = list(importlib.util.find_spec("open_flamingo").submodule_search_locations)
sys.modules["open_flamingo"] = _PACKAGE
from open_flamingo.src.flamingo import Flamingo  # noqa: E402
from open_flamingo.src.flamingo_lm import FlamingoLMMixin  # noqa: E402
from open_flamingo.src.utils import extend_instance  # noqa: E402

END_OF_CHUNK, IMAGE, PAD = "<|endofchunk|>", "<image>", "<PAD>"
ROWS = 10  # prompts at a time


class Tower(torch.nn.Module):
    """DINOv2 in the place of open_clip's tower, which gives a pair of pooled features and the patches' features."""

    def __init__(self, folder: pathlib.Path, image_size: int):
        super().__init__()
        self.model = transformers.Dinov2Model.from_pretrained(folder).eval()
        preprocessor = json.loads((folder / "preprocessor_config.json").read_text())
        for name in ("image_mean", "image_std"):
            self.register_buffer(name, torch.tensor(preprocessor[name])[:, None, None])
        # Fitted once, to the size. This transformers fits by a factor with 0.1 of a patch added, later ones do not.
        embeddings = self.model.embeddings
        table, grid = embeddings.position_embeddings.data, image_size // self.model.config.patch_size
        side = int((table.shape[1] - 1) ** 0.5)
        rows = table[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
        rows = torch.nn.functional.interpolate(rows, size=(grid, grid), mode="bicubic", align_corners=False)
        table = torch.cat([table[:, :1], rows.flatten(2).transpose(1, 2)], dim=1)
        embeddings.position_embeddings = torch.nn.Parameter(table)

    def forward(self, images: torch.Tensor) -> tuple[None, torch.Tensor]:
        """Of images `[batch, 3, size, size]` in 0..255."""
        pixels = (images / 255 - self.image_mean) / self.image_std
        return None, self.model(pixels).last_hidden_state[:, 1:]


def read_tokenizer(folder: pathlib.Path) -> transformers.PreTrainedTokenizerFast:
    """The exported tokenizer with OpenFlamingo's tokens, in its order. Files of that time wrote merges as strings."""
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
    ends = json.loads((folder / "tokenizer_config.json").read_text())
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(content, file)
        file.flush()
        names = {name: ends[name] for name in ("bos_token", "eos_token")}
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=file.name, padding_side="left", **names)
    tokenizer.add_special_tokens({"additional_special_tokens": [END_OF_CHUNK, IMAGE]})
    tokenizer.add_special_tokens({"pad_token": PAD})
    return tokenizer


def load(folder: pathlib.Path, facts: dict, tokenizer: transformers.PreTrainedTokenizerFast) -> Flamingo:
    """The peer's model with the run's weights; every parameter that OpenFlamingo trains must be in the checkpoint."""
    language = transformers.LlamaForCausalLM.from_pretrained(folder / "language", torch_dtype=torch.float32)
    extend_instance(language, FlamingoLMMixin)
    language.set_decoder_layers_attr_name("model.layers")
    language.resize_token_embeddings(len(tokenizer))
    tower = Tower(folder / "vision", facts["image_size"])
    ids = tokenizer.convert_tokens_to_ids([END_OF_CHUNK, IMAGE])
    width = tower.model.config.hidden_size
    model = Flamingo(types.SimpleNamespace(visual=tower), language, *ids, width, facts["every"])
    trained = [*model.perceiver.parameters(), *language.gated_cross_attn_layers.parameters()]
    for parameter in (*trained, language.get_input_embeddings().weight):
        parameter.data.fill_(float("nan"))
    checkpoint = torch.load(folder / "exported" / "checkpoint.pt")
    _, unexpected = model.load_state_dict(checkpoint, strict=False)
    unset = [name for name, parameter in model.named_parameters() if parameter.isnan().any()]
    assert not unset and not unexpected, (unset, unexpected)
    print(f"{len(checkpoint)} tensors of the checkpoint loaded over {sum(1 for _ in model.parameters())} parameters")
    return model.eval()


def answer(model, tokenizer, facts: dict, rows: list[dict], images: np.ndarray, beams: int) -> list[str]:
    """The peer's continuation of prompts with as many images each."""
    lang, vision, stops = _inputs(model, tokenizer, rows, images)
    search = {"num_beams": beams, "length_penalty": 0.0, "early_stopping": False} if beams > 1 else {}
    with torch.no_grad():
        out = model.generate(
            vision_x=vision,
            lang_x=lang["input_ids"],
            attention_mask=lang["attention_mask"],
            max_new_tokens=facts["most_tokens"],
            eos_token_id=stops,
            pad_token_id=tokenizer.pad_token_id,
            do_sample=False,
            **search,
        )
    new = out[:, lang["input_ids"].shape[1] :].tolist()
    new = [list(itertools.takewhile(lambda token: token not in (*stops, tokenizer.pad_token_id), row)) for row in new]
    return [tokenizer.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False).strip() for row in new]


def _inputs(model, tokenizer, rows: list[dict], images: np.ndarray):
    """Tokens and mask, padded on the left; images `[rows, pictures, 1, 3, size, size]`; and what ends an answer."""
    lang = tokenizer([tokenizer.bos_token + row["prompt"] for row in rows], return_tensors="pt", padding=True)
    for row, tokens, mask in zip(rows, lang["input_ids"], lang["attention_mask"], strict=True):
        assert tokens[mask > 0].tolist() == row["tokens"], f"{row['prompt']!r} has other tokens here"
    vision = torch.from_numpy(images[[row["images"] for row in rows]]).permute(0, 1, 4, 2, 3)[:, :, None].float()
    return lang, vision, [model.eoc_token_id, tokenizer.eos_token_id]


def main() -> None:
    """See above."""
    torch.set_num_threads(1)
    folder = pathlib.Path(sys.argv[1])
    facts, images = json.loads((folder / "questions.json").read_text()), np.load(folder / "images.npy")
    tokenizer, questions = read_tokenizer(folder / "language"), facts["questions"]
    model, by_images = load(folder, facts, tokenizer), {}
    for question in questions:
        by_images.setdefault(len(question["images"]), []).append(question)
    differ = 0
    for name, beams in (("greedy", 1), ("beam", facts["beams"])):
        same = 0
        for group in by_images.values():
            for start in range(0, len(group), ROWS):
                rows = group[start : start + ROWS]
                theirs = answer(model, tokenizer, facts, rows, images, beams)
                for row, text in zip(rows, theirs, strict=True):
                    same += row[name] == text
                    if row[name] != text:
                        print(f"{name}: {row['prompt']!r}\n  ours   {row[name]!r}\n  theirs {text!r}")
        print(f"{name}: {same} of {len(questions)} answers are the same")
        differ += len(questions) - same
    sys.exit(differ > 0)


if __name__ == "__main__":
    main()

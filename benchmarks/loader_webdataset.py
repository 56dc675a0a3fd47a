"""Times a loader of OpenFlamingo's kind: tar shards of WebDataset, PyTorch's DataLoader, CLIP's image transform.

    python benchmarks/loader_webdataset.py --pairs=SHARDS --tokenizer=SHARDS/tokenizer.json --workers=2

Runs in an environment of its own (torch, torchvision, transformers, webdataset) and needs nothing of ours but
`process_memory.py`. The stages and their settings are those of open_flamingo/train/data.py (2.0.1): resampled shards, a
shuffle buffer of 5,000 samples, decoding to RGB, batches, then resize, crop, tensor, normalization and flip, and the
tokenizer on the batch. Every dataset has a loader with `--workers` processes, as there. Prints one line of JSON.
"""

import argparse
import base64
import functools
import io
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
import webdataset as wds
from PIL import Image
from process_memory import cpu_seconds, megabytes
from torchvision import transforms
from transformers import PreTrainedTokenizerFast

MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's
MAX_IMAGES, PAGE_TOKENS, PAIR_TOKENS = 5, 256, 32
MEMORY_STEPS = 20


def clip_transform(size: int) -> transforms.Compose:
    """What open_clip prepares images with."""
    return transforms.Compose(
        [
            transforms.Resize(size, transforms.InterpolationMode.BICUBIC, antialias=True),
            transforms.CenterCrop((size, size)),
            transforms.Lambda(functools.partial(Image.Image.convert, mode="RGB")),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, DEVIATION),
        ]
    )


def prepare(images: list[Image.Image], transform: transforms.Compose) -> torch.Tensor:
    """Float32 [images, 3, size, size]; all are flipped or none is."""
    return transforms.RandomHorizontalFlip(0.5)(torch.stack([transform(image) for image in images]))


def tokenize(texts: list[str], tokenizer: PreTrainedTokenizerFast, **options) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask."""
    made = tokenizer(texts, truncation=True, return_tensors="pt", **options)
    return made["input_ids"], made["attention_mask"]


def captions(texts: list[str], tokenizer: PreTrainedTokenizerFast) -> tuple[torch.Tensor, torch.Tensor]:
    """Of a batch of pairs."""
    whole = [f"<image>{text.strip()}<|endofchunk|>{tokenizer.eos_token}" for text in texts]
    return tokenize(whole, tokenizer, max_length=PAIR_TOKENS, padding="longest")


def page(sample: tuple[bytes], tokenizer: PreTrainedTokenizerFast, transform: transforms.Compose) -> tuple:
    """A page of MMC4: all its images are prepared, then the first few kept."""
    info = json.loads(sample[0])
    sentences, images, places = info["text_list"], [], []
    for image, similarity in zip(info["image_info"], info["similarity_matrix"], strict=True):
        images.append(Image.open(io.BytesIO(base64.b64decode(image["image_base64"]))).convert("RGB"))
        places.append(int(np.argmax(similarity)))
    pixels = prepare(images, transform)[:MAX_IMAGES]
    block = torch.zeros(MAX_IMAGES, *pixels.shape[1:])
    block[: len(pixels)] = pixels
    for place in places[:MAX_IMAGES]:
        sentences[place] = f"<|endofchunk|><image>{sentences[place]}"
    text = " ".join(sentences).replace("<|endofchunk|>", "", 1) + f"<|endofchunk|>{tokenizer.eos_token}"
    return block, tokenize([text], tokenizer, max_length=PAGE_TOKENS, padding="max_length")


def loader(shards: str, kind: str, values: argparse.Namespace) -> wds.WebLoader:
    """One dataset's batches, without end."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=values.tokenizer, eos_token="<|im_end|>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|endofchunk|>", "<image>"], "pad_token": "<PAD>"})
    transform = clip_transform(values.image_size)
    stages = [
        wds.ResampledShards(sorted(map(str, Path(shards).glob("*.tar")))),
        wds.tarfile_to_samples(),
        wds.shuffle(bufsize=5000, initial=1000),
    ]
    if kind == "pairs":
        stages += [
            wds.decode("pilrgb"),
            wds.to_tuple("jpg;png;jpeg", "txt"),
            wds.batched(values.batch_size, partial=False),
            wds.map_tuple(
                functools.partial(prepare, transform=transform), functools.partial(captions, tokenizer=tokenizer)
            ),
        ]
    else:
        stages += [
            wds.to_tuple("json"),
            wds.map(functools.partial(page, tokenizer=tokenizer, transform=transform)),
            wds.batched(values.batch_size, partial=False),
        ]
    return wds.WebLoader(
        wds.DataPipeline(*stages),
        batch_size=None,
        shuffle=False,
        num_workers=values.workers,
        persistent_workers=values.workers > 0,
    )


def main() -> None:
    """Flags to one line."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind in ("pairs", "pages"):
        flags.add_argument(f"--{kind}", action="append", default=[], help=f"a folder of shards of {kind}; repeatable")
    flags.add_argument("--tokenizer", required=True, help="a tokenizer.json")
    flags.add_argument("--image_size", type=int, default=320)
    flags.add_argument("--batch_size", type=int, default=32)
    flags.add_argument("--workers", type=int, default=2, help="processes for each dataset")
    flags.add_argument("--seconds", type=float, default=15.0, help="at least; whole steps are timed")
    values = flags.parse_args()
    torch.set_num_threads(1)
    loaders = [loader(shards, kind, values) for kind in ("pairs", "pages") for shards in getattr(values, kind)]
    batches = [iter(one) for one in loaders]
    for _ in range(2 * max(1, values.workers)):
        for one in batches:
            next(one)
    steps, worked, start = 0, cpu_seconds(os.getpid()), time.perf_counter()
    while time.perf_counter() - start < values.seconds:
        for one in batches:
            next(one)
        steps += 1
    spent, worked = time.perf_counter() - start, cpu_seconds(os.getpid()) - worked
    rows = steps * values.batch_size * len(batches)
    memory = sorted(megabytes(os.getpid()) for _ in range(MEMORY_STEPS) if [next(one) for one in batches])
    report = {
        "workers": values.workers,
        "rows_per_second": round(rows / spent, 1),
        "cpu_ms_per_row": round(1e3 * worked / rows, 2),
        "steps": steps,
        "median_mb": round(memory[len(memory) // 2]),
        "peak_mb": round(memory[-1]),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()

"""Published few-shot results as their papers print them, for `results` to read. A dash: not printed.

Rows of a table begin with who or what was measured and, of few-shot results, the shots; the head names the benchmarks
as `results.NAMES` does.
"""

FLAMINGO_PAPER = "Alayrac et al. 2022, arXiv:2204.14198"
OPENFLAMINGO_PAPER = "Awadalla et al. 2023, arXiv:2308.01390"
IDEFICS_PAPER = "Laurençon et al. 2023, arXiv:2306.16527"
IDEFICS_CARD = "model card of IDEFICS-80B"

# Table 1 of version 2, table 3 of version 1; random support. VisDial at 32 shots is empty: version 1 prints "OOC"
# (the prompt is longer than what the language model was trained on), version 2 repeats the figures of 4 shots there,
# against its own appendix D.1.
FLAMINGO = """
                okvqa vqav2 coco  msvdqa vatex vizwiz flickr30k msrvttqa ivqa youcook2 star visdial textvqa nextqa hatefulmemes rareact
Flamingo-3B  0  41.2  49.2  73.0  27.5   40.1  28.9   60.6      11.0     32.7 55.8     39.6 46.1    30.1    21.3   53.7         58.4
Flamingo-3B  4  43.3  53.2  85.0  33.0   50.0  34.0   72.0      14.9     35.7 64.6     41.3 47.3    32.7    22.4   53.6         -
Flamingo-3B  8  44.6  55.4  90.6  37.0   54.5  38.4   71.7      19.6     36.8 68.0     40.6 47.6    32.4    23.9   54.7         -
Flamingo-3B  16 45.6  56.7  95.4  40.2   57.1  43.3   73.4      23.4     37.4 73.2     40.1 47.5    31.8    25.2   55.3         -
Flamingo-3B  32 45.9  57.1  99.0  42.6   59.2  45.5   71.2      25.6     37.7 76.7     41.6 -       30.6    26.1   56.3         -
Flamingo-9B  0  44.7  51.8  79.4  30.2   39.5  28.8   61.5      13.7     35.2 55.0     41.8 48.0    31.8    23.0   57.0         57.9
Flamingo-9B  4  49.3  56.3  93.1  36.2   51.7  34.9   72.6      18.2     37.7 70.8     42.8 50.4    33.6    24.7   62.7         -
Flamingo-9B  8  50.0  58.0  99.0  40.8   55.2  39.4   73.4      23.9     40.0 75.0     43.4 51.2    33.6    25.8   63.9         -
Flamingo-9B  16 50.8  59.4  102.2 44.5   58.5  43.0   72.7      27.6     41.5 77.2     42.4 51.3    33.5    27.6   64.5         -
Flamingo-9B  32 51.0  60.4  106.3 47.2   57.4  44.0   72.8      29.4     40.7 77.3     41.2 -       32.6    28.4   63.5         -
Flamingo-80B 0  50.6  56.3  84.3  35.6   46.7  31.6   67.2      17.4     40.7 60.1     39.7 52.0    35.0    26.7   46.4         60.8
Flamingo-80B 4  57.4  63.1  103.2 41.7   56.0  39.6   75.1      23.9     44.1 74.5     42.4 55.6    36.5    30.8   68.6         -
Flamingo-80B 8  57.5  65.6  108.8 45.5   60.6  44.8   78.2      27.6     44.8 80.7     42.3 56.4    37.3    32.3   70.0         -
Flamingo-80B 16 57.8  66.8  110.5 48.4   62.8  48.4   78.9      30.0     45.2 84.2     41.1 56.8    37.6    32.9   70.0         -
Flamingo-80B 32 57.8  67.6  113.8 52.3   65.1  49.8   75.4      31.0     45.3 86.8     42.2 -       37.9    33.5   70.0         -
"""  # noqa: E501

# The best results before the paper with 0 to 16 examples, and by fine-tuning: the same table, of version 2.
PRIOR = """
               okvqa vqav2 coco msvdqa msrvttqa ivqa star visdial hatefulmemes rareact
prior state of the art 0  -     -     32.2 35.2   19.2     12.2 39.4 11.6    66.1         40.7
prior state of the art 4  -     38.2  -    -      -        -    -    -       -            -
prior state of the art 16 43.3  -     -    -      -        -    -    -       -            -
"""
FINE_TUNED = """
           okvqa vqav2 coco  msvdqa vatex vizwiz flickr30k msrvttqa ivqa youcook2 star visdial textvqa nextqa hatefulmemes
fine-tuned 54.4  80.2  143.3 47.9   76.3  57.2   67.4      46.8     35.4 138.7    36.7 75.2    54.7    25.2   79.1
"""  # noqa: E501
# Table 6 of version 1; the first of two splits where it prints two (test-dev, validation).
FLAMINGO_FINE_TUNED = """
             vqav2 coco  vatex vizwiz msrvttqa visdial youcook2 textvqa hatefulmemes
Flamingo-80B 82.0  138.1 84.2  65.7   47.4     61.8    118.6    57.1    86.6
"""

# Table 7 of version 2. The shots are those of a prompt; how the support set is made is in the name of each table.
CLASSIFICATION = {
    "random support, at most 0.02 examples a class": """
             imagenet kinetics700
Flamingo-80B 16 66.4  51.2
""",
    "RICES, 1 example a class": """
             imagenet kinetics700
Flamingo-3B  8  70.9  55.9
Flamingo-3B  16 71.0  56.9
Flamingo-9B  8  71.2  58.0
Flamingo-9B  16 71.7  59.4
Flamingo-80B 8  71.9  60.4
Flamingo-80B 16 71.7  62.7
""",
    "RICES, 5 examples a class": """
             imagenet kinetics700
Flamingo-3B  16 72.7  58.3
Flamingo-9B  16 75.2  60.9
Flamingo-80B 16 76.0  63.5
""",
    "RICES and ensembling, 5 examples a class": """
             imagenet kinetics700
Flamingo-80B 16 77.3  64.2
""",
}
CLASSIFICATION_FINE_TUNED = """
           imagenet kinetics700
fine-tuned 90.9     89.0
"""
CONTRASTIVE = """
                                  imagenet kinetics700
Flamingo's contrastive encoder    77.9     62.9
the best contrastive encoder then 85.7     69.6
"""

# Table 11 of OpenFlamingo, shots 0/4/8/16/32; "(I)": on an instruction-tuned language model.
OPENFLAMINGO = """
                        coco                     flickr30k                vqav2                    okvqa                    textvqa                  vizwiz                   hatefulmemes
OpenFlamingo-3B         74.9/77.3/85.9/89.8/93.0 52.3/57.2/58.6/59.2/61.1 44.6/45.8/46.2/46.6/47.0 28.2/30.3/31.1/30.9/31.0 24.2/27.0/27.7/28.0/28.3 23.7/27.0/32.1/36.1/39.8 51.2/50.6/52.0/48.5/50.2
OpenFlamingo-3B (I)     74.4/82.7/87.8/91.9/94.8 51.2/59.1/60.7/63.0/64.5 44.1/45.7/45.9/45.8/44.8 28.7/30.6/31.5/30.7/30.6 23.1/28.1/29.1/29.1/28.5 23.4/27.7/32.1/35.3/39.3 50.1/49.5/50.7/48.7/47.8
OpenFlamingo-4B         76.7/81.8/90.7/93.9/95.1 53.6/60.7/55.9/56.8/56.9 45.1/49.0/48.3/45.5/43.0 30.7/35.1/33.9/28.5/26.4 21.0/25.9/21.3/18.2/14.1 18.8/26.6/28.8/24.6/23.1 52.3/51.5/55.2/54.5/52.2
OpenFlamingo-4B (I)     81.2/85.8/94.8/98.0/99.2 55.6/61.2/59.0/54.8/53.0 46.9/49.0/47.4/45.1/47.3 31.7/34.6/33.7/31.3/34.7 21.1/27.2/25.1/23.2/23.2 21.5/26.5/29.1/31.0/31.3 53.1/54.9/58.5/56.9/54.9
OpenFlamingo-9B         79.5/89.0/96.3/98.8/99.5 59.5/65.8/62.9/62.8/61.3 52.7/54.8/54.8/54.3/53.3 37.8/40.1/41.1/42.7/42.4 24.2/28.2/29.1/27.3/23.8 27.5/34.1/38.5/42.5/44.0 51.6/54.0/54.7/53.9/53.8
"""  # noqa: E501
# Table 12 of OpenFlamingo.
OPENFLAMINGO_RICES = """
                        coco                       flickr30k                vqav2                    okvqa                    textvqa                  vizwiz                   hatefulmemes
OpenFlamingo-9B         76.8/93.1/99.8/105.6/109.0 39.2/52.2/58.7/60.6/63.0 53.0/55.1/56.0/56.6/56.8 38.3/42.0/44.1/45.1/46.3 28.3/34.2/34.8/33.4/31.1 34.6/41.0/45.0/46.2/46.4 67.1/70.1/71.2/73.2/73.6
"""  # noqa: E501

# Table 2 of the OBELICS paper, shots 0/4/8/16/32.
IDEFICS = """
            coco                          flickr30k                vqav2                    okvqa                    textvqa                  vizwiz                   visdial            hatefulmemes
IDEFICS-80B 91.8/110.3/114.3/116.6/116.6  53.7/73.7/76.6/80.1/81.1 60.0/63.6/64.8/65.4/65.9 45.2/52.4/55.1/56.8/57.8 30.9/34.4/35.7/36.3/36.7 36.0/40.4/46.1/48.3/50.0 48.9/48.4/47.9/-/- 60.6/57.8/58.2/57.8/52.5
IDEFICS-9B  46.0/93.0/97.0/99.7/98.0      27.3/59.7/61.9/64.5/64.3 50.9/55.4/56.4/57.0/57.9 38.4/45.4/47.7/48.4/49.6 25.9/27.6/27.5/27.9/28.3 35.5/36.9/40.4/42.6/43.7 48.7/47.9/47.6/-/- 51.8/50.7/51.1/50.1/49.8
"""  # noqa: E501
# Of IDEFICS' model card.
IDEFICS_IMAGENET = {
    "random support, 1,000 examples": """
            imagenet
IDEFICS-80B 16 65.4
IDEFICS-9B  16 53.5
""",
    "RICES, 5,000 examples": """
            imagenet
IDEFICS-80B 16 72.9
IDEFICS-9B  16 64.5
""",
}

# (model, benchmark) -> what a reader of its row ought to know.
NOTES = {
    **{
        (f"Flamingo-{size}", "visdial"): "32 shots: a prompt longer than the language model was trained on"
        for size in ("3B", "9B", "80B")
    },
    ("fine-tuned", "hatefulmemes"): "version 2 of the paper; version 1 prints 75.4",
    ("fine-tuned", "imagenet"): "version 2 of the paper; version 1 prints 91.0",
    **{(f"IDEFICS-{size}", "coco"): "trained on COCO, by way of PMD" for size in ("80B", "9B")},
    ("IDEFICS-80B", "hatefulmemes"): "the model card prints 60.6, 57.8, 58.2, 55.8, 52.5",
    ("IDEFICS-9B", "hatefulmemes"): "the model card prints 51.7, 50.7, 51.0, 50.9, 49.8",
    ("IDEFICS-80B", "visdial"): "the model card prints 48.8 at 0 shots",
    ("IDEFICS-9B", "okvqa"): "the model card prints 45.5 at 4 shots",
    ("the best contrastive encoder then", "imagenet"): "BASIC",
    ("the best contrastive encoder then", "kinetics700"): "CLIP",
}
TRAINING_SIZES = {
    "okvqa": "10K",
    "vqav2": "444K",
    "coco": "500K",
    "msvdqa": "27K",
    "vatex": "500K",
    "vizwiz": "20K",
    "flickr30k": "30K",
    "msrvttqa": "130K",
    "ivqa": "6K",
    "youcook2": "10K",
    "star": "46K",
    "visdial": "123K",
    "textvqa": "20K",
    "nextqa": "38K",
    "hatefulmemes": "9K",
}
"""How many examples the fine-tuned state of the art was trained on (table 1 of the paper)."""

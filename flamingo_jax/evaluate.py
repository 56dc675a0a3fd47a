"""Evaluates a training run.

On a benchmark, few-shot, as papers do; the folder holds the files of its release:

    python -m flamingo_jax.evaluate --workdir=DIR --benchmark=vqav2 --data_dir=DIR [--shots=0,4,8,16,32]

Writes the summary, every answer with its prompt, and a page of examples into the workdir's `evaluations/`, and prints a
table beside published figures. The same command goes on with an evaluation that was stopped. Started as several
processes, as a training is, it evaluates on the devices of all of them.

On held-out documents of a dataset that it was trained with:

    python -m flamingo_jax.evaluate --workdir=DIR --dataset=m3w

Writes `summary.json`, `heldout.json` and `report.html` into the workdir.

On a conversation that `flamingo_jax.chat` saved, which is asked again:

    python -m flamingo_jax.evaluate --workdir=DIR --conversation=FILE [--output=FILE]

Prints each question with the saved answer and the one now, and writes them to `--output` as JSON.
"""

import jax
from absl import flags
from etils import epath

from flamingo_jax import command_line
from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark
from flamingo_jax.evaluation.benchmarks.catalog import BENCHMARKS, find
from flamingo_jax.evaluation.confidence.evidence import EvidenceConfig
from flamingo_jax.evaluation.fewshot.config import SELECTIONS, FewShotConfig
from flamingo_jax.evaluation.fewshot.opening import open_to_ask
from flamingo_jax.evaluation.fewshot.own_folder import own_folder
from flamingo_jax.evaluation.fewshot.run import evaluate_few_shot
from flamingo_jax.evaluation.fewshot.text import table
from flamingo_jax.evaluation.probes.figures import write_figures
from flamingo_jax.evaluation.probes.text import table as probe_table
from flamingo_jax.evaluation.report import write_report
from flamingo_jax.evaluation.run import evaluate
from flamingo_jax.inference.decoding import BEAM, Decoding
from flamingo_jax.inference.session import Session
from flamingo_jax.parallel import distributed
from flamingo_jax.serving.dialogue.replay import replay_file

flags.DEFINE_string("workdir", None, "Folder of the training run.", required=True)
# On a benchmark.
flags.DEFINE_string("benchmark", "", f"One of {', '.join(BENCHMARKS)}.")
flags.DEFINE_string("data_dir", "", "Folder with the files of the benchmark's release; generated ones need none.")
flags.DEFINE_list("shots", ["0", "4", "8", "16", "32"], "Numbers of examples in a prompt.")
flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of the examples; the figure is the mean over them.")
flags.DEFINE_list("support", ["random"], f"How examples are chosen: {' or '.join(SELECTIONS)}, or both.")
flags.DEFINE_bool("dev", False, "On the paper's DEV split, cut from the training split.")
flags.DEFINE_string(
    "query_split", "", "Split of the release to ask about; the one that the literature reports if empty."
)
flags.DEFINE_integer("max_items", 0, "Ask about so many items, drawn from the split; 0: all.", lower_bound=0)
flags.DEFINE_integer("batch_size", 16, "Prompts at a time.", lower_bound=1)
flags.DEFINE_integer("beams", 3, "Of beam search, for answers that the model writes; 1: greedy.", lower_bound=1)
flags.DEFINE_float("length_penalty", 0.0, "Of beam search: the power of the length that divides log-likelihoods.")
flags.DEFINE_integer("answer_tokens", 0, "Tokens of an answer, at most; 0: as the benchmark says.", lower_bound=0)
flags.DEFINE_integer(
    "permutations", 1, "Orders of the examples to average ranked answers over (paper: 6).", lower_bound=1
)
flags.DEFINE_bool("per_token", False, "Rank answers by log-likelihood per token.")
flags.DEFINE_bool("blind", None, "Ask once more with no image seen; probes are, unless --noblind.")
flags.DEFINE_bool("confidence", False, "Gather the evidence for each answer, for python -m flamingo_jax.abstain.")
flags.DEFINE_bool("skip_missing", False, "Leave out items whose image is not there.")
flags.DEFINE_string("output", "", "Folder to write into, below the workdir if empty; of a conversation, a JSON file.")
flags.DEFINE_integer("step", 0, "Of the checkpoint; the newest if it is not given.", lower_bound=0)
# On held-out documents.
flags.DEFINE_string("dataset", "", "Dataset of the run's mixture, such as m3w.")
flags.DEFINE_string("split", "validation", "Split of held-out documents.")
flags.DEFINE_string("truth", "", "truth.json of the embedded web, for accuracies on named attributes.")
flags.DEFINE_string("corpora", "", "Folder of the datasets, for what was dropped in building them.")
flags.DEFINE_integer("max_cases", 128, "Pictures to evaluate, at most.", lower_bound=2)
flags.DEFINE_integer("max_new_tokens", 32, "Tokens of each caption, at most.", lower_bound=1)
# On a conversation.
flags.DEFINE_string("conversation", "", "File that chat saved, to be asked again.")

_OF_DATASET = ("split", "truth", "corpora", "max_cases", "max_new_tokens")
_OF_BENCHMARK = (
    *("data_dir", "shots", "seeds", "support", "dev", "query_split", "max_items", "batch_size", "beams"),
    *("length_penalty", "answer_tokens", "permutations", "per_token", "blind", "confidence"),
    *("skip_missing", "output", "step"),
)
_OF_CONVERSATION = ("output", "step")
_FLAGS = {"benchmark": _OF_BENCHMARK, "dataset": _OF_DATASET, "conversation": _OF_CONVERSATION}


def main() -> None:
    """Flags to one of three calls."""
    values = flags.FLAGS
    named = [name for name in _FLAGS if getattr(values, name)]
    if len(named) != 1:
        raise ConfigError(
            "name one of: a benchmark (--benchmark=...), a dataset of the run's mixture (--dataset=...), a saved "
            "conversation (--conversation=...)"
        )
    (source,) = named
    others = {name for names in _FLAGS.values() for name in names} - set(_FLAGS[source])
    command_line.refuse_unused(source, sorted(others))
    if source == "benchmark":
        with distributed.joined(command_line.report):
            _on_benchmark(values)
    else:
        distributed.refuse_several(f"flamingo_jax.evaluate --{source}")
        {"dataset": _on_dataset, "conversation": _on_conversation}[source](values)


def _on_benchmark(values: flags.FlagValues) -> None:
    benchmark = find(values.benchmark)
    workdir = epath.Path(values.workdir)
    if not values.data_dir and benchmark.write is None:
        raise ConfigError(f"--benchmark={benchmark.name} needs --data_dir, the folder with the files of its release")
    config = _few_shot(values, benchmark)
    home = epath.Path(values.output or workdir / "evaluations" / benchmark.name)
    split = open_to_ask(benchmark, epath.Path(values.data_dir or home / "drawn"), config)
    session = Session.open(workdir, values.step if values["step"].present else None)
    output = home if values.output else home / f"{split.name}-step{session.step}"
    with own_folder(output) as folder:
        summary = evaluate_few_shot(session, workdir.name, benchmark, split, config, folder)
    if jax.process_index():
        return
    print(table(summary))
    if benchmark.probe:
        print(f"\n{probe_table(benchmark.title, write_figures(benchmark, split.queries, summary, output))}\n")
    print(f"examples: {output / 'examples.html'}")
    if not values.output:
        print(f"report: {write_report(workdir)}")


def _few_shot(values: flags.FlagValues, benchmark: Benchmark) -> FewShotConfig:
    decoding = None
    if any(values[name].present for name in ("beams", "length_penalty", "answer_tokens")):
        length = values.answer_tokens or benchmark.max_new_tokens
        if values.beams > 1:
            decoding = Decoding(BEAM, length, beams=values.beams, length_penalty=values.length_penalty)
        elif values["length_penalty"].present:
            raise ConfigError("--length_penalty is for beam search, and --beams=1 is greedy: leave one of them out")
        else:
            decoding = Decoding(max_new_tokens=length)
    try:
        return FewShotConfig(
            shots=_numbers(values, "shots"),
            seeds=_numbers(values, "seeds"),
            selections=tuple(values.support),
            dev=values.dev,
            split=values.query_split,
            max_items=values.max_items,
            batch_size=values.batch_size,
            decoding=decoding,
            permutations=values.permutations,
            per_token=values.per_token,
            blind=benchmark.probe if values.blind is None else values.blind,
            skip_missing=values.skip_missing,
            confidence=EvidenceConfig() if values.confidence else None,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _numbers(values: flags.FlagValues, name: str) -> tuple[int, ...]:
    try:
        return tuple(map(int, values[name].value))
    except ValueError as error:
        raise ConfigError(f"--{name} is whole numbers, such as 0,4,8; got {','.join(values[name].value)!r}") from error


def _on_dataset(values: flags.FlagValues) -> None:
    report = evaluate(
        values.workdir,
        values.dataset,
        values.split,
        values.truth,
        values.corpora,
        values.max_cases,
        values.max_new_tokens,
    )
    print(f"report: {report}")


def _on_conversation(values: flags.FlagValues) -> None:
    step = values.step if values["step"].present else None
    output = epath.Path(values.output) if values.output else None
    print(replay_file(epath.Path(values.workdir), step, epath.Path(values.conversation), output))


if __name__ == "__main__":
    command_line.run(main)

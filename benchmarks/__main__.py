"""The command line: light commands answer without Hydra or torch; a run is handed to benchmarks.app."""

from __future__ import annotations

import importlib
import os
import sys

COMMANDS = {
    "list": "tasks, methods and data sets that fit together  [--json]",
    "data": "list | fetch ID | verify [ID] | where [ID]",
    "report": "static leaderboard from the store  [--store results] [--out report]",
    "compare": "BASE HEAD: has anything become worse? Stores, records.json or commits  [--html FILE] [--markdown FILE|-]",
    "verify": "check the store: checksums, damaged records, stale drafts  [--store results]",
    "plan": "KEY=VALUE,VALUE ... | --published | --file FILE: many runs in shards  [--shards N] [--json | --run N]",
    "merge": "SHARD ...: the runs of several stores into one, nothing replaced  [--store results]",
    "tune": "task=T method=M KEY=V,V|LOW..HIGH ...: search on validation, best to conf/tuned  [--search optuna] [--write]",
    "rescore": "metrics anew from stored predictions, without training  [--store results]",
    "retime": "BASE HEAD: latency of stored runs anew, both sides in turns, for compare  [--rounds 11] [--row TEXT]",
    "predict": "RUN INPUT OUTPUT: use a trained run on a file of your own (CSV, PNG, GeoTIFF ...)  [--fold NAME]",
    "export": "RUN OUTPUT.pt2|OUTPUT.onnx: a trained network for use without this suite  [--fold NAME]",
    "publish": "RUN ...: copy records worth showing to leaderboard/published",
}

HELP = """\
python -m benchmarks task=T method=M [model=N] [data=D] [scale=smoke|small|paper] [seed=0] [key=value ...]

  One run: trains or loads the base, applies the method, fine-tunes, evaluates, measures the cost, and shows the result
  beside its base, control and floor. For example:

    python -m benchmarks task=ctr method=svd
    python -m benchmarks task=ctr method=afm method.rank=8 seed=1
    python -m benchmarks -m task=ctr method=svd,afm seed=0,1,2        a sweep; hydra/launcher=joblib runs it in parallel

  shots=16                 training samples that a run sees, drawn by its seed; all unless given
  weights=published|ID|PATH    start from published weights (of this data set, or of data set ID) or a file, untrained
  store=results            where records are kept: a folder or an fsspec URL
  profile=none|brief|fast|full   sizes and latency (fast), also peak memory in a fresh process (full)
  if_exists=reuse|skip|rerun|error, companions=false, report=false, pictures=false, trainer.progress=false
  --cfg job                show the composed configuration instead of running

python -m benchmarks COMMAND ...
"""


def main(argv: list[str] | None = None) -> int:
    """Runs one command line and returns the exit code: 0 fine, 1 an error that is explained, 2 misuse.

    `compare` has its own: 1 is a regression and 2 whatever kept it from comparing.
    """
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP + "\n".join(f"  {name:<9}{text}" for name, text in COMMANDS.items()))
        return 0
    if words[0] == "--version":
        from benchmarks import __version__

        print(__version__)
        return 0
    from benchmarks.errors import BenchmarkError, unknown

    try:
        if words[0] in COMMANDS:
            return importlib.import_module(f"benchmarks.commands.{words[0]}").main(words[1:])
        if "=" not in words[0] and not words[0].startswith("-"):
            raise unknown(
                "command", words[0], COMMANDS, remedy="A run is typed as key=value, for example task=ctr method=svd."
            )
        from benchmarks.app import main as run

        return run(words)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print(f"interrupted: {stop or 'nothing was running'}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output (head, a closed pager) has gone; Python would complain again on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())

"""The shared trainer of all gradient methods, and the only place that knows Lightning."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import lightning
import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from benchmarks import sharding
from benchmarks.checkpoints import NEXT, found, keep
from benchmarks.datasets.bundle import TrainingData
from benchmarks.device import device_random, resume_device_random
from benchmarks.epochs import EpochBatches, History
from benchmarks.follower import leads
from benchmarks.models.named import always_trained
from benchmarks.models.rowwise import RowwiseAdagrad, Together, clip_with_rows, row_groups, train_by_rows
from benchmarks.moving_average import moving_average
from benchmarks.progress import Bar, quiet
from benchmarks.schedule import schedule
from benchmarks.task import Batch, Task

Loss = Callable[[nn.Module, Batch], Tensor]
CHECKPOINT_SECONDS = 5.0
"""At most so much training is lost to a kill; writing after every epoch would cost small models a tenth of their time."""


class NonFiniteLossError(ArithmeticError):
    """The loss became NaN or infinite; the run ends at once instead of training on."""


class Training(lightning.LightningModule):
    """A task's loss on a network, with the configured optimiser and schedule."""

    def __init__(self, loss: Loss, network: nn.Module, plan: dict[str, Any], table_decay: float = 0.0) -> None:
        super().__init__()
        self.loss, self.network, self.plan, self.table_decay = loss, network, plan, table_decay
        self.forward_network = cast(nn.Module, torch.compile(network)) if plan["compile"] else network
        self.losses: list[Tensor] = []

    def averaged(self) -> AveragedModel:
        """A moving average of the network, as it is now."""
        return moving_average(self.network, self.plan["ema_decay"])

    def training_step(self, batch: Batch, index: int) -> Tensor:
        loss = sharding.called(self.loss, self.forward_network, batch)
        # Reading a loss waits for the device, so an accelerator is asked now and then, a CPU always.
        if (loss.device.type == "cpu" or index % 50 == 0) and not math.isfinite(float(loss.detach())):
            raise NonFiniteLossError(
                f"The loss is {float(loss.detach())} in epoch {self.current_epoch + 1}, step {index + 1}. {self.remedy}"
            )
        self.losses.append(loss.detach())
        return loss

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: Any = None, gradient_clip_algorithm: Any = None
    ) -> None:
        if self.plan["tables"] == "dense":
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif gradient_clip_val:
            clip_with_rows(self.network.parameters(), gradient_clip_val)

    def _groups(self, parameters: list[nn.Parameter]) -> list[dict[str, Any]]:
        """What is trained at the configured rate, and what the network always trains at that of heads, where it has one."""
        rate = self.plan.get("head_learning_rate")
        heads = {id(parameter) for parameter in always_trained(self.network)} if rate else set()
        parts: list[dict[str, Any]] = [{"params": [each for each in parameters if id(each) not in heads]}]
        if heads:
            parts.append({"params": [each for each in parameters if id(each) in heads], "lr": rate})
        return [part for part in parts if part["params"]]

    @property
    def remedy(self) -> str:
        """What to do about a loss that is not finite."""
        return f"Try a lower trainer.learning_rate (now {self.plan['learning_rate']}) or set trainer.gradient_clip."

    def configure_optimizers(self) -> Any:
        plan = self.plan
        parameters = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        rate, decay = plan["learning_rate"], plan["weight_decay"]
        rows = train_by_rows(self.network) if plan["tables"] == "rowwise_adagrad" else []
        parameters = [parameter for parameter in parameters if not any(parameter is table for table in rows)]
        groups = self._groups(parameters)
        # A fused step unscales the gradients itself, after the clipping that needs them unscaled: Lightning refuses both.
        clipped = plan["precision"].endswith("-mixed") and plan["gradient_clip"]
        fused: dict[str, Any] = {} if clipped else {"fused": True}
        optimizer: torch.optim.Optimizer
        if plan["optimizer"] == "sgd":
            optimizer = torch.optim.SGD(groups, rate, momentum=0.9, nesterov=True, weight_decay=decay)
        else:
            kind = torch.optim.AdamW if plan["optimizer"] == "adamw" else torch.optim.Adam
            optimizer = kind(groups, rate, betas=(0.9, plan["beta2"]), weight_decay=decay, **fused)
        if rows:
            by_rows = RowwiseAdagrad(row_groups(self.network), plan["table_learning_rate"], self.table_decay)
            optimizer = Together(optimizer, by_rows) if parameters else by_rows
        factor = schedule(plan, int(self.trainer.estimated_stepping_batches))
        if factor is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": torch.optim.lr_scheduler.LambdaLR(optimizer, factor), "interval": "step"},
        }


class ShardedTraining(Training):
    """The same with a copy of the network that is cut up over the processes; the network itself stays as it was."""

    def __init__(self, loss: Loss, network: nn.Module, *given: Any) -> None:
        super().__init__(loss, deepcopy(network), *given)
        self.origin = (network,)  # in a tuple, since it is no module of the training

    def configure_model(self) -> None:  # Lightning calls it when the processes have met
        self._shard(self.network)

    def averaged(self) -> AveragedModel:
        average = moving_average(self.origin[0], self.plan["ema_decay"])  # one that is cut up cannot be copied
        self._shard(self.trainer.precision_plugin.convert_module(average.module))
        return average

    def _shard(self, network: nn.Module) -> None:
        strategy = self.trainer.strategy
        assert isinstance(strategy, Sharded)
        sharding.shard(network, strategy.device_mesh["data_parallel"], strategy.root_device)


class Sharded(sharding.WholeCheckpoints, ModelParallelStrategy):
    """Lightning's strategy for networks that are cut up, with the checkpoints of a single process."""


class Selection(lightning.Callback):
    """Judges every epoch on validation: keeps the best weights, lowers the rate on a plateau, stops, saves, reports.

    Modules of the network with a method `after_step` are told after each step which share of all steps has been made.
    """

    def __init__(self, judge: Callable[[nn.Module], float], direction: str, plan: dict[str, Any], history: History,
                 bar: Bar, checkpoints: Path | None, metric: str) -> None:  # fmt: skip
        self.judge, self.plan, self.history, self.bar, self.metric = judge, plan, history, bar, metric
        self.sign = 1.0 if direction == "max" else -1.0
        self.checkpoints = checkpoints
        self.best = -math.inf
        self.waited = 0
        self.steps = 0
        self.follow_steps: list[Any] = []
        self.best_weights: dict[str, Tensor] = {}
        self.average: AveragedModel | None = None
        self.average_weights: dict[str, Tensor] | None = None
        self.started = self.saved = time.perf_counter()

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, Training)
        self.follow_steps = [module for module in pl_module.network.modules() if hasattr(module, "after_step")]
        if self.plan["ema_decay"] and self.average is None:
            self.average = pl_module.averaged()
            if self.average_weights is not None:
                sharding.load(self.average, self.average_weights)
        self._stop_where_patience_ends(trainer)

    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, Training)
        if trainer.global_step > self.steps:  # gradients of several batches may make up one step
            self.steps = trainer.global_step
            for module in self.follow_steps:
                with sharding.held_whole(module):
                    module.after_step(self.steps / int(trainer.estimated_stepping_batches))
        if self.average is not None:
            self.average.update_parameters(pl_module.network)
        self.bar.advance()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, Training)
        epoch = trainer.current_epoch + 1
        ends = epoch >= self.plan["max_epochs"] or trainer.global_step >= self.plan.get("max_steps", math.inf)
        if epoch % self.plan["validate_every"] and not ends:
            self._save(trainer)
            return
        judged = pl_module.network if self.average is None else self.average.module
        judged.eval()
        sharding.share_buffers(judged)
        with trainer.precision_plugin.forward_context():
            score = trainer.strategy.broadcast(sharding.called(self.judge, judged))
        judged.train()
        loss = math.nan
        if pl_module.losses:  # the mean over all processes, whose batches are of one size
            loss = float(cast(Tensor, trainer.strategy.reduce(torch.stack(pl_module.losses).mean())))
        if pl_module.losses and not math.isfinite(loss):
            raise NonFiniteLossError(f"The mean loss of epoch {epoch} is {loss}. {pl_module.remedy}")
        pl_module.losses.clear()
        optimizer = trainer.optimizers[0]
        row = {
            "epoch": epoch, "step": trainer.global_step, "train_loss": loss, f"val_{self.metric}": score,
            "lr": optimizer.param_groups[0]["lr"], "seconds": time.perf_counter() - self.started,
        }  # fmt: skip
        self.history.rows.append(row)
        for logger in trainer.loggers:
            logger.log_metrics(row, step=trainer.global_step)
        if (math.isfinite(score) and self.sign * score > self.best + self.plan["min_delta"]) or not self.best_weights:
            self.best = self.sign * score if math.isfinite(score) else -math.inf
            self.history.best_epoch, self.history.best, self.waited = epoch, score, 0
            weights = sharding.whole(judged.state_dict(keep_vars=True))
            self.best_weights = {name: value.clone() for name, value in weights.items()}
        else:
            self.waited = epoch - self.history.best_epoch
            if self.plan["schedule"] == "plateau":
                self._lower_rate(trainer)
        self._stop_where_patience_ends(trainer)
        self.bar.note(f"epoch {epoch}, validation {self.metric} {score:.4f}, best {self.sign * self.best:.4f}")
        self._save(trainer)

    def _save(self, trainer: lightning.Trainer) -> None:
        """Writes a checkpoint where the last one is some seconds old."""
        due = self.checkpoints is not None and time.perf_counter() - self.saved > CHECKPOINT_SECONDS
        if trainer.strategy.broadcast(due):  # saving waits for all processes, so all must do it
            assert self.checkpoints is not None
            trainer.save_checkpoint(self.checkpoints / NEXT)
            if trainer.is_global_zero:
                keep(self.checkpoints)
            self.saved = time.perf_counter()

    def _lower_rate(self, trainer: lightning.Trainer) -> None:
        least = self.plan["min_learning_rate"]
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = max(least, 0.1 * group["lr"])
        for config in trainer.lr_scheduler_configs:  # that of a warm-up sets the rate anew at every step
            config.scheduler.base_lrs = [max(least, 0.1 * rate) for rate in config.scheduler.base_lrs]

    def _stop_where_patience_ends(self, trainer: lightning.Trainer) -> None:
        if self.plan["patience"] is not None and self.waited >= self.plan["patience"]:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {
            "best": self.best, "waited": self.waited, "best_weights": self.best_weights, "rows": self.history.rows,
            "steps": self.steps, "best_epoch": self.history.best_epoch, "random": torch.get_rng_state(),
            "device_random": device_random(), "seconds": time.perf_counter() - self.started,
            "average": None if self.average is None else sharding.whole(self.average.state_dict()),
        }  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.waited, self.best_weights = state_dict["best"], state_dict["waited"], state_dict["best_weights"]
        self.steps = state_dict.get("steps", 0)  # checkpoints of before had none
        self.history.rows[:] = state_dict["rows"]
        self.history.best_epoch, self.history.best = state_dict["best_epoch"], self.sign * state_dict["best"]
        self.history.resumed_from = self.history.epochs
        self.history.resumed_seconds = state_dict.get("seconds", 0.0)
        self.started -= self.history.resumed_seconds
        torch.set_rng_state(state_dict["random"])
        resume_device_random(state_dict.get("device_random"))
        # Lightning restores callbacks before on_fit_start builds the average.
        self.average_weights = state_dict["average"]


def fit(network: nn.Module, task: Task, data: TrainingData, plan: dict[str, Any], *, seed: int,
        judge: Callable[[nn.Module], float], title: str, loss: Loss | None = None,
        checkpoints: Path | None = None, logs: Path | None = None,
        judged: tuple[str, str] | None = None) -> History:  # fmt: skip
    """Trains `network` in place, leaving it in evaluation mode on the CPU with the weights of the best epoch.

    `plan` holds the keys of settings.Trainer, and may end training after `max_steps`; `judge` gives the primary metric on
    validation, or what else `judged` says, its name and its direction; `loss` is the task's where none is given. With a folder
    for checkpoints, training that was cut off goes on from the last finished epoch, to the same result. `logs` is the folder
    of `trainer.logger`.
    Raises NonFiniteLossError at the first loss that is not finite.
    """
    history = History()
    started = time.perf_counter()
    if plan["max_epochs"] > 0:
        judged = judged or (task.primary.name, task.primary.direction)
        _fit(network, task, loss or task.loss, data, plan, seed, judge, title, checkpoints, logs, history, judged)
        network.to("cpu")
    history.seconds = time.perf_counter() - started + history.resumed_seconds
    network.eval()
    return history


def _fit(network: nn.Module, task: Task, loss: Loss, data: TrainingData, plan: dict[str, Any], seed: int,
         judge: Callable[[nn.Module], float], title: str, checkpoints: Path | None, logs: Path | None,
         history: History, judged: tuple[str, str]) -> None:  # fmt: skip
    if checkpoints is not None:
        checkpoints.mkdir(parents=True, exist_ok=True)
    last, history.damage = found(checkpoints) if checkpoints is not None else (None, None)
    cut_up = plan["strategy"] == "fsdp"
    module = (ShardedTraining if cut_up else Training)(loss, network, plan, task.table_decay(network))
    batches = EpochBatches(
        data.train,
        plan["batch_size"],
        seed,
        lambda: trainer.current_epoch,
        lambda: (trainer.global_rank, trainer.world_size),
        plan["workers"],
    )
    with Bar(title, visible=plan["progress"] and leads()) as bar, quiet():
        name, direction = judged
        selection = Selection(judge, direction, plan, history, bar, checkpoints, name)
        trainer = lightning.Trainer(
            max_epochs=plan["max_epochs"],
            max_steps=plan.get("max_steps", -1),
            accelerator=plan["accelerator"],
            devices=plan["devices"],
            strategy=Sharded(plan["devices"], 1, save_distributed_checkpoint=False) if cut_up else plan["strategy"],
            precision=plan["precision"],
            gradient_clip_val=plan["gradient_clip"],
            accumulate_grad_batches=plan["accumulate"],
            callbacks=[selection],
            logger=_logger(plan["logger"], logs),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        bar.total = int(min(len(batches) * plan["max_epochs"], plan.get("max_steps", math.inf) * plan["accumulate"]))
        handler = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(module, batches, ckpt_path=last, weights_only=True)
        except SystemExit as stop:
            if not isinstance(stop.__context__, KeyboardInterrupt):
                raise
            signal.signal(signal.SIGINT, handler)  # Lightning exits on an interrupt and ignores all that follow
            raise KeyboardInterrupt(*stop.__context__.args) from stop
        # A copy was trained where it is cut up; the network then has its number format from here.
        trainer.precision_plugin.convert_module(network).load_state_dict(selection.best_weights)


def _logger(name: str | None, folder: Path | None) -> Any:
    """A Lightning logger by its short name, or False for none."""
    if name is None:
        return False
    from lightning.pytorch import loggers

    from benchmarks.errors import BenchmarkError

    known = {
        "csv": loggers.CSVLogger,
        "tensorboard": loggers.TensorBoardLogger,
        "mlflow": loggers.MLFlowLogger,
        "wandb": loggers.WandbLogger,
    }
    try:
        return known[name](save_dir=str(folder or "."))
    except ModuleNotFoundError as error:
        raise BenchmarkError(f"trainer.logger={name} needs a package that is not installed: {error}.") from error

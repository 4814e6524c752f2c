"""Fully sharded training (FSDP): a network whose weights, gradients and optimiser state lie cut up over the processes of a run.

Each process holds a part of every tensor, along its first axis (Zhao et al., PyTorch FSDP, VLDB 2023; `fully_shard` of torch).
What is written and handed on is always whole: a checkpoint is the one that a single process would write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.utils import parametrize
from torch.utils._pytree import tree_map

from benchmarks.errors import BenchmarkError

Answer = TypeVar("Answer")
ROOT = "sharded_root"
CONTAINERS = (nn.ModuleList, nn.Sequential)


class Root(nn.Module):
    """Calls functions of a network: what is not in a block of its own is whole while they run, however they reach it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, function: Callable[..., Any], *given: Any) -> Any:
        return function(self.network, *given)


def shard(network: nn.Module, mesh: DeviceMesh, device: torch.device) -> None:
    """Cuts a network up in place, after the weights of the first process: block by block, and what is left as one.

    Raises BenchmarkError for a parameter without an axis to cut.
    """
    for name, parameter in network.named_parameters():
        if not parameter.ndim:
            raise BenchmarkError(
                f"trainer.strategy=fsdp cuts parameters along their first axis, and '{name}' is a single number without one. "
                "Type trainer.strategy=ddp."
            )
    network.to(device)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.data = parameter.data.contiguous()  # no other can be cut
    _from_first([*network.parameters(), *network.buffers()])
    root = Root(network)
    for module in (*blocks(network), root):
        module.register_forward_hook(_without_views)
        # Gloo of some versions adds and does not average; the quotient is the same.
        fully_shard(module, mesh=mesh).set_force_sum_reduction_for_comms(device.type == "cpu")
    network.__dict__[ROOT] = root  # no module of the network, whose names it would change


def _without_views(module: nn.Module, given: Any, answer: Any) -> Any:
    """Copies of answers that are views: what is written into one would lose the hook that gathers the weights for backward."""
    return tree_map(lambda each: each.clone() if isinstance(each, Tensor) and each._is_view() else each, answer)


def blocks(network: nn.Module) -> list[nn.Module]:
    """The outermost modules of several layers that stand in a row or list: each is gathered when it is called, and let go.

    Not single layers, whose weights their owner may read without calling them, nor what shares a parameter with the rest.
    """
    uses = _uses(network)

    def found(module: nn.Module, listed: bool) -> Iterator[nn.Module]:
        if parametrize.is_parametrized(module):
            return
        several = next(module.children(), None) is not None and not isinstance(module, CONTAINERS)
        answers = type(module).forward is not nn.Module.forward
        own = _uses(module)
        if listed and several and answers and own and all(own[each] == uses[each] for each in own):
            yield module
            return
        for child in module.children():
            yield from found(child, isinstance(module, CONTAINERS))

    return list(found(network, False))


def _uses(network: nn.Module) -> Counter[int]:
    """How many names of a network stand for a parameter, by its id."""
    held = (each for module in network.modules() for each in module._parameters.values())
    return Counter(id(each) for each in held if each is not None)


def called(function: Callable[..., Answer], network: nn.Module, *given: Any) -> Answer:
    """`function(network, *given)`; of a network that is cut up all processes must call it alike.

    Raises BenchmarkError where something reads the weights of a block without calling it.
    """
    root = cast(Root | None, network.__dict__.get(ROOT))
    if root is None:
        return function(network, *given)
    try:
        answer = root(function, *given)
    except RuntimeError as error:
        if "mixed torch.Tensor and DTensor" not in str(error):
            raise
        raise BenchmarkError(
            f"trainer.strategy=fsdp: {type(network).__name__} reads weights of a block without calling it, while they are "
            "cut up. Type trainer.strategy=ddp."
        ) from error
    if not isinstance(answer, Tensor):  # no backward follows, after which the weights would be let go
        cast(FSDPModule, root).reshard()
    return cast(Answer, answer)


def share_buffers(network: nn.Module) -> None:
    """Gives all processes the buffers of the first one (BatchNorm's statistics), as data parallel training does."""
    if ROOT in network.__dict__:
        _from_first(network.buffers())


def _from_first(tensors: Iterable[Tensor]) -> None:
    with torch.no_grad():
        for tensor in tensors:
            sent = tensor.contiguous()
            distributed.broadcast(sent, 0)
            tensor.copy_(sent)


def whole(state: Any) -> Any:
    """The same state without tensors that are cut up: these are gathered on the CPU, each once, by all processes together."""
    known: dict[int, Tensor] = {}

    def gathered(value: Any) -> Any:
        if isinstance(value, DTensor):
            if id(value) not in known:
                known[id(value)] = _gathered(value).cpu()
            return known[id(value)]
        if isinstance(value, dict):
            return {key: gathered(each) for key, each in value.items()}
        if isinstance(value, list):
            return [gathered(each) for each in value]
        return value.detach() if isinstance(value, Tensor) else value

    return gathered(state)


def _gathered(value: DTensor) -> Tensor:
    with torch.no_grad():
        return value.full_tensor()


def cut(value: Tensor, like: Any) -> Tensor:
    """This process's part of a whole tensor, where the one that it is for is cut up."""
    if not isinstance(like, DTensor):
        return value
    given = value.to(like.device, like.dtype)
    return distribute_tensor(given, like.device_mesh, like.placements, src_data_rank=None)


def load(module: nn.Module, state: dict[str, Any]) -> None:
    """Loads a whole state into a module that may be cut up."""
    own = module.state_dict(keep_vars=True)
    module.load_state_dict({name: cut(value, own.get(name)) for name, value in state.items()})


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Loads a whole state into the optimiser of parameters that may be cut up."""
    optimizer.load_state_dict(state)
    for parameter, held in optimizer.state.items():
        for name, value in held.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                held[name] = cut(value, parameter)


@contextmanager
def held_whole(module: nn.Module) -> Iterator[None]:
    """A module's own parameters are whole in here, and what was written to them is cut up again in the end."""
    own: dict[str, Any] = {name: value for name, value in module._parameters.items() if isinstance(value, DTensor)}
    for name, value in own.items():
        module._parameters[name] = nn.Parameter(_gathered(value), value.requires_grad)
    try:
        yield
    finally:
        for name, value in own.items():
            written = cast(Tensor, module._parameters[name]).detach()
            value.detach().copy_(cut(written, value))
            module._parameters[name] = value


def local(tensors: list[Any]) -> list[Tensor]:
    """The parts of tensors that this process holds."""
    return [each.to_local() if isinstance(each, DTensor) else each for each in tensors]


class WholeCheckpoints:
    """What a strategy of Lightning's must do otherwise, so that checkpoints are those of a single process.

    Its own leaves frozen parameters out of count where it numbers the optimiser's state.
    """

    restore_checkpoint_after_setup = False
    lightning_restore_optimizer = True
    lightning_module: Any
    checkpoint_io: Any
    optimizers: Any

    def lightning_module_state_dict(self) -> dict[str, Any]:
        return cast(dict[str, Any], whole(self.lightning_module.state_dict(keep_vars=True)))

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        return cast(dict[str, Any], whole(optimizer.state_dict()))

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        return cast(dict[str, Any], self.checkpoint_io.load_checkpoint(checkpoint_path, weights_only=weights_only))

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        load(self.lightning_module, checkpoint["state_dict"])

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            load_optimizer(optimizer, state)

"""Networks of segmentation-models-pytorch, an optional package: learned peers that are the field's own and not ours."""

from __future__ import annotations

from typing import cast

from torch import nn

from benchmarks.errors import BenchmarkError, unknown

MULTIPLE = 32
"""By how much the encoders divide height and width."""


def packaged(model: str, kind: str, encoder: str, pretrained: bool, channels: int, classes: int = 1) -> nn.Module:
    """The package's class `kind`: images [n, channels, h, w] -> logits [n, classes, h, w]; sides are multiples of 32.

    With `pretrained` the encoder begins with weights of ImageNet, which are downloaded. Raises BenchmarkError, which calls the
    network `model`, where the package is absent or has no such encoder.
    """
    try:
        import segmentation_models_pytorch as smp
    except ModuleNotFoundError as error:
        raise BenchmarkError(
            f"Model '{model}' needs a package that is not installed: {error.name}. "
            "Type: pip install segmentation-models-pytorch (or install this project with its extra `unet`)."
        ) from error
    names = smp.encoders.get_encoder_names()
    if encoder not in names:
        raise unknown(f"encoder of model {model}:", encoder, names)
    weights = "imagenet" if pretrained else None
    return cast(nn.Module, getattr(smp, kind)(encoder, encoder_weights=weights, in_channels=channels, classes=classes))

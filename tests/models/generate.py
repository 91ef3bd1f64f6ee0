#!/usr/bin/env python3
"""Makes models of well-known architectures with random weights and a reference of each.

    python3 generate.py OUT [NAME …]

Writes OUT/NAME/model.onnx and OUT/NAME/reference.npz (inputs as `in:NAME`, outputs of eager PyTorch as
`out:NAME`). Seeds are fixed, nothing is downloaded. Needs torch, torchvision, transformers, onnx and onnxscript.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402

OPSET = 18
SEED = 7


class LastHidden(torch.nn.Module):
    """A transformers encoder that returns one tensor."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids, attention_mask):
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def vision(name):
    """An ImageNet classifier. Running statistics are random too, so that batch normalisation is not the identity."""
    import torchvision

    model = getattr(torchvision.models, name)(weights=None)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model, {"x": torch.randn(1, 3, 224, 224)}, "logits", {"x": {0: "batch"}}


def bert(**config):
    """A BERT encoder over 128 tokens of which the last eight are masked."""
    from transformers import BertConfig, BertModel

    config = BertConfig(attn_implementation="eager", **config)
    model = LastHidden(BertModel(config, add_pooling_layer=False))
    ids = torch.randint(0, config.vocab_size, (1, 128))
    mask = torch.ones(1, 128, dtype=torch.int64)
    mask[:, -8:] = 0
    axes = {0: "batch", 1: "sequence"}
    inputs = {"input_ids": ids, "attention_mask": mask}
    return model, inputs, "last_hidden_state", {"input_ids": axes, "attention_mask": axes}


TINY = dict(hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512, vocab_size=1000)

MODELS = {
    "resnet50": lambda: vision("resnet50"),
    "mobilenet_v2": lambda: vision("mobilenet_v2"),
    "bert_base": lambda: bert(),
    "bert_tiny": lambda: bert(**TINY),
}


def export(name, folder):
    torch.manual_seed(SEED)
    model, inputs, output, axes = MODELS[name]()
    model.eval()
    folder.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        expected = model(*inputs.values())
        torch.onnx.export(
            model,
            tuple(inputs.values()),
            str(folder / "model.onnx"),
            input_names=list(inputs),
            output_names=[output],
            dynamic_shapes=tuple(axes[key] for key in inputs),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    arrays = {f"in:{key}": value.numpy() for key, value in inputs.items()}
    arrays[f"out:{output}"] = expected.numpy()
    np.savez(folder / "reference.npz", **arrays)
    print(f"{name}: {(folder / 'model.onnx').stat().st_size} bytes")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    names = sys.argv[2:] or list(MODELS)
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        sys.exit(f"no model is called {unknown[0]}; there are: {', '.join(MODELS)}")
    for name in names:
        export(name, Path(sys.argv[1]) / name)


if __name__ == "__main__":
    main()

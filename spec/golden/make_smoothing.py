"""Cross entropy with label smoothing and class weights, and its gradient, as PyTorch computes them in double.

Writes smoothing.safetensors beside this file: scores 5,4; labels (from 1) 5; weights 4; and for each case
NAME/loss, NAME/gradient, NAME/share.
"""
import os
import torch
from safetensors.torch import save_file

generator = torch.Generator().manual_seed(1)
scores = 3 * torch.randn(5, 4, generator=generator, dtype=torch.double)
labels = torch.tensor([0, 3, 1, 1, 2])
weights = torch.tensor([0.5, 2.0, 1.25, 0.1], dtype=torch.double)
tensors = {"scores": scores, "labels": labels + 1, "weights": weights}
for share in (0.1, 0.75):
    for is_weighted in (False, True):
        for reduction in ("mean", "sum"):
            x = scores.clone().requires_grad_()
            loss = torch.nn.functional.cross_entropy(
                x, labels, weights if is_weighted else None, reduction=reduction, label_smoothing=share)
            loss.backward()
            name = f"{share}_{'weighted' if is_weighted else 'plain'}_{reduction}"
            tensors[name + "/loss"] = loss.detach().reshape(1)
            tensors[name + "/gradient"] = x.grad
save_file(tensors, os.path.join(os.path.dirname(os.path.abspath(__file__)), "smoothing.safetensors"))

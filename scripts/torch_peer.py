#!/usr/bin/env python3
"""What densenet is timed beside: the same networks and training step in PyTorch, of which nothing else is needed.

    python3 torch_peer.py --device cuda --depth 100 --growth 12 --batch 64 --precision bf16 --format nhwc
    python3 torch_peer.py --device cuda --blocks 6,12,24,16 --growth 32 --size 224 --classes 1000 --batch 128
    python3 torch_peer.py --all --device cuda --seconds 150      every configuration that there is time for

Prints a line of JSON for each configuration: median_s, min_s, first_s (seconds of a step: forward, cross-entropy,
backward, Nesterov SGD), peak_mb (of a GPU's tensors; else null), peer (its name and version), and the options. A
configuration that fails prints its error instead, and the next one follows.
"""
import argparse
import itertools
import json
import time

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

PRECISIONS = ["float", "tf32", "bf16", "half"]


def read_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--depth", type=int, default=100, help="of a network with three blocks")
    parser.add_argument("--blocks", default="", help="layers of each block instead, such as 6,12,24,16")
    parser.add_argument("--growth", type=int, default=12)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--memory", choices=["standard", "efficient"], default="standard")
    parser.add_argument("--format", choices=["nchw", "nhwc"], default="nchw")
    parser.add_argument("--precision", choices=PRECISIONS, default="float")
    parser.add_argument("--compile", choices=["none", "default", "reduce-overhead", "max-autotune"], default="none")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--all", action="store_true", help="formats, compilations and precisions, one after the other")
    parser.add_argument("--seconds", type=float, default=1e9, help="with --all: begin none after so long")
    return parser.parse_args()


class Layer(nn.Module):
    """Bottleneck and 3x3 convolution, each behind norm and ReLU. Takes all features of its block so far."""

    def __init__(self, channels, growth, efficient):
        super().__init__()
        self.first = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True),
                                   nn.Conv2d(channels, 4 * growth, 1, bias=False))
        self.second = nn.Sequential(nn.BatchNorm2d(4 * growth), nn.ReLU(inplace=True),
                                    nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False))
        self.efficient = efficient

    def squeeze(self, *features):
        return self.first(torch.cat(features, 1))

    def forward(self, features):
        kept = checkpoint(self.squeeze, *features, use_reentrant=False) if self.efficient else self.squeeze(*features)
        return self.second(kept)


class DenseBlock(nn.Module):
    def __init__(self, channels, growth, n_layers, efficient):
        super().__init__()
        self.layers = nn.ModuleList(Layer(channels + i * growth, growth, efficient) for i in range(n_layers))

    def forward(self, x):
        features = [x]
        for layer in self.layers:
            features.append(layer(features))
        return torch.cat(features, 1)


def network(a):
    blocks = [int(n) for n in a.blocks.split(",")] if a.blocks else [(a.depth - 4) // 6] * 3
    channels = 2 * a.growth
    if a.size <= 64:
        parts = [nn.Conv2d(3, channels, 3, padding=1, bias=False)]
    else:
        parts = [nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(channels),
                 nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2, padding=1)]
    for i, n_layers in enumerate(blocks):
        if i > 0:
            parts += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.Conv2d(channels, channels // 2, 1, bias=False),
                      nn.AvgPool2d(2)]
            channels //= 2
        parts.append(DenseBlock(channels, a.growth, n_layers, a.memory == "efficient"))
        channels += n_layers * a.growth
    return nn.Sequential(*parts, nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(channels, a.classes))


def measure(a):
    on_gpu = a.device.startswith("cuda")
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = a.precision == "tf32"
    layout = torch.channels_last if a.format == "nhwc" else torch.contiguous_format
    net = network(a).to(device=a.device, memory_format=layout).train()
    run = net if a.compile == "none" else torch.compile(net, mode=a.compile)
    images = torch.randn(a.batch, 3, a.size, a.size, device=a.device).contiguous(memory_format=layout)
    labels = torch.randint(a.classes, (a.batch,), device=a.device)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    narrow = {"bf16": torch.bfloat16, "half": torch.float16}.get(a.precision)
    kind = "cuda" if on_gpu else "cpu"
    scaler = torch.amp.GradScaler(kind, enabled=on_gpu and a.precision == "half")

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(kind, dtype=narrow or torch.bfloat16, enabled=narrow is not None):
            loss = functional.cross_entropy(run(images).float(), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    def seconds():
        if on_gpu:
            torch.cuda.synchronize()
        start = time.perf_counter()
        step()
        if on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter() - start

    warm = [seconds() for _ in range(max(1, a.warmup))]
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    timed = sorted(seconds() for _ in range(a.steps))
    peak_mb = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else None
    return dict(median_s=timed[len(timed) // 2], min_s=timed[0], first_s=warm[0], peak_mb=peak_mb)


def report(a):
    found = dict(kind="peer", peer="torch " + torch.__version__, **vars(a))
    try:
        found.update(measure(a))
    except Exception as error:  # out of memory, or a compiler that is not there: the others still count
        found["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    print(json.dumps(found), flush=True)
    return "error" not in found


def main():
    a = read_arguments()
    if not a.all:
        raise SystemExit(0 if report(a) else 1)
    start = time.monotonic()
    ways = [("nchw", "none", "standard"), ("nhwc", "none", "standard"), ("nchw", "reduce-overhead", "standard"),
            ("nhwc", "reduce-overhead", "standard"), ("nchw", "none", "efficient")]
    for (form, compilation, memory), precision in itertools.product(ways, ["bf16", "tf32", "float"]):
        if time.monotonic() - start > a.seconds:
            print(f"left out for want of time: {form}, {compilation}, {memory}, {precision}", flush=True)
            continue
        one = argparse.Namespace(**vars(a))
        one.format, one.compile, one.memory, one.precision = form, compilation, memory, precision
        torch._dynamo.reset()
        if a.device.startswith("cuda"):
            torch.cuda.empty_cache()
        report(one)


main()

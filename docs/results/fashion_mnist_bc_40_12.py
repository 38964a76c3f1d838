"""DenseNet-BC(40,12) on Fashion-MNIST in PyTorch by the recipe of main.lua: the peer of fashion-mnist-bc-40-12.md.

  python fashion_mnist_bc_40_12.py DATA START.safetensors EPOCHS SEED

DATA has the four idx files; START is the network to begin with (names are torchvision's), of which the
weights count: main.lua saved it after an epoch of one batch with a learning rate of 1e-30. The learning rate is that of
30 epochs, of which EPOCHS are trained. Prints the test error in % after each.
"""
import gzip, math, os, sys, time
import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torchvision.models import DenseNet

directory, start, n_epochs, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
BATCH, PLANNED_EPOCHS, LR, PADDING = 64, 30, 0.1, 4


def idx(name):
    path = os.path.join(directory, name)
    with (open(path, "rb") if os.path.exists(path) else gzip.open(path + ".gz")) as file:
        data = file.read()
    n_dim = data[3]
    size = [int.from_bytes(data[4 + 4 * d:8 + 4 * d], "big") for d in range(n_dim)]
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=4 + 4 * n_dim).reshape(size).copy())


def augment(images, rng):
    """Zeros around (of the normalised image), a random crop of the old size, a mirror half of the time."""
    n, _, h, w = images.shape
    padded = nn.functional.pad(images, [PADDING] * 4)
    out = torch.empty_like(images)
    top, left, flip = (torch.randint(2 * PADDING + 1, (n,), generator=rng), torch.randint(2 * PADDING + 1, (n,), generator=rng),
                       torch.rand(n, generator=rng) < 0.5)
    for i in range(n):
        crop = padded[i, :, top[i]:top[i] + h, left[i]:left[i] + w]
        out[i] = crop.flip(-1) if flip[i] else crop
    return out


def densenet():
    net = DenseNet(growth_rate=12, block_config=(6, 6, 6), num_init_features=24, num_classes=10)
    net.features.conv0 = nn.Conv2d(1, 24, 3, padding=1, bias=False)
    del net.features.norm0, net.features.relu0, net.features.pool0
    weights = {name: value for name, value in load_file(start).items() if "running" not in name}
    missing, unknown = net.load_state_dict(weights, strict=False)
    assert not unknown and all("running" in name or "num_batches" in name for name in missing), (missing, unknown)
    return net


torch.manual_seed(seed)
rng = torch.Generator().manual_seed(seed)
train, labels = idx("train-images-idx3-ubyte")[:, None].float(), idx("train-labels-idx1-ubyte").long()
test, test_labels = idx("t10k-images-idx3-ubyte")[:, None].float(), idx("t10k-labels-idx1-ubyte").long()
mean, std = train.mean(), train.std(unbiased=False)
train, test = (train - mean) / std, (test - mean) / std
net = densenet()
optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=0.9, nesterov=True, weight_decay=1e-4)
n_batches = math.ceil(len(train) / BATCH)
for epoch in range(n_epochs):
    begin, total = time.perf_counter(), 0.0
    net.train()
    order = torch.randperm(len(train), generator=rng)
    for i in range(n_batches):
        share = (epoch * n_batches + i) / (PLANNED_EPOCHS * n_batches)
        optimizer.param_groups[0]["lr"] = LR * 0.5 * (1 + math.cos(math.pi * share))
        chosen = order[i * BATCH:(i + 1) * BATCH]
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(net(augment(train[chosen], rng)), labels[chosen])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(chosen)
    net.eval()
    with torch.inference_mode():
        wrong = sum((net(test[i:i + 500]).argmax(1) != test_labels[i:i + 500]).sum().item() for i in range(0, len(test), 500))
    print(f"epoch {epoch + 1}: loss {total / len(train):.4f}, test error {100 * wrong / len(test):.2f} %, "
          f"{time.perf_counter() - begin:.0f} s", flush=True)

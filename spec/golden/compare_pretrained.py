"""Logits of DenseNet-121 on photos, torchvision's and timm's beside densenet's own, from the same files.

    python spec/golden/compare_pretrained.py photo.jpg ...          (from the checkout, after `make`)

No published weights are needed: a network with random weights of the usual scale is given running statistics from
random crops of the photos, so that activations and logits have the sizes that a trained one has. It is saved as
safetensors under the names of torchvision (today's and those of before 2018, and with a `module.` prefix), timm and
MONAI, and with torch.save. Both sides read the photo's file: the whole pipeline is compared, decoding and resizing included. The figure
is the largest difference of logits over the largest logit; needs torch, torchvision, timm, safetensors, pillow.
"""

import json
import re
import subprocess
import sys
import tempfile

import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file

LUA = """
local dn = require "densenet"
local model = assert(dn.models.load(arg[1], { preprocess = arg[2] }))
local rows = {}
for i = 3, #arg do rows[#rows + 1] = model:forward(assert(model:preprocess(arg[i]))):view(-1):totable() end
print(dn.json.encode(rows))
"""


def calibrate(model, photos):
    """Running statistics as a pass over random crops leaves them."""
    crop = torchvision.transforms.Compose([
        torchvision.transforms.RandomResizedCrop(224), torchvision.transforms.ToTensor(),
        torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            with torch.no_grad():
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
    model.train()
    with torch.no_grad():
        model(torch.stack([crop(photo) for photo in photos for _ in range(16 // len(photos) + 1)]))
        model.classifier.weight.mul_(20)  # logits of the size that a trained network's have
        model.classifier.bias.normal_()
    return model.eval()


def old(name):
    return re.sub(r"(denselayer\d+\.(?:norm|relu|conv))([12])\.", r"\1.\2.", name)


def monai(name):
    return re.sub(r"(denselayer\d+)\.", r"\1.layers.", name).replace("classifier.", "class_layers.out.")


def ours(path, recipe, photos):
    environment = subprocess.run(["make", "-s", "env"], capture_output=True, text=True, check=True).stdout
    script = tempfile.NamedTemporaryFile("w", suffix=".lua")
    script.write(LUA)
    script.flush()
    run = subprocess.run(["sh", "-c", environment + 'exec lua5.4 "$@"', "sh", script.name, path, recipe, *photos],
                         capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stderr)
    return torch.tensor(json.loads(run.stdout))


def main():
    torch.manual_seed(1)
    photos = sys.argv[1:]
    images = [Image.open(path).convert("RGB") for path in photos]
    model = calibrate(torchvision.models.densenet121(weights=None), images)
    state = model.state_dict()
    timm_model = timm.create_model("densenet121", pretrained=False)
    timm_model.load_state_dict(state)
    timm_model.eval()
    config = dict(input_size=(3, 224, 224), interpolation="bicubic", crop_pct=0.875, mean=(0.485, 0.456, 0.406),
                  std=(0.229, 0.224, 0.225))
    sides = {
        "torchvision": (model, torchvision.models.DenseNet121_Weights.IMAGENET1K_V1.transforms()),
        "timm": (timm_model, timm.data.create_transform(**config)),
    }
    files = {
        "torchvision": ("torchvision", state),
        "torchvision, names of before 2018": ("torchvision", {old(name): t for name, t in state.items()}),
        "torchvision, module. prefix, no num_batches_tracked":
            ("torchvision", {"module." + n: t for n, t in state.items() if not n.endswith("num_batches_tracked")}),
        "MONAI's names": ("torchvision", {monai(name): t for name, t in state.items()}),
        "timm": ("timm", timm_model.state_dict()),
        "torchvision, .pth of today": ("torchvision", state),
        "torchvision, .pth of before 2020, old names": ("torchvision", {old(name): t for name, t in state.items()}),
    }
    worst = 0
    with tempfile.TemporaryDirectory() as directory, torch.no_grad():
        for title, (recipe, tensors) in files.items():
            path = directory + ("/model.pth" if ".pth" in title else "/model.safetensors")
            if ".pth" in title:
                torch.save(tensors, path, _use_new_zipfile_serialization="today" in title)
            else:
                save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, {"format": "pt"})
            network, transform = sides[recipe]
            expected = torch.stack([network(transform(image)[None])[0] for image in images])
            got = ours(path, recipe, photos)
            share = ((got - expected).abs().max() / expected.abs().max()).item()
            worst = max(worst, share)
            print(f"{title}: {share:.1e} of the largest logit, {expected.abs().max().item():.1f}; "
                  f"same first class on {(got.argmax(1) == expected.argmax(1)).sum().item()} of {len(photos)} photos")
    sys.exit(worst > 1e-4)


if __name__ == "__main__":
    main()

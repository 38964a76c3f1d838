"""A tiny DenseNet of torchvision and what it says of a photo: logits, ten-crop logits, a class activation map.

    python spec/golden/make_pretrained.py      (from the checkout; needs torch, torchvision, pillow, safetensors)

Writes spec/golden/pretrained.safetensors, the weights under torchvision's names, and pretrained_says.safetensors:
`<filter>/logits` and `<filter>/ten_crops` (the sum over torchvision's ten crops) for bilinear and bicubic scaling,
`bilinear/pool5` the classifier's input, `bilinear/cam` the map of class 1: the rectified last feature map times the
classifier's row.
"""

import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torchvision import transforms
from torchvision.transforms import InterpolationMode

torch.manual_seed(3)
net = torchvision.models.DenseNet(growth_rate=4, block_config=(2, 2), num_init_features=8, num_classes=6).eval()
out = {}
with torch.no_grad():
    for name, tensor in list(net.named_parameters()) + list(net.named_buffers()):
        if tensor.dtype != torch.long:
            isScale = "norm" in name and ("weight" in name or "var" in name)
            tensor.copy_(torch.rand_like(tensor) + 0.5 if isScale else torch.randn_like(tensor) * 0.3)
    photo = Image.open("spec/golden/images/cat_359x270.jpg").convert("RGB")
    normalize = transforms.Compose([transforms.ToTensor(),
                                    transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    for filter in "bilinear", "bicubic":
        scaled = transforms.Resize(256, interpolation=InterpolationMode(filter))(photo)
        x = normalize(transforms.CenterCrop(224)(scaled))[None]
        out[filter + "/logits"] = net(x)[0]
        out[filter + "/ten_crops"] = net(torch.stack([normalize(c) for c in transforms.TenCrop(224)(scaled)])).sum(0)
        if filter == "bilinear":
            maps = torch.relu(net.features(x))[0]
            out["bilinear/pool5"] = maps.mean((1, 2))
            out["bilinear/cam"] = (maps * net.classifier.weight[0][:, None, None]).sum(0)
save_file(net.state_dict(), "spec/golden/pretrained.safetensors", {"format": "pt"})
save_file({name: tensor.contiguous() for name, tensor in out.items()}, "spec/golden/pretrained_says.safetensors",
          {"torchvision": torchvision.__version__})

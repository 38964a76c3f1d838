#!/usr/bin/env python3
"""What torchvision and Pillow make of the three photos in this folder: pixels after Resize, CenterCrop and TenCrop, and
the logits of a tiny DenseNet. The cat is scikit-image's chelsea.png (CC0), the astronaut NASA's (public domain), both
cut and saved as JPEG of quality 80.

  python3 make_pipeline.py        writes expected.safetensors; made with Pillow 13.0, torchvision 0.29.2, torch 2.15

  PHOTO/FILTER/rows          3,32,224 byte: every seventh row of Resize(256, FILTER), CenterCrop(224)
  PHOTO/FILTER/mean          3: of all its pixels, normalised
  PHOTO/FILTER/logits        5: of the network for it; logits_ten: their sum over TenCrop(224)
  PHOTO/scale48_FILTER       Resize(48, FILTER), byte
  PHOTO/ten40                10,3,40,40 byte: of that, bicubic, TenCrop(40): top left, top right, bottom left, bottom right,
                             middle, then the same of the mirrored image
  PHOTO/normalized40         3,40,40: CenterCrop(40) of that, normalised
  PHOTO/upscaled             3,48,64 byte: a part of 32x24 pixels from (100, 100), made twice as large, bicubic
  edge/source, edge/HxW      hard edges, and resized, bicubic: where a sum leaves 0..255
  center_crop/HxW_to_SIDE    first row and column of CenterCrop, from 0
  net/KEY                    the network's weights, by torchvision's names
"""
import os
import numpy as np, torch, torchvision
from PIL import Image
from safetensors.torch import save_file
from torchvision import transforms as T
from torchvision.transforms import InterpolationMode as I

HERE = os.path.dirname(os.path.abspath(__file__))
normalize, pixels, out = T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), T.PILToTensor(), {}

torch.manual_seed(2)
net = torchvision.models.DenseNet(growth_rate=4, block_config=(2, 2), num_init_features=8, bn_size=4, num_classes=5).eval()
with torch.no_grad():
    for name, value in list(net.named_parameters()) + list(net.named_buffers()):
        if value.dtype != torch.long:
            is_scale = "norm" in name and ("weight" in name or "var" in name)
            value.copy_(torch.rand_like(value) + 0.5 if is_scale else torch.randn_like(value) * 0.3)
out.update({"net/" + k: v.clone() for k, v in net.state_dict().items() if v.dtype != torch.long})


def as_input(image):
    return normalize(T.ToTensor()(image))


for photo in ("cat_451x300", "astronaut_333x500", "cat_359x270"):
    image = Image.open(os.path.join(HERE, photo + ".jpg")).convert("RGB")
    for mode in ("bilinear", "bicubic"):
        scaled = T.Resize(256, interpolation=I(mode))(image)
        crop, key = T.CenterCrop(224)(scaled), f"{photo}/{mode}/"
        out[key + "rows"] = pixels(crop)[:, ::7].contiguous()
        out[key + "mean"] = as_input(crop).mean((1, 2))
        with torch.no_grad():
            out[key + "logits"] = net(as_input(crop)[None])[0]
            out[key + "logits_ten"] = net(torch.stack([as_input(c) for c in T.TenCrop(224)(scaled)])).sum(0)
        out[f"{photo}/scale48_{mode}"] = pixels(T.Resize(48, interpolation=I(mode))(image))
    small = T.Resize(48, interpolation=I.BICUBIC)(image)
    out[f"{photo}/ten40"] = torch.stack([pixels(c) for c in T.TenCrop(40)(small)])
    out[f"{photo}/normalized40"] = as_input(T.CenterCrop(40)(small))
    out[f"{photo}/upscaled"] = pixels(image.crop((100, 100, 132, 124)).resize((64, 48), Image.Resampling.BICUBIC))

for height, width, side in ((256, 341, 224), (256, 343, 224), (41, 40, 38), (43, 40, 38)):
    places = (torch.arange(height)[:, None] * 1000 + torch.arange(width)[None])[None]
    first = int(T.CenterCrop(side)(places)[0, 0, 0])
    out[f"center_crop/{height}x{width}_to_{side}"] = torch.tensor([first // 1000, first % 1000])

edge = np.zeros((20, 24, 3), np.uint8)
edge[5:15, 6:18] = 255
edge[10:, 12:, 1] = 128
out["edge/source"] = torch.from_numpy(edge.transpose(2, 0, 1).copy())
for width, height in ((12, 10), (48, 40), (17, 13)):
    out[f"edge/{height}x{width}"] = pixels(Image.fromarray(edge).resize((width, height), Image.Resampling.BICUBIC))

save_file({k: v.contiguous() for k, v in out.items()}, os.path.join(HERE, "expected.safetensors"))

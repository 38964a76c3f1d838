"""An ImageNet-like folder with what real ones have: 3 classes, stray files, capitals, nested folder, a link, a bad image; expected.json says what is to come out."""
import json, os
import numpy as np
from PIL import Image
OUT = os.path.dirname(os.path.abspath(__file__)); rng = np.random.default_rng(1)
def im(path, h, w, colour, fmt=None):
    path = os.path.join(OUT, path); os.makedirs(os.path.dirname(path), exist_ok=True)
    a = np.clip(np.array(colour) + rng.integers(-20, 20, (h // 8 + 1, w // 8 + 1, 1)), 0, 255).astype("u1"); Image.fromarray(a.repeat(8, 0).repeat(8, 1)[:h, :w]).save(path, fmt, **({"quality": 60} if (fmt or path[-3:].upper()) in ("JPG", "JPEG") else {}))
names = {"Zebra": (200, 200, 200), "apple": (200, 30, 30), "n01440764": (30, 120, 200)}
for split, n in (("train", 3), ("val", 1)):
    for c, col in names.items():
        for i in range(n): im(f"{split}/{c}/{i}.{'jpg' if i % 2 == 0 else 'png'}", 40 + 3 * i, 56 - 5 * i, col)
im("train/apple/photo.JPEG", 33, 47, (180, 40, 40), "JPEG"); im("train/apple/red/nested.bmp", 16, 16, (210, 20, 20)); im("train/apple/with space ü.ppm", 12, 12, (190, 20, 20)); im("train/Zebra/.hidden.jpg", 16, 16, (1, 1, 1)); im("train/Zebra/._0.jpg", 16, 16, (1, 1, 1))
w = lambda p, d=b"": (os.makedirs(os.path.dirname(os.path.join(OUT, p)), exist_ok=True), open(os.path.join(OUT, p), "wb").write(d))
w("train/apple/Thumbs.db", b"x"); w("train/apple/readme.txt", b"x"); w("train/.DS_Store", b"x"); w("train/labels.csv", b"x"); os.makedirs(os.path.join(OUT, "train/.git"), exist_ok=True); w("train/.git/config", b"x")
w("bad/train/a/0.jpg", b""); w("bad/train/b/readme.txt", b"only text"); w("bad/val/a/0.jpg", b"<html>")
w("classes_differ/train/a/.keep"); im("classes_differ/train/a/0.png", 8, 8, (9, 9, 9)); im("classes_differ/train/b/0.png", 8, 8, (9, 9, 9)); im("classes_differ/val/a/0.png", 8, 8, (9, 9, 9)); im("classes_differ/val/c/0.png", 8, 8, (9, 9, 9)); im("flat/0.png", 8, 8, (9, 9, 9))
json.dump({"classes": ["Zebra", "apple", "n01440764"], "order": "byte order of the names (C locale), as Python's sorted and LC_ALL=C; fb.resnet.torch sorted by find|sort",
  "train": {"Zebra": ["0.jpg", "1.png", "2.jpg"], "apple": ["0.jpg", "1.png", "2.jpg", "photo.JPEG", "red/nested.bmp", "with space ü.ppm"], "n01440764": ["0.jpg", "1.png", "2.jpg"]}, "val": {"Zebra": ["0.jpg"], "apple": ["0.jpg"], "n01440764": ["0.jpg"]},
  "skipped": "names that begin with a dot, other extensions; folders below a class belong to the class (torchvision: yes; fb.resnet.torch: find -maxdepth is unlimited there too)",
  "errors": {"bad": "class b has no images (train/b); and 0.jpg is empty when it is read", "classes_differ": "val has class c that train has not; train has b that val has not (the second is a warning)", "flat": "no train/ folder: expected train/<class>/<image>"}}, open(os.path.join(OUT, "expected.json"), "w"), indent=1, ensure_ascii=False)

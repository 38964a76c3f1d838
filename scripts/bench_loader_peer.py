"""What bench_loader.lua is measured beside: torchvision's pipelines on PIL images, one process, one thread.

Reads lines "JOB SECONDS RESULT_FILE" from its standard input; runs the job that long and writes "IMAGES SECONDS CPU_SECONDS"
into the file. argv: image files.
"""
import io, os, sys, time
import torch
from PIL import Image
from torchvision import transforms as T

torch.set_num_threads(1)
BICUBIC = T.InterpolationMode.BICUBIC
FINISH = [T.ToTensor(), T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]


def read(path):
    with open(path, "rb") as file:
        return Image.open(io.BytesIO(file.read())).convert("RGB")


JOBS = {
    "decode": lambda image: image,
    "bilinear": T.Compose([T.Resize(256), T.CenterCrop(224), *FINISH]),
    "bicubic": T.Compose([T.Resize(256, BICUBIC), T.CenterCrop(224), *FINISH]),
    # No lighting: torchvision has none.
    "train": T.Compose([T.RandomResizedCrop(224, interpolation=BICUBIC), T.ColorJitter(0.4, 0.4, 0.4), T.RandomHorizontalFlip(), *FINISH]),
    "trainbilinear": T.Compose([T.RandomResizedCrop(224), T.ColorJitter(0.4, 0.4, 0.4), T.RandomHorizontalFlip(), *FINISH]),
}
paths = sys.argv[1:]
for line in sys.stdin:
    name, seconds, result = line.split()
    job = JOBS[name]
    count, start, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < float(seconds):
        job(read(paths[count % len(paths)]))
        count += 1
    text = f"{count} {time.perf_counter() - start} {time.process_time() - cpu}\n"
    with open(result + ".part", "w") as file:
        file.write(text)
    os.rename(result + ".part", result)

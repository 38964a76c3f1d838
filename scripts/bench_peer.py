"""What bench.lua is measured beside: the same network and step in PyTorch, or its evaluation in onnxruntime.

argv: a JSON object (bench_peers.lua writes it). Reads lines "STEPS RESULT_FILE" from its standard input, takes that many
steps, and writes a JSON object into the file: seconds (of each step), rss_mb (the most memory of the process),
peak_mb (of a GPU's tensors, else null), version; or error.
"""
import json, os, sys, time, traceback

job = json.loads(sys.argv[1])
config = job["network"]
on_gpu = job["device"].startswith("cuda")
if not on_gpu:
    os.environ["OMP_NUM_THREADS"] = str(job["nCores"])
if job.get("tiles") == "avx2":  # as on a processor without AVX-512
    os.environ.update(ATEN_CPU_CAPABILITY="avx2", ONEDNN_MAX_CPU_ISA="AVX2", MKL_ENABLE_INSTRUCTIONS="AVX2")


def resident_mb():
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024


def densenet():
    """torchvision's own DenseNet; its first layers are exchanged for those that small images get."""
    from torch import nn
    from torchvision.models import DenseNet
    net = DenseNet(growth_rate=config["growthRate"], block_config=tuple(config["blocks"]),
                   num_init_features=config["initChannels"], num_classes=config["nClasses"],
                   drop_rate=config["dropRate"], memory_efficient=job["variant"] == "checkpoint")
    small = config["stem"] == "cifar"
    shape = dict(kernel_size=3, padding=1) if small else dict(kernel_size=7, stride=2, padding=3)
    net.features.conv0 = nn.Conv2d(config["inputChannels"], config["initChannels"], bias=False, **shape)
    if small:
        del net.features.norm0, net.features.relu0, net.features.pool0
    return net


def torch_step():
    import torch
    from torch import nn
    torch.manual_seed(0)
    if not on_gpu:
        torch.set_num_threads(job["nCores"])
    tf32 = job["precision"] == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    layout = torch.channels_last if job["variant"] != "nchw" else torch.contiguous_format
    real = torch.double if job["precision"] == "double" else torch.float
    net = densenet().to(device=job["device"], dtype=real, memory_format=layout)
    images = torch.randn(job["batchSize"], job["channels"], job["size"], job["size"]).to(
        device=job["device"], dtype=real, memory_format=layout)
    labels = torch.randint(config["nClasses"], (job["batchSize"],)).to(job["device"])
    run = torch.compile(net, mode="reduce-overhead" if on_gpu else "default") if job["variant"] == "compile" else net
    half = {"half": torch.half, "bfloat16": torch.bfloat16}.get(job["precision"])
    cast = lambda: torch.autocast("cuda" if on_gpu else "cpu", dtype=half, enabled=half is not None)
    if job["infer"]:
        net.eval()

        def step():
            with torch.inference_mode(), cast():
                run(images)
    else:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
        scaler = torch.amp.GradScaler("cuda" if on_gpu else "cpu", enabled=half is torch.half)

        def step():
            optimizer.zero_grad(set_to_none=True)
            with cast():
                loss = nn.functional.cross_entropy(run(images), labels)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()

    wait = torch.cuda.synchronize if on_gpu else lambda: None
    peak = (lambda: torch.cuda.max_memory_allocated() / 2**20) if on_gpu else lambda: None
    return step, wait, peak, "torch " + torch.__version__


def onnxruntime_step():
    import numpy, onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["nCores"]
    session = onnxruntime.InferenceSession(job["onnx"], options, providers=["CPUExecutionProvider"])
    images = numpy.random.default_rng(0).standard_normal(
        (job["batchSize"], job["channels"], job["size"], job["size"]), dtype=numpy.float32)
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: images}), lambda: None, lambda: None, "onnxruntime " + onnxruntime.__version__


def answer(n_steps, made):
    if not made:
        made.extend(onnxruntime_step() if job["variant"] == "onnxruntime" else torch_step())
    step, wait, peak, version = made
    seconds = []
    for _ in range(n_steps):
        start = time.perf_counter()
        step()
        wait()
        seconds.append(time.perf_counter() - start)
    return dict(seconds=seconds, rss_mb=resident_mb(), peak_mb=peak(), version=version)


made = []
for line in sys.stdin:
    n_steps, result = line.split()
    try:
        text = json.dumps(answer(int(n_steps), made))
    except Exception as error:
        traceback.print_exc()
        text = json.dumps(dict(error=f"{type(error).__name__}: {error}"))
    with open(result + ".part", "w") as file:
        file.write(text)
    os.rename(result + ".part", result)

"""Torch7 .t7 files, written from the format's description (no Torch code), with expected values and PyTorch's outputs.
Needs: numpy, torch (CPU), safetensors, torchfile (PyPI; an independent reader, for the cross-check)."""
import json, os, struct, sys
import numpy as np, torch, torch.nn.functional as F
from safetensors.numpy import save_file
OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "t7"); os.makedirs(OUT, exist_ok=True)
ELEM = {"Byte": "u1", "Char": "i1", "Short": "i2", "Int": "i4", "Long": "i8", "Float": "f4", "Double": "f8", "Half": "f2"}
CUDA = {"Cuda": "Float", "CudaDouble": "Double", "CudaHalf": "Half", "CudaLong": "Long", "CudaInt": "Int", "CudaShort": "Short", "CudaChar": "Char", "CudaByte": "Byte"}

class Storage:
    def __init__(s, kind, a): s.kind, s.a = kind, np.ascontiguousarray(a).reshape(-1)
class Tensor:            # a view: sizes, strides and offset in elements of its storage; storage None: empty tensor
    def __init__(s, kind, a=None, storage=None, size=None, stride=None, offset=0):
        s.kind = kind
        if storage is None and a is not None:
            a = np.asarray(a); storage = Storage(kind, a); size = a.shape
        s.storage, s.size, s.offset = storage, tuple(size or ()), offset
        s.stride = tuple(stride) if stride is not None else tuple(int(np.prod(s.size[i + 1:])) for i in range(len(s.size)))
class Obj:               # a Torch class instance whose payload is a table
    def __init__(s, cls, fields, version=1): s.cls, s.fields, s.version = cls, fields, version
class Func:              # type 8 (7: legacy) function, or 6 (no index)
    def __init__(s, code, upvalues, typ=8): s.code, s.up, s.typ = code, upvalues, typ
class Nil: pass

class Binary:
    def __init__(s, long=8, be=False): s.b, s.long, s.e = bytearray(), long, "<"
    def int(s, v): s.b += struct.pack("<i", v)
    def longs(s, v): s.b += b"".join(struct.pack("<q" if s.long == 8 else "<i", int(x)) for x in v)
    def double(s, v): s.b += struct.pack("<d", v)
    def chars(s, v): s.b += v
    def raw(s, kind, a): s.b += np.asarray(a).astype("<i4" if ELEM[kind] == "i8" and s.long == 4 else "<" + ELEM[kind]).tobytes()
class Ascii:             # the same tokens as text: arrays of numbers on a line, characters raw and a newline; nothing for empty arrays
    def __init__(s): s.b = bytearray()
    def int(s, v): s.b += b"%d\n" % v
    def longs(s, v): s.b += (" ".join("%d" % x for x in v) + "\n").encode() if len(v) else b""
    def double(s, v): s.b += ("%.17g\n" % v).encode()
    def chars(s, v): s.b += v + b"\n" if len(v) else b""
    def raw(s, kind, a):
        if len(a) == 0: return
        if kind in ("Byte", "Char"): s.chars(np.asarray(a).astype(ELEM[kind]).tobytes())
        else: s.b += (" ".join(("%.9g" if kind == "Float" else "%.17g" if kind == "Double" else "%d") % x for x in a) + "\n").encode()

class Writer:
    def __init__(s, out, versions=True): s.o, s.seen, s.keep, s.n, s.versions = out, {}, [], 0, versions
    def string(s, v): s.o.int(len(v)); s.o.chars(v)
    def head(s, x):      # True when the body has to follow
        if id(x) in s.seen: s.o.int(s.seen[id(x)]); return False
        s.n += 1; s.seen[id(x)] = s.n; s.keep.append(x); s.o.int(s.n); return True
    def cls(s, name, version=1):
        if s.versions: s.string(b"V %d" % version)
        s.string(name.encode())
    def write(s, x):
        if x is None or isinstance(x, Nil): s.o.int(0)
        elif isinstance(x, bool): s.o.int(5); s.o.int(int(x))
        elif isinstance(x, (int, float)): s.o.int(1); s.o.double(float(x))
        elif isinstance(x, (str, bytes)): s.o.int(2); s.string(x.encode() if isinstance(x, str) else x)
        elif isinstance(x, (dict, list)):
            s.o.int(3)
            if s.head(x):
                items = list(x.items()) if isinstance(x, dict) else [(i + 1, v) for i, v in enumerate(x)]
                items = [(k, v) for k, v in items if v is not None]
                s.o.int(len(items))
                for k, v in items: s.write(k); s.write(v)
        elif isinstance(x, Func):
            s.o.int(x.typ)
            if x.typ == 6: s.string(x.code); s.write(x.up)
            elif s.head(x): s.string(x.code); s.write(x.up)
        elif isinstance(x, Tensor):
            s.o.int(4)
            if s.head(x):
                s.cls(f"torch.{x.kind}Tensor"); s.o.int(len(x.size)); s.o.longs(x.size); s.o.longs(x.stride); s.o.longs([x.offset + 1]); s.write(x.storage)
        elif isinstance(x, Storage):
            s.o.int(4)
            if s.head(x):
                s.cls(f"torch.{x.kind}Storage"); s.o.longs([len(x.a)]); s.o.raw(CUDA.get(x.kind, x.kind), x.a)
        elif isinstance(x, Obj):
            s.o.int(4)
            if s.head(x): s.cls(x.cls, x.version); s.write(x.fields)
        else: raise TypeError(type(x))
def save(name, x, out=None, versions=True):
    w = Writer(out or Binary(), versions); w.write(x)
    open(os.path.join(OUT, name), "wb").write(w.o.b); return bytes(w.o.b)

# ---- 1. values and tensors of every type
expected, facts = {}, {}
vals = {}
for kind in list(ELEM) + list(CUDA):
    base = ELEM[CUDA.get(kind, kind)]
    a = (np.arange(6).reshape(2, 3) * (1.25 if base[0] == "f" else 1) - (0 if base[0] == "u" else 2)).astype(base)
    vals[kind] = Tensor(kind, a); expected[f"tensors.t7/{kind}"] = a
big = Storage("Float", np.arange(24, dtype="f4"))
vals["transposed"] = Tensor("Float", storage=big, size=(3, 2), stride=(1, 3), offset=4)          # a view with strides and an offset
expected["tensors.t7/transposed"] = np.array([[4, 7], [5, 8], [6, 9]], "f4")
vals["same_storage"] = Tensor("Float", storage=big, size=(4,), stride=(6,), offset=5); expected["tensors.t7/same_storage"] = np.array([5, 11, 17, 23], "f4")
vals["expanded"] = Tensor("Float", storage=big, size=(2, 3), stride=(0, 1), offset=1); expected["tensors.t7/expanded"] = np.array([[1, 2, 3], [1, 2, 3]], "f4")
vals["empty_no_storage"] = Tensor("Float"); vals["empty_with_storage"] = Tensor("Float", storage=Storage("Float", np.zeros(0, "f4")), size=())
vals["long_storage"] = Storage("Long", np.array([3, 2 ** 31 - 1, -5])); expected["tensors.t7/long_storage"] = np.array([3, 2 ** 31 - 1, -5])
t_bytes = save("tensors.t7", vals); save("tensors_long4.t7", vals, Binary(long=4)); save("tensors_ascii.t7", vals, Ascii()); save("tensors_noversion.t7", vals, versions=False)
for n in ("tensors_long4.t7", "tensors_ascii.t7", "tensors_noversion.t7"): facts[n] = {"expect": "the same values as tensors.t7"}

# ---- 2. tables, back references, cycles, functions, unknown classes
shared = {"x": 1.5, "s": "text \0 with a zero byte"}; cyc = {"name": "cycle"}; cyc["me"] = cyc
tree = {"a": shared, "b": shared, "list": [1, 2, 3, True, False, "six"], "cycle": cyc, 7: "number key", 2.5: "fraction key", True: "boolean key",
        "f": Func(b"\x1bLJ\x01 not real bytecode", [{"name": "_ENV"}, {"name": "up", "value": shared}]), "f7": Func(b"\x1bLua", [1, 2], 7),
        "unknown": Obj("my.SpecialLayer", {"weight": Tensor("Float", np.arange(4, dtype="f4")), "train": True}, 3), "after": "still readable", "nested": [[["deep"]]]}
tree["f_again"] = tree["f"]
save("tables.t7", tree)
save("function_type6.t7", [Func(b"\x1bLua", [], 6), "still readable"]); facts["function_type6.t7"] = {"expect": "{placeholder or nil, 'still readable'}: type 6 has NO index (torch7 File.lua), unlike 7 and 8"}
facts["tables.t7"] = {"a == b (same object)": True, "a.x": 1.5, "list": [1, 2, 3, True, False, "six"], "cycle.me == cycle": True, "keys": [7, 2.5, True], "functions f f7 f_again": "placeholders (or nil); never loaded",
                      "unknown": "table with __class 'my.SpecialLayer' (name yours), weight 0 1 2 3, train true", "after": "still readable", "nested[1][1][1]": "deep"}

# ---- 3. models
rng = np.random.default_rng(3)
class Net:
    """A tiny DenseNet: values by torchvision's name; builds the Torch7 trees."""
    def __init__(s, stem, blocks=(2, 2), k=4, init=8, classes=5, bottleneck=True):
        s.stem, s.blocks, s.k, s.bottleneck, s.w = stem, blocks, k, bottleneck, {}
        r = lambda *sh: (rng.standard_normal(sh) * np.sqrt(2 / np.prod(sh[1:]))).astype("f4")
        def bn(n, c): s.w.update({n + ".weight": rng.uniform(.5, 1.5, c).astype("f4"), n + ".bias": rng.uniform(-.3, .3, c).astype("f4"), n + ".running_mean": rng.uniform(-.2, .2, c).astype("f4"), n + ".running_var": rng.uniform(.5, 2, c).astype("f4")})
        s.w["features.conv0.weight"] = r(init, 3, 3, 3) if stem == "cifar" else r(init, 3, 7, 7)
        if stem == "imagenet": bn("features.norm0", init)
        c = init
        for b, n in enumerate(blocks, 1):
            for l in range(1, n + 1):
                p = f"features.denseblock{b}.denselayer{l}."; bn(p + "norm1", c)
                if bottleneck: s.w[p + "conv1.weight"] = r(4 * k, c, 1, 1); bn(p + "norm2", 4 * k); s.w[p + "conv2.weight"] = r(k, 4 * k, 3, 3)
                else: s.w[p + "conv1.weight"] = r(k, c, 3, 3)
                c += k
            if b < len(blocks): bn(f"features.transition{b}.norm", c); s.w[f"features.transition{b}.conv.weight"] = r(c // 2, c, 1, 1); c //= 2
        bn("features.norm5", c); s.w["classifier.weight"] = (rng.standard_normal((classes, c)) * .3).astype("f4"); s.w["classifier.bias"] = rng.uniform(-.1, .1, classes).astype("f4"); s.c = c
    def tree(s, memory=2, lib="cudnn", kind="Cuda", std=False, flat=False, conv_bias=None, conv2d=False, wrap=True, dropout=False):
        """memory 0-2: Sequential{Concat{Identity,Sequential}}; 3-4: DenseConnectLayerCustom + JoinTable."""
        # flat: all parameters are views of one storage, as after getParameters()
        names = [n for n in s.w if not n.endswith(("mean", "var"))]; store = Storage(kind, np.concatenate([s.w[n].ravel() for n in names])); at = dict(zip(names, np.cumsum([0] + [s.w[n].size for n in names])[:-1].tolist()))
        T = lambda n, sh=None: Tensor(kind, storage=store, size=sh or s.w[n].shape, offset=at[n]) if flat else Tensor(kind, s.w[n].reshape(sh or s.w[n].shape))
        E = lambda: Tensor(kind)
        m = lambda cls, version=1, **f: Obj(cls, {"output": E(), "gradInput": E(), "_type": f"torch.{kind}Tensor", "train": False, **f}, version)
        def conv(n, pad, stride=1):
            o, i, kh, kw = s.w[n].shape
            return m((lib + ".SpatialConvolution") if not conv2d else "nn.SpatialConvolutionMM", 1, nInputPlane=i, nOutputPlane=o, kW=kw, kH=kh, dW=stride, dH=stride, padW=pad, padH=pad, groups=1,
                     weight=T(n, (o, i * kh * kw) if conv2d else None), gradWeight=E(), bias=Tensor(kind, np.full(o, conv_bias, "f4")) if conv_bias is not None else None)
        def bn(n):
            f = dict(weight=T(n + ".weight"), bias=T(n + ".bias"), running_mean=Tensor(kind, s.w[n + ".running_mean"]), eps=1e-5, momentum=.1, affine=True, nDim=4)
            v = s.w[n + ".running_var"]
            f["running_std" if std else "running_var"] = Tensor(kind, (1 / np.sqrt(v.astype("f8") + 1e-5)).astype("f4") if std else v)
            return m(lib + ".SpatialBatchNormalization", 1 if std else 2, **f)
        relu = lambda: m(lib + ".ReLU", inplace=True, threshold=0, val=0, mode="CUDNN_ACTIVATION_RELU", nElem=1)
        seq = lambda *mods: m("nn.Sequential", modules=[x for x in mods if x])
        drop = lambda: m("nn.Dropout", p=.2, v2=True, noise=E()) if dropout else None
        def layer(p):
            a, b = [bn(p + "norm1"), relu()], ([conv(p + "conv1.weight", 0), drop(), bn(p + "norm2"), relu(), conv(p + "conv2.weight", 1), drop()] if s.bottleneck else [conv(p + "conv1.weight", 1), drop()])
            if memory >= 3: n1, n2 = seq(*a), seq(*b); return m("nn.DenseConnectLayerCustom", net1=n1, net2=n2, modules=[n1, n2], input_c=E(), saved_bn_running_mean=E(), saved_bn_running_var=E(), opt={"optMemory": memory, "growthRate": s.k, "tensorType": f"torch.{kind}Tensor"})
            cc = m("nn.Concat", modules=[m("nn.Identity"), seq(*a, *b)], dimension=2, size=Storage("Long", np.array([1, 12, 8, 8])))
            return seq(cc) if wrap else cc
        mods = [conv("features.conv0.weight", 1)] if s.stem == "cifar" else [conv("features.conv0.weight", 3, 2), bn("features.norm0"), relu(), m("nn.SpatialMaxPooling", kW=3, kH=3, dW=2, dH=2, padW=1, padH=1, indices=E())]
        for b, n in enumerate(s.blocks, 1):
            mods += [layer(f"features.denseblock{b}.denselayer{l}.") for l in range(1, n + 1)]
            if memory >= 3: mods.append(m("nn.JoinTable", dimension=2))
            if b < len(s.blocks): mods += [bn(f"features.transition{b}.norm"), relu(), conv(f"features.transition{b}.conv.weight", 0), m(lib + ".SpatialAveragePooling", kW=2, kH=2, dW=2, dH=2, padW=0, padH=0, mode="CUDNN_POOLING_AVERAGE")]
        mods += [bn("features.norm5"), relu(), m(lib + ".SpatialAveragePooling", kW=4, kH=4, dW=1, dH=1, padW=0, padH=0), m("nn.Reshape", size=Storage("Long", np.array([s.c])), nelement=s.c, batchsize=Storage("Long", np.array([1, s.c])), batchMode=None),
                 m("nn.Linear", weight=T("classifier.weight"), bias=T("classifier.bias"), gradWeight=E(), gradBias=E())]
        return seq(*[x for x in mods if x])

def dense(t): return torch.from_numpy(np.lib.stride_tricks.as_strided(t.storage.a[t.offset:], t.size, [4 * x for x in t.stride]).copy())
def run(o, x):           # evaluates the Torch7 tree with PyTorch, in evaluation mode
    f, c = o.fields, o.cls.split(".")[1]
    if c == "Sequential":
        for m in f["modules"]: x = run(m, x)
        return x
    if c == "Concat": return torch.cat([run(m, x) for m in f["modules"]], 1)
    if c == "DenseConnectLayerCustom":
        l = x if isinstance(x, list) else [x]
        return l + [run(f["net2"], run(f["net1"], torch.cat(l, 1)))]
    if c == "JoinTable": return torch.cat(x, 1)
    if c in ("Identity", "Dropout"): return x
    if c == "ReLU": return F.relu(x)
    if c.startswith("SpatialConvolution"): return F.conv2d(x, dense(f["weight"]).reshape(f["nOutputPlane"], f["nInputPlane"], f["kH"], f["kW"]), dense(f["bias"]) if f["bias"] else None, f["dW"], f["padW"])
    if c == "SpatialBatchNormalization": return F.batch_norm(x, dense(f["running_mean"]), dense(f["running_var"]) if "running_var" in f else dense(f["running_std"]) ** -2 - f["eps"], dense(f["weight"]), dense(f["bias"]), False, 0, f["eps"])
    if c == "SpatialMaxPooling": return F.max_pool2d(x, f["kW"], f["dW"], f["padW"])
    if c == "SpatialAveragePooling": return F.avg_pool2d(x, f["kW"], f["dW"])
    if c == "Reshape": return x.reshape(len(x), -1)
    if c == "Linear": return F.linear(x, dense(f["weight"]), dense(f["bias"]))
    raise KeyError(c)
x8 = torch.from_numpy(rng.standard_normal((2, 3, 8, 8)).astype("f4")); x32 = torch.from_numpy(rng.standard_normal((2, 3, 32, 32)).astype("f4"))
expected["input/cifar"], expected["input/imagenet"] = x8.numpy(), x32.numpy()
nets = {"cifar": Net("cifar"), "plain": Net("cifar", bottleneck=False, init=16), "imagenet": Net("imagenet")}
for n, net in nets.items():
    for k, v in net.w.items(): expected[f"weights/{n}/{k}"] = v
    y = run(net.tree(), x32 if n == "imagenet" else x8); expected[f"logits/{n}"] = y.numpy()
def model(name, net, **k):
    t = nets[net].tree(**k); y = run(t, x32 if net == "imagenet" else x8).numpy(); d = np.abs(y - expected[f"logits/{net}"]).max()
    facts[name] = {"weights": f"weights/{net}/*", "logits": f"logits/{net}", "tolerance": 1e-4 if k.get("std") else 1e-5, "tree": k}; assert d < 1e-4, (name, d); return t
b = save("model_cifar_concat_cuda.t7", model("model_cifar_concat_cuda.t7", "cifar", memory=2))
save("model_cifar_concat_float_nn.t7", model("model_cifar_concat_float_nn.t7", "cifar", memory=2, lib="nn", kind="Float", wrap=False, dropout=True))
save("model_cifar_custom.t7", model("model_cifar_custom.t7", "cifar", memory=4))
save("model_cifar_flat_double.t7", model("model_cifar_flat_double.t7", "cifar", memory=3, lib="nn", kind="Float", flat=True))
save("model_cifar_bn1_running_std.t7", model("model_cifar_bn1_running_std.t7", "cifar", memory=2, std=True))
os.rename(os.path.join(OUT, "model_cifar_flat_double.t7"), os.path.join(OUT, "model_cifar_flat.t7")); facts["model_cifar_flat.t7"] = facts.pop("model_cifar_flat_double.t7")
save("model_cifar_mm_zero_bias.t7", model("model_cifar_mm_zero_bias.t7", "cifar", memory=2, lib="nn", kind="Float", conv2d=True, conv_bias=0.0))
save("model_plain.t7", model("model_plain.t7", "plain", memory=2))
save("model_imagenet_custom.t7", model("model_imagenet_custom.t7", "imagenet", memory=3))
save("model_imagenet_concat.t7", model("model_imagenet_concat.t7", "imagenet", memory=2))
save("model_imagenet_long4.t7", model("model_imagenet_long4.t7", "imagenet", memory=2, lib="nn", kind="Float"), Binary(long=4))
save("checkpoint_with_function.t7", {"epoch": 3, "model": model("checkpoint_with_function.t7", "cifar", memory=2), "hook": Func(b"\x1bLJ\x02garbage", [{"name": "a", "value": 1}]), "opt": {"depth": 10}})
facts["checkpoint_with_function.t7"]["note"] = "the model is the field 'model' of a table; a function stands beside it"
t = nets["cifar"].tree(memory=2, conv_bias=0.5); save("model_conv_bias.t7", t)
facts["model_conv_bias.t7"] = {"error": "convolutions have non-zero biases, which a DenseNet of ours has not (or: fold them); must not be dropped silently"}
t = nets["cifar"].tree(memory=2); t.fields["modules"].insert(1, Obj("my.Squeeze", {"modules": []})); save("model_unknown_layer.t7", t)
facts["model_unknown_layer.t7"] = {"error": "readable as a table; as a model: 'my.Squeeze at modules[2] is no layer of a DenseNet'"}
t = nets["cifar"].tree(memory=2); t.fields["modules"].pop(); save("model_no_classifier.t7", t); facts["model_no_classifier.t7"] = {"error": "readable as a table; as a model: no classifier"}
for n, d, e in [("truncated_half.t7", b[: len(b) // 2], "truncated: says how many bytes were wanted and had"), ("truncated_int.t7", b[:2], "truncated"), ("empty.t7", b"", "empty"), ("text.t7", b"<html>Quota exceeded</html>\n" * 9, "not a .t7 file (Google Drive's quota page)"),
                ("bad_type.t7", struct.pack("<i", 9), "unknown type code 9 at byte 0"), ("huge_string.t7", struct.pack("<ii", 2, 2 ** 31 - 1) + b"abc", "string of 2147483647 bytes in a file of 11"), ("negative_string.t7", struct.pack("<ii", 2, -5) + b"abc", "damaged"),
                ("huge_table.t7", struct.pack("<iii", 3, 1, 2 ** 31 - 1) + bytes(16), "damaged or truncated; no memory taken for 2^31 entries"),
                ("deep.t7", b"".join(struct.pack("<iiiid", 3, i + 1, 1, 1, 1.0) for i in range(3000)) + struct.pack("<i", 0), "3,000 nested tables: an error or a result, no stack overflow")]:
    open(os.path.join(OUT, n), "wb").write(d); facts[n] = {"error": e}
def tensor_file(sizes, strides, offset, n, data=b"\0" * 16, ref=2):
    w = Binary(); s = lambda x: (w.int(len(x)), w.chars(x)); w.int(4); w.int(1); s(b"V 1"); s(b"torch.FloatTensor"); w.int(len(sizes)); w.longs(sizes); w.longs(strides); w.longs([offset]); w.int(4); w.int(ref); s(b"V 1"); s(b"torch.FloatStorage"); w.longs([n]); w.chars(data); return bytes(w.b)
for n, d, e in [("tensor_beyond_storage.t7", tensor_file([2, 3], [3, 1], 1, 4), "a view of 6 elements of a storage of 4"), ("tensor_negative_stride.t7", tensor_file([2], [-1], 1, 4), "stride -1"), ("tensor_offset0.t7", tensor_file([2], [1], 0, 4), "storage offset 0"),
                ("tensor_overflow.t7", tensor_file([2 ** 62, 4], [1, 1], 1, 4), "sizes whose product overflows"), ("storage_huge.t7", tensor_file([2], [1], 1, 2 ** 40), "storage of 2^40 elements in a small file"), ("storage_is_tensor.t7", tensor_file([2], [1], 1, 4, ref=1), "the storage refers back to the tensor itself")]:
    open(os.path.join(OUT, n), "wb").write(d); facts[n] = {"error": e}
# our safetensors reader knows F64 F32 F16 BF16 I64 U8: narrower integers stand here as I64
save_file({k: v.astype("i8") if v.dtype.str[1:] in ("i1", "i2", "i4") else v for k, v in expected.items()}, os.path.join(OUT, "expected.safetensors"), metadata={"note": "tensors.t7/<key> values; weights/<net>/<torchvision name>; input/*, logits/*: PyTorch's evaluation of the tree", "torch": torch.__version__})
json.dump(facts, open(os.path.join(OUT, "expected.json"), "w"), indent=1)

# ---- cross-checks
import builtins; builtins.xrange = range   # torchfile 0.1.0 was written for Python 2
import torchvision, torchfile
tv = torchvision.models.DenseNet(growth_rate=4, block_config=(2, 2), num_init_features=8, bn_size=4, num_classes=5).eval()
print("torchvision keys", tv.load_state_dict({k: torch.from_numpy(v) for k, v in nets["imagenet"].w.items()}, strict=False))
print("torchvision logits vs tree", float((tv(x32).detach() - torch.from_numpy(expected["logits/imagenet"])).abs().max()))
for v in (True, False):     # torchfile knows no Half
    few = {k: t for k, t in vals.items() if "Half" not in k and k not in ("CudaLong",)}
    save("tmp.t7", few, versions=v)
    try: r = torchfile.load(os.path.join(OUT, "tmp.t7"), force_8bytes_long=True)
    except NotImplementedError as e: print("torchfile", e); continue
    n_same = 0
    for k in few:
        if f"tensors.t7/{k}" in expected: np.testing.assert_array_equal(r[k.encode()], expected[f"tensors.t7/{k}"]); n_same += 1
    print("torchfile reads", n_same, "tensors and storages equal, versions", v)
    os.remove(os.path.join(OUT, "tmp.t7"))
for n in sorted(os.listdir(OUT)):
    if not n.endswith(".t7"): continue
    try:
        r = torchfile.load(os.path.join(OUT, n), force_8bytes_long=("long4" not in n)); print(f"torchfile {n:36s} ok {type(r).__name__}")
        if n in ("tensors.t7", "tensors_noversion.t7"):
            for k in vals:
                if f"tensors.t7/{k}" in expected and k.encode() in r: np.testing.assert_array_equal(r[k.encode()], expected[f"tensors.t7/{k}"])
        if n == "model_imagenet_custom.t7": np.testing.assert_array_equal(r.modules[0].weight, nets["imagenet"].w["features.conv0.weight"])
        if n == "model_cifar_flat.t7": np.testing.assert_array_equal(r.modules[-1].weight, nets["cifar"].w["classifier.weight"])
    except BaseException as e: print(f"torchfile {n:36s} {type(e).__name__}: {str(e)[:90]}")

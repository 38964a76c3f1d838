"""PyTorch checkpoints: zip (>= 1.6) and legacy formats, old names, wrappers, views, dtypes, and files that must be refused.
Every value is in expected.safetensors under '<file>/<key as it should come out>'."""
import collections, io, json, os, pickle, struct, sys, zipfile
import numpy as np, torch, torchvision
from safetensors.torch import save_file
OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pth"); os.makedirs(OUT, exist_ok=True)
p = lambda n: os.path.join(OUT, n)
torch.manual_seed(5)
net = torchvision.models.DenseNet(growth_rate=4, block_config=(2, 2), num_init_features=8, bn_size=4, num_classes=5).eval()
with torch.no_grad():
    for n, b in list(net.named_parameters()) + list(net.named_buffers()):
        if b.dtype != torch.long: b.copy_(torch.rand_like(b) + .5 if ("norm" in n and ("weight" in n or "var" in n)) else torch.randn_like(b) * .3)
        else: b.fill_(1234)
sd = net.state_dict(); x = torch.randn(2, 3, 32, 32)
expected = {"input": x, "logits": net(x).detach()}
for k, v in sd.items(): expected["state/" + k] = v.clone()
facts = {}
def put(name, obj, note, legacy=False, **k):
    torch.save(obj, p(name), _use_new_zipfile_serialization=not legacy, **k); facts[name] = {"note": note, "weights": "state/*"}
import re
old = lambda k: re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", k)
od = collections.OrderedDict((old(k), v) for k, v in sd.items() if "num_batches" not in k)
put("state_dict_zip.pth", sd, "OrderedDict with _metadata, as torch.save(model.state_dict())")
put("state_dict_legacy.pth", sd, "the same before 1.6: five pickles, then the storages", legacy=True)
put("old_names_legacy.pth", od, "norm.1, conv.1 names, no num_batches_tracked, legacy: exactly the form of densenet121-a639ec97.pth", legacy=True)
# As PyTorch 0.1-0.3 wrote them (2017, the published densenet files' age): _rebuild_tensor (v1, four arguments), location 'cuda:0'
def v1(t, proto): return torch._utils._rebuild_tensor, (torch.storage.TypedStorage(wrap_storage=t.untyped_storage(), dtype=t.dtype, _internal=True), t.storage_offset(), tuple(t.size()), t.stride())
keep, keep2 = torch.Tensor.__reduce_ex__, torch.serialization.location_tag
torch.Tensor.__reduce_ex__, torch.serialization.location_tag = v1, lambda s: "cuda:0"
put("old_names_v1_cuda_legacy.pth", od, "as old_names_legacy, tensors by _rebuild_tensor (v1), storages tagged cuda:0", legacy=True)
torch.Tensor.__reduce_ex__, torch.serialization.location_tag = keep, keep2
def python2(name, items):     # Python 2's pickles: str as SHORT_BINSTRING, OrderedDict([[key, value], ...]) by REDUCE
    q = lambda b: b"U" + bytes([len(b)]) + b; i = lambda v: b"J" + struct.pack("<i", v); o = io.BytesIO(); o.write(pickle.dumps(0x1950a86a20f9469cfc6c, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True, "protocol_version": 1001, "type_sizes": {"int": 4, "long": 8, "short": 2}}, 2))
    o.write(b"\x80\x02ccollections\nOrderedDict\nq\0((lq\1")
    for n, (k, t) in enumerate(items): o.write(b"(l" + q(k.encode()) + b"ac" + b"torch._utils\n_rebuild_tensor\n((" + q(b"storage") + b"ctorch\nFloatStorage\n" + q(b"%d" % (94000000 + n)) + q(b"cuda:0") + i(t.numel()) + b"NtQK\0(" + b"".join(i(v) for v in t.shape) + b"t(" + b"".join(i(v) for v in t.stride()) + b"ttRaa")
    o.write(b"tR." + b"\x80\x02(l" + b"".join(q(b"%d" % (94000000 + n)) + b"a" for n in range(len(items))) + b".")
    for k, t in items: o.write(struct.pack("<q", t.numel()) + t.numpy().astype("<f4").tobytes())
    open(p(name), "wb").write(o.getvalue()); facts[name] = {"note": "as Python 2 and PyTorch 0.1 wrote it: opcodes LIST APPEND SHORT_BINSTRING, OrderedDict from a list of pairs, _rebuild_tensor v1, cuda:0", "weights": "state/*"}
python2("old_names_python2_legacy.pth", list(od.items()))
chk = torch.load(p("old_names_python2_legacy.pth"), map_location="cpu", weights_only=False); assert all(torch.equal(chk[k], v) for k, v in od.items())
chk = torch.load(p("old_names_v1_cuda_legacy.pth"), map_location="cpu", weights_only=False); assert all(torch.equal(chk[k], v) for k, v in od.items())
put("module_prefix_zip.pth", collections.OrderedDict(("module." + k, v) for k, v in sd.items()), "DataParallel")
put("nested_zip.pth", {"epoch": 7, "arch": "densenet121", "best_acc1": 71.25, "state_dict": collections.OrderedDict(("module." + old(k), v) for k, v in sd.items()), "optimizer": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": .1, "params": [0]}]}}, "pytorch/examples' imagenet checkpoint: nested, prefixed, old names")
put("nested_model_legacy.pth", {"model": dict(sd), "lr": 1e-3, "big": 1 << 70, "none": None, "t": (1, 2.5, "x"), "s": {1, 2}, "b": b"bytes", "flag": True}, "under 'model'; other values of every simple kind", legacy=True)
put("protocol4_zip.pth", dict(sd), "pickle protocol 4: FRAME, SHORT_BINUNICODE, MEMOIZE, STACK_GLOBAL", pickle_protocol=4)
base = torch.arange(60, dtype=torch.float32); views = {"whole": base, "offset": base[7:19], "strided": base.view(6, 10).t(), "part": base.view(6, 10)[2:4, 3:8], "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3),
    "param": torch.nn.Parameter(torch.ones(2, 2) * 3), **{str(t).split(".")[1]: (torch.arange(-2, 4) if t not in (torch.uint8, torch.bool) else torch.arange(6)).to(t) for t in (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)}}
for n, lg in (("views_zip.pth", False), ("views_legacy.pth", True)):
    torch.save(views, p(n), _use_new_zipfile_serialization=not lg); facts[n] = {"note": "views of one storage (offset, stride), 0-dim, empty, every dtype, nn.Parameter (_rebuild_parameter)", "weights": "views/*"}
for k, v in views.items(): expected["views/" + k] = v.detach().contiguous().clone()
# TorchScript and other zips
torch.jit.script(torch.nn.Linear(2, 2)).save(p("torchscript.pt")); facts["torchscript.pt"] = {"error": "a TorchScript archive (constants.pkl, code/): not a state dict"}
torch.save(net, p("whole_module.pth")); facts["whole_module.pth"] = {"error": "a pickled module: torchvision.models.densenet.DenseNet; save model.state_dict() instead"}
os.remove(p("whole_module.pth")) if os.path.getsize(p("whole_module.pth")) > 200000 else None
torch.save(net, p("whole_module_legacy.pth"), _use_new_zipfile_serialization=False); facts["whole_module_legacy.pth"] = {"note": "the same before 1.6: classes of modules are persistent ids, with their sources", "weights": "state/*"}
class Evil:
    def __init__(s, f, a): s.f, s.a = f, a
    def __reduce__(s): return s.f, s.a
mark = "touch /tmp/pth_was_executed"
evil = {"os_system": Evil(os.system, (mark,)), "eval": Evil(eval, ("__import__('os').system('%s')" % mark,))}
for n, e in evil.items():
    for lg in (False, True):
        f = f"evil_{n}_{'legacy' if lg else 'zip'}.pth"; torch.save({"state_dict": sd["classifier.bias"], "x": e}, p(f), _use_new_zipfile_serialization=not lg)
        facts[f] = {"error": f"names {e.f.__module__}.{e.f.__name__}, which no state dict needs; nothing is executed: /tmp/pth_was_executed must not exist afterwards"}
open(p("evil_plain_pickle.pth"), "wb").write(pickle.dumps(Evil(os.system, (mark,)), 2)); facts["evil_plain_pickle.pth"] = {"error": "refused: no torch file, and posix.system"}
# a getattr gadget through allowed names and INST/OBJ opcodes
open(p("evil_inst.pth"), "wb").write(b"(S'" + mark.encode() + b"'\nios\nsystem\n."); facts["evil_inst.pth"] = {"error": "opcode INST refused"}
z = open(p("state_dict_zip.pth"), "rb").read(); l = open(p("state_dict_legacy.pth"), "rb").read()
def raw(n, d, e): open(p(n), "wb").write(d); facts[n] = {"error": e}
raw("truncated_zip.pth", z[: len(z) * 2 // 3], "truncated: no end of central directory"); raw("truncated_legacy.pth", l[: len(l) * 2 // 3], "truncated: storage N wants B bytes"); raw("empty.pth", b"", "empty"); raw("text.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a Git LFS pointer, not the weights")
d = bytearray(z); i = z.find(b"FB") and z.rfind(b"PK\x01\x02"); d[i + 20 : i + 28] = struct.pack("<II", 2 ** 31, 2 ** 31); raw("zip_sizes_lie.pth", bytes(d), "an entry's size is beyond the file")
def pk(body): 
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w") as f: f.writestr("a/data.pkl", body); f.writestr("a/version", "3\n"); f.writestr("a/data/0", bytes(16)); f.writestr("a/byteorder", "little")
    return b.getvalue()
S = lambda key, n: b"(X\x07\0\0\0storagectorch\nFloatStorage\nX" + struct.pack("<I", len(key)) + key + b"X\x03\0\0\0cpuJ" + struct.pack("<i", n) + b"tQ"
T = lambda key, n, off, size, stride: b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(" + S(key, n) + b"J" + struct.pack("<i", off) + b"(" + b"".join(b"J" + struct.pack("<i", s) for s in size) + b"t(" + b"".join(b"J" + struct.pack("<i", s) for s in stride) + b"t\x89ccollections\nOrderedDict\n)RtRs."
raw("hand_written_ok.pth", pk(T(b"0", 4, 0, [2, 2], [2, 1])), None); facts["hand_written_ok.pth"] = {"note": "by hand: w = zeros 2x2 (checks the hand-writer)"}
for n, b, e in [("view_beyond_storage.pth", T(b"0", 4, 2, [2, 2], [2, 1]), "view of elements 2..5 of 4"), ("negative_stride.pth", T(b"0", 4, 0, [2, 2], [-1, 1]), "negative stride"), ("storage_longer_than_entry.pth", T(b"0", 400, 0, [2, 2], [2, 1]), "storage of 400 floats, entry of 16 bytes"),
                ("missing_storage.pth", T(b"9", 4, 0, [2, 2], [2, 1]), "no entry data/9"), ("path_in_key.pth", T(b"../0", 4, 0, [2, 2], [2, 1]), "storage key '../0'"), ("pickle_stack_underflow.pth", b"\x80\x02}s.", "damaged pickle"), ("pickle_memo_missing.pth", b"\x80\x02h\x05.", "damaged pickle: memo 5"),
                ("pickle_no_stop.pth", b"\x80\x02}", "damaged pickle: ends without STOP"), ("pickle_deep.pth", b"\x80\x02" + b"(" * 50000 + b"t" * 50000 + b".", "50,000 nested tuples: result or error, no stack overflow"), ("pickle_huge_long.pth", b"\x80\x02\x8b" + struct.pack("<i", 2 ** 31 - 1) + b"1.", "LONG4 of 2 GB in a short file")]:
    raw(n, pk(b), e)
ok = torch.load(p("hand_written_ok.pth"), weights_only=True); assert ok["w"].shape == (2, 2)
narrow = (torch.int8, torch.int16, torch.int32, torch.bool)   # our safetensors reader knows F64 F32 F16 BF16 I64 U8: these stand here as I64
save_file({k: (v.long() if v.dtype in narrow else v).contiguous() for k, v in expected.items()}, p("expected.safetensors"), metadata={"torch": torch.__version__})
for n in sorted(facts):
    if not os.path.exists(p(n)): continue
    if n.startswith("evil_plain") or "torchscript" in n: continue
    try: torch.load(p(n), map_location='cpu', weights_only=True); facts[n]["torch weights_only"] = "ok"
    except BaseException as e: facts[n]["torch weights_only"] = f"{type(e).__name__}: {(str(e).splitlines() or [''])[0][:110]}"
    print(f"{n:34s} {os.path.getsize(p(n)):7d} want {'error' if 'error' in facts[n] else 'ok':6s} torch: {facts[n]['torch weights_only'][:100]}")
assert not os.path.exists("/tmp/pth_was_executed")
json.dump(facts, open(p("expected.json"), "w"), indent=1)

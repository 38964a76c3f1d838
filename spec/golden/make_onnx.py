"""A tiny DenseNet as torch.onnx writes it (both exporters), its weights and logits, for comparison with our own export."""
import collections, os, warnings, numpy as np, onnx, torch, torchvision
from safetensors.torch import save_file
warnings.filterwarnings("ignore")
OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "onnx"); os.makedirs(OUT, exist_ok=True); p = lambda n: os.path.join(OUT, n)
torch.manual_seed(11)
net = torchvision.models.DenseNet(growth_rate=4, block_config=(2, 2), num_init_features=8, bn_size=4, num_classes=5).eval()
with torch.no_grad():
    for n, b in list(net.named_parameters()) + list(net.named_buffers()):
        if b.dtype != torch.long: b.copy_(torch.rand_like(b) + .5 if ("norm" in n and ("weight" in n or "var" in n)) else torch.randn_like(b) * .3)
x = torch.randn(3, 3, 32, 32); y = net(x).detach()
save_file({"input": x, "logits": y, **{"state/" + k: v.clone() for k, v in net.state_dict().items()}}, p("tiny.safetensors"))
def show(n):
    m = onnx.load(p(n)); onnx.checker.check_model(m, full_check=True)
    print(n, os.path.getsize(p(n)), "ir", m.ir_version, "opset", [(o.domain, o.version) for o in m.opset_import], dict(collections.Counter(k.op_type for k in m.graph.node)))
for opset in (13, 17):
    torch.onnx.export(net, x, p(f"torch_ts_opset{opset}.onnx"), opset_version=opset, input_names=["input"], output_names=["logits"], dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}}, dynamo=False, do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE)
    show(f"torch_ts_opset{opset}.onnx")
torch.onnx.export(net, x, p("torch_ts_opset17_folded.onnx"), opset_version=17, input_names=["input"], output_names=["logits"], dynamo=False); show("torch_ts_opset17_folded.onnx")
try:
    torch.onnx.export(net, (x,), p("torch_dynamo.onnx"), input_names=["input"], output_names=["logits"], dynamic_shapes=({0: torch.export.Dim("N", min=1, max=512)},), dynamo=True, external_data=False, verbose=False); show("torch_dynamo.onnx")
except Exception as e: print("dynamo exporter:", type(e).__name__, str(e)[:300])
m = onnx.load(p("torch_ts_opset17.onnx"))
for nd in m.graph.node[:8]: print(nd.op_type, list(nd.input), list(nd.output), {a.name: onnx.helper.get_attribute_value(a) for a in nd.attribute})
for nd in m.graph.node[-8:]: print(nd.op_type, list(nd.input), list(nd.output), {a.name: onnx.helper.get_attribute_value(a) for a in nd.attribute if a.type != 4})

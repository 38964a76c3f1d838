"""An ONNX file written with nothing but protobuf's wire format: onnx/by_hand.onnx, from the weights that make_onnx.py made.
check_onnx.py checks it."""
import os, struct
from safetensors.numpy import load_file
G = os.path.dirname(os.path.abspath(__file__))
def varint(v):
    v &= (1 << 64) - 1; o = b""
    while v > 127: o += bytes([v & 127 | 128]); v >>= 7
    return o + bytes([v])
I = lambda field, v: varint(field << 3) + varint(v)                      # int64, enum, bool
B = lambda field, d: varint(field << 3 | 2) + varint(len(d)) + d         # string, bytes, message, packed
S = lambda field, s: B(field, s.encode())
F = lambda field, v: varint(field << 3 | 5) + struct.pack("<f", v)       # float
D = lambda field, v: varint(field << 3 | 1) + struct.pack("<d", v)       # double
# AttributeProto: name 1, f 2, i 3, ints 8, type 20 (FLOAT 1, INT 2, INTS 7)
def attr(n, v):
    if isinstance(v, float): return S(1, n) + F(2, v) + I(20, 1)
    if isinstance(v, int): return S(1, n) + I(3, v) + I(20, 2)
    return S(1, n) + b"".join(I(8, x) for x in v) + I(20, 7)
t = load_file(os.path.join(G, "onnx", "tiny.safetensors")); w = {k[6:]: v for k, v in t.items() if k.startswith("state/") and "num_batches" not in k}
nodes, used = b"", []
def node(op, ins, out, **a):      # NodeProto: input 1, output 2, name 3, op_type 4, attribute 5; GraphProto.node 1
    global nodes
    used.extend(i for i in ins if i in w and i not in used)
    nodes += B(1, b"".join(S(1, i) for i in ins) + S(2, out) + S(3, out) + S(4, op) + b"".join(B(5, attr(k, v)) for k, v in a.items())); return out
conv = lambda x, n, pad, s=1: node("Conv", [x, n + ".weight"], n, dilations=[1, 1], group=1, kernel_shape=list(w[n + ".weight"].shape[2:]), pads=[pad] * 4, strides=[s, s])
def norm_relu(x, n): return node("Relu", [node("BatchNormalization", [x] + [f"{n}.{f}" for f in ("weight", "bias", "running_mean", "running_var")], n, epsilon=1e-5, momentum=0.9)], n + ".relu")
x = norm_relu(conv("input", "features.conv0", 3, 2), "features.norm0"); x = node("MaxPool", [x], "features.pool0", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
for b in (1, 2):
    for l in (1, 2):
        p = f"features.denseblock{b}.denselayer{l}."
        y = conv(norm_relu(conv(norm_relu(x, p + "norm1"), p + "conv1", 0), p + "norm2"), p + "conv2", 1); x = node("Concat", [x, y], p + "concat", axis=1)
    if b == 1: x = node("AveragePool", [conv(norm_relu(x, "features.transition1.norm"), "features.transition1.conv", 0)], "features.transition1.pool", kernel_shape=[2, 2], strides=[2, 2])
x = node("Flatten", [node("GlobalAveragePool", [norm_relu(x, "features.norm5")], "pool5")], "flatten", axis=1); node("Gemm", [x, "classifier.weight", "classifier.bias"], "logits", transB=1)
# TensorProto: dims 1, data_type 2 (FLOAT 1), name 8, raw_data 9; GraphProto: name 2, initializer 5, input 11, output 12
init = b"".join(B(5, b"".join(I(1, d) for d in w[n].shape) + I(2, 1) + S(8, n) + B(9, w[n].astype("<f4").tobytes())) for n in used)
# ValueInfoProto: name 1, type 2; TypeProto: tensor_type 1; Tensor: elem_type 1, shape 2; TensorShapeProto: dim 1; Dimension: dim_value 1, dim_param 2
value = lambda n, dims: S(1, n) + B(2, B(1, I(1, 1) + B(2, b"".join(B(1, S(2, d) if isinstance(d, str) else I(1, d)) for d in dims))))
graph = nodes + S(2, "densenet") + init + B(11, value("input", ["N", 3, 32, 32])) + B(12, value("logits", ["N", 5]))
# ModelProto: ir_version 1, producer_name 2, producer_version 3, graph 7, opset_import 8 (domain 1, version 2), metadata_props 14 (key 1, value 2)
model = I(1, 7) + S(2, "densenet") + S(3, "scm") + B(7, graph) + B(8, S(1, "") + I(2, 13)) + B(14, S(1, "classes") + S(2, '["a","b","c","d","e"]'))
open(os.path.join(G, "onnx", "by_hand.onnx"), "wb").write(model)

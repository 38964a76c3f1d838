"""SVHN-like MATLAB v5 files. X uint8 (32,32,3,N) column-major, y double or uint8 (N,1) in 1..10, 10 = digit 0."""
import os, struct, numpy as np, scipy.io
from safetensors.numpy import save_file
OUT = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(7); N = 6
X = rng.integers(0, 256, (32, 32, 3, N), dtype=np.uint8)
X = (X // 32 + np.arange(32, dtype=np.uint8)[:, None, None, None] * 6).astype(np.uint8)   # rows differ from columns, compresses
y = np.array([1, 9, 10, 3, 2, 10])
p = lambda n: os.path.join(OUT, n)
scipy.io.savemat(p("svhn_compressed.mat"), {"X": X, "y": y[:, None].astype(np.uint8)}, do_compression=True)
scipy.io.savemat(p("svhn_plain.mat"), {"X": X, "y": y[:, None].astype(np.uint8)}, do_compression=False)
scipy.io.savemat(p("svhn_y_first.mat"), {"y": y[:, None].astype(float), "X": X[..., :3]}, do_compression=False)   # wrong: y has 11, X 3
scipy.io.savemat(p("extra_variables.mat"), {"note": "text", "cell": np.array([1, "a"], dtype=object), "X": X, "s": {"a": 1.0}, "y": y[:, None].astype(float)}, do_compression=True)
scipy.io.savemat(p("missing_y.mat"), {"X": X}, do_compression=True)
scipy.io.savemat(p("label_0.mat"), {"X": X, "y": (y % 10)[:, None].astype(np.uint8)}, do_compression=True)
scipy.io.savemat(p("label_11.mat"), {"X": X, "y": (y + 1)[:, None].astype(np.uint8)}, do_compression=True)
scipy.io.savemat(p("wrong_shape.mat"), {"X": X[:31], "y": y[:, None].astype(np.uint8)}, do_compression=True)
scipy.io.savemat(p("x_double.mat"), {"X": X.astype(float), "y": y[:, None].astype(np.uint8)}, do_compression=True)
scipy.io.savemat(p("v4.mat"), {"y": y[:, None].astype(float)}, format="4")
b = open(p("svhn_compressed.mat"), "rb").read()
open(p("truncated_compressed.mat"), "wb").write(b[: len(b) * 2 // 3])
open(p("truncated_header.mat"), "wb").write(b[:100])
open(p("empty.mat"), "wb").write(b"")
open(p("hdf5_v73.mat"), "wb").write(b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + struct.pack("<H", 0x0200) + b"IM" + bytes(384) + b"\x89HDF\r\n\x1a\n" + bytes(64))
d = bytearray(b); d[400] ^= 0xFF; open(p("corrupt_zlib.mat"), "wb").write(d)
# big-endian uncompressed, written by hand
def el(t, data): return struct.pack(">II", t, len(data)) + data + bytes((-len(data)) % 8)
def arr(name, cls, typ, dims, data): return el(14, el(6, struct.pack(">II", cls, 0)) + el(5, struct.pack(f">{len(dims)}i", *dims)) + el(1, name.encode()) + el(typ, data))
open(p("big_endian.mat"), "wb").write(b"MATLAB 5.0 MAT-file, big-endian".ljust(116) + bytes(8) + struct.pack(">H", 0x0100) + b"MI"
    + arr("X", 9, 2, X.shape, X.tobytes("F")) + arr("y", 6, 2, (N, 1), y.astype(np.uint8).tobytes()))
# a matrix whose dimensions say more than the data has
open(p("bomb_dims.mat"), "wb").write(b"MATLAB 5.0 MAT-file".ljust(116) + bytes(8) + struct.pack("<H", 0x0100) + b"IM" + b"".join([
    (lambda body: struct.pack("<II", 14, len(body)) + body)(struct.pack("<IIII", 6, 8, 9, 0) + struct.pack("<IIiiii", 5, 16, 32, 32, 3, 2 ** 30) + struct.pack("<HH", 1, 1) + b"X\0\0\0" + struct.pack("<II", 2, 16) + bytes(16))]))
for n in ("svhn_compressed.mat", "svhn_plain.mat", "extra_variables.mat", "big_endian.mat"):
    m = scipy.io.loadmat(p(n)); assert (m["X"] == X).all() and (m["y"].ravel() == y).all(), n
save_file({"images": np.ascontiguousarray(X.transpose(3, 2, 0, 1)), "labels_file": y.astype(np.int64), "labels_torch": np.where(y == 10, 1, y + 1).astype(np.int64)}, p("expected.safetensors"),
          metadata={"images": "N,3,32,32: image n, channel c, row i, column j = X[i,j,c,n]", "labels_file": "as in the file, 10 is digit 0", "labels_torch": "1-based classes in the order digit 0..9: digit d is class d+1 (torchvision: 10 -> 0)"})
print(sorted((n, os.path.getsize(p(n))) for n in os.listdir(OUT)))

-- What a file is, from its beginning.
local fileKind = require "densenet.io.file_kind"
local json = require "densenet.io.json"
local temporary = require "spec.support.temporary"

local KINDS = {
  ["version https://example.org/spec/v1\noid sha256:0123\nsize 5\n"] = "a Git LFS pointer",
  ["PK\3\4\20\0"] = "a zip archive", ["PK\5\6\0\0"] = "an empty zip archive",
  ["\x80\2}q\1"] = "a Python pickle", ["\x80\4\x95"] = "a Python pickle",
  ["\4\0\0\0\1\0\0\0\3\0\0\0V 1"] = "a Torch7 file (.t7)", ["\3\0\0\0\1\0\0\0"] = "a Torch7 file (.t7)",
  ["4\n1\n3\nV 1\n"] = "a Torch7 file (.t7) in ASCII",
  ["\x1f\x8b\8\0"] = "gzip data", ["BZh91AY"] = "bzip2 data", ["\xfd7zXZ\0\0"] = "xz data",
  ["\x28\xb5\x2f\xfd\4"] = "Zstandard data", ["7z\xbc\xaf\x27\x1c\0"] = "a 7z archive",
  ["Rar!\x1a\7\0"] = "a RAR archive",
  ["\x89PNG\r\n\x1a\n\0\0"] = "a PNG image", ["\xff\xd8\xff\xe0"] = "a JPEG image", ["GIF89a"] = "a GIF image",
  ["RIFF1234WEBPVP8 "] = "a WebP image", ["II*\0\8\0"] = "a TIFF image", ["MM\0*\0\0"] = "a TIFF image",
  ["\0\0\0\x1cftypavif"] = "an AVIF image", ["\0\0\0\x18ftypheic"] = "a HEIC image",
  ["BM\x1e\x1f\0\0\0\0\0\0\x36\0"] = "a BMP image", ["P6\n61 43\n255\n"] = "a Netpbm image",
  ["P4 8 8 "] = "a Netpbm image",
  ["%PDF-1.7\n"] = "a PDF document", ["\x89HDF\r\n\x1a\n\0"] = "an HDF5 file",
  ["\x93NUMPY\1\0"] = "a NumPy array (.npy)", ["MATLAB 5.0 MAT-file, Platform"] = "a MATLAB file (.mat)",
  ["GGUF\3\0"] = "a GGUF file", ["\x7fELF\2"] = "a program or a library (ELF)",
  ["\0\0\8\3\0\0\xea\x60"] = "an IDX file", ["\0\0\x0d\1\0\0\0\1"] = "an IDX file",
  [string.pack("<s8", '{"a":')] = "a safetensors file",
  ['{"epoch": 3}'] = "JSON", ["{}"] = "JSON", [" [1, 2]"] = "JSON", ["[[]]"] = "JSON",
  ["<!DOCTYPE html>\n<html>"] = "an HTML page", ["\n <HTML><body>"] = "an HTML page",
  ["\xef\xbb\xbf<!-- a comment --><html>"] = "an HTML page",
  ['<?xml version="1.0"?><Error>'] = "XML", ["<Error><Code>AccessDenied</Code>"] = "XML",
  [("n"):rep(257) .. "ustar\00000"] = "a tar archive",
  [("\0"):rep(512)] = "nothing but zero bytes", [""] = "an empty file",
  ["Not found\r\nmore"] = 'text that begins "Not found"',
  [("word "):rep(20)] = 'text that begins "word word word word word word word wo..."',
}

describe("fileKind", function()
  it("knows what is often taken for another file", function()
    for start, kind in pairs(KINDS) do
      local found = fileKind.of(start)
      assert.is_truthy(found and found:sub(1, #kind) == kind, ("%q: %s"):format(start, found))
    end
  end)

  it("knows nothing of other bytes, whatever they are", function()
    for _, start in ipairs({ "\1\2\3\4", "\0\0\7\3", "text and \0", "\xff\xff\xff\xff\xff\xff\xff\xff{}", "\r\n" }) do
      assert.is_nil(fileKind.of(start))
    end
    for _ = 1, 5000 do
      local bytes = {}
      for i = 1, math.random(40) do bytes[i] = math.random(0, 255) end
      local kind = fileKind.of(string.char(table.unpack(bytes)))
      assert.is_true(kind == nil or type(kind) == "string")
    end
  end)

  it("reads a file's beginning, and nothing where it cannot", function()
    local directory = temporary.directory()
    assert.equal("a zip archive", fileKind.ofFile(temporary.write(directory .. "/a", "PK\3\4")):sub(1, 13))
    assert.equal("a safetensors file", fileKind.ofFile("spec/golden/bc.safetensors"))
    assert.is_nil(fileKind.ofFile(directory))
    assert.is_nil(fileKind.ofFile(directory .. "/missing"))
    temporary.remove(directory)
  end)

  it("explains a refusal by the file's kind, or by what the reader found", function()
    assert.equal("f: expected JSON, got a PNG image", fileKind.explain("f", "JSON", "wrong", "\x89PNG\r\n\x1a\n"))
    assert.equal("f: wrong", fileKind.explain("f", "JSON", "wrong", "\1\2\3"))
    assert.equal("f: wrong", fileKind.explain("f", "JSON", "wrong", json.encode({ a = 1 })))
    assert.equal("f: wrong", fileKind.explain("f", "JSON", "wrong", "{a: 1}"))
    assert.equal('f: expected an IDX file, got text that begins "{a: 1}"',
      fileKind.explain("f", "an IDX file", "wrong", "{a: 1}"))
  end)
end)

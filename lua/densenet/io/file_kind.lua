--- What a file is that is not what its reader expects. A reader that refuses a file's content asks
-- here first: "a Git LFS pointer" tells its owner more than the number that its bytes would be as a
-- header.
local core = require "densenet.core"

local fileKind = {}

local START_BYTES = 512

-- Patterns of a file's first bytes, in the order in which they are tried.
local KINDS = {
  { "^version %S+\noid sha256:%x", "a Git LFS pointer (a note of where the file is; `git lfs pull` fetches it)" },
  { "^PK\3\4", "a zip archive (torch.save's .pth and NumPy's .npz are such)" },
  { "^PK\5\6", "an empty zip archive" },
  { "^\x80[\2-\5]", "a Python pickle (older .pth files, and CIFAR's Python version, are such)" },
  { "^[\3\4]\0\0\0\1\0\0\0", "a Torch7 file (.t7)" },
  { "^[34]\n1\n", "a Torch7 file (.t7) in ASCII" },
  { "^\x1f\x8b", "gzip data" },
  { "^BZh[1-9]", "bzip2 data" },
  { "^\xfd7zXZ\0", "xz data" },
  { "^%(\xb5\x2f\xfd", "Zstandard data" },
  { "^7z\xbc\xaf\x27\x1c", "a 7z archive" },
  { "^Rar!\x1a\7", "a RAR archive" },
  { "^\x89PNG\r\n\x1a\n", "a PNG image" },
  { "^\xff\xd8\xff", "a JPEG image" },
  { "^GIF8[79]a", "a GIF image" },
  { "^RIFF....WEBP", "a WebP image" },
  { "^II%*\0", "a TIFF image" },
  { "^MM\0%*", "a TIFF image" },
  { "^....ftypavi[fs]", "an AVIF image" },
  { "^....ftyphei[cx]", "a HEIC image" },
  { "^BM....\0\0\0\0", "a BMP image" },
  { "^P[1-6][%s#]+%d", "a Netpbm image (PPM, PGM or PBM)" },
  { "^%%PDF%-", "a PDF document" },
  { "^\x89HDF\r\n\x1a\n", "an HDF5 file" },
  { "^\x93NUMPY", "a NumPy array (.npy)" },
  { "^MATLAB 5%.0 MAT%-file", "a MATLAB file (.mat)" },
  { "^GGUF", "a GGUF file" },
  { "^\x7fELF", "a program or a library (ELF)" },
  { "^\0\0[\8\9\x0b-\x0e][\1-\8]", "an IDX file" },
  { "^......\0\0{", "a safetensors file" },
  { "^%s*{%s*[\"}]", "JSON" },
  { "^%s*%[%s*[%[{\"%d%]-]", "JSON" },
  { "^\0+$", "nothing but zero bytes, as a download or a copy that broke off can leave them" },
}

local function isTar(start) return start:sub(258, 262) == "ustar" end

-- HTML may begin with a comment or in capitals, XML with a byte order mark.
local function isMarkup(start)
  local text = start:gsub("^\xef\xbb\xbf", ""):lower()
  if text:find("^%s*<!doctype html") or text:find("<html", 1, true) and text:find("^%s*<") then
    return "an HTML page (of a download that failed?)"
  end
  return text:find("^%s*<[?!%a]") and "XML"
end

-- Text in ASCII, of which a line is shown.
local function asText(start)
  if start:find("[^\t\n\r\32-\126]") then return nil end
  local line = start:match("^%s*([^\r\n]*)")
  if line == "" then return nil end
  return ("text that begins %q"):format(#line > 40 and line:sub(1, 37) .. "..." or line)
end

--- What content is, from its beginning.
-- @param start its first 512 bytes, or all of them when it has fewer
-- @return words for a sentence, such as "a PNG image"; nil when it is nothing that is known
function fileKind.of(start)
  if start == "" then return "an empty file" end
  for _, kind in ipairs(KINDS) do
    if start:find(kind[1]) then return kind[2] end
  end
  return isTar(start) and "a tar archive" or isMarkup(start) or asText(start) or nil
end

--- The same of a file.
-- @param path the file
-- @return words, or nil: also when the file cannot be read
function fileKind.ofFile(path)
  local size = core.file_size(path)
  local start = size and core.file_read(path, 0, math.min(size, START_BYTES))
  return start and fileKind.of(start) or nil
end

--- A reader's complaint about a file, which says what the file is where that is known.
-- @param path the file
-- @param expected what it should be: "a safetensors file"
-- @param complaint what the reader found wrong, for a file of no known kind
-- @param start (optional) the content's first bytes; the file's own when left out
function fileKind.explain(path, expected, complaint, start)
  local kind
  if start then kind = fileKind.of(start) else kind = fileKind.ofFile(path) end
  -- Of a damaged JSON text a line and a column say more than that it is text.
  local isExpected = kind == expected or expected == "JSON" and kind and kind:find("^text ")
  if not kind or isExpected then return ("%s: %s"):format(path, complaint) end
  return ("%s: expected %s, got %s"):format(path, expected, kind)
end

return fileKind

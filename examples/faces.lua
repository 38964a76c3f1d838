-- Real photos as folders of PNG files, to train a network further on: scikit-image's lfw_subset.npy, 100 faces of
-- Labeled Faces in the Wild (Huang et al. 2007) and 100 pieces of the photos' backgrounds, 25x25 grey pixels each.
--
--   eval $(make env); lua5.4 examples/faces.lua lfw_subset.npy [directory, "faces" by default]
--
-- The file is in the package scikit-image, skimage/data/lfw_subset.npy. Every fourth picture of each class goes to val,
-- the others to train. Then, from a network that has seen grey pictures before:
--
--   lua5.4 scripts/finetune.lua checkpoints faces -nEpochs 30
--   lua5.4 scripts/classify.lua checkpoints faces/val

local dn = require "densenet"

local path, directory = arg and arg[1], arg and arg[2] or "faces"
if not path then error("the file lfw_subset.npy expected: lua5.4 examples/faces.lua lfw_subset.npy [directory]", 0) end

-- NumPy's format, as far as this file needs it: 10 bytes and a text that says the type and sizes, then numbers.
-- Source: NEP 1, "A Simple File Format for NumPy Arrays".
local function readArray(name)
  local file = assert(io.open(name, "rb"))
  local content = file:read("a")
  file:close()
  local count, height, width = content:sub(1, 256):match("'shape': %((%d+), (%d+), (%d+)%)")
  if content:sub(1, 6) ~= "\x93NUMPY" or not count or not content:find("'<f8'", 1, true)
    or content:find("'fortran_order': True", 1, true) then
    error(name .. ": expected NumPy's format with 8-byte numbers in pictures x rows x columns", 0)
  end
  local start = 10 + string.unpack("<I2", content, 9)
  if #content - start ~= 8 * count * height * width then
    error(("%s: expected %d bytes of numbers, got %d"):format(name, 8 * count * height * width, #content - start), 0)
  end
  return tonumber(count), function(i)
    local rows, at = {}, start + 1 + 8 * height * width * (i - 1)
    for y = 1, height do
      rows[y] = { string.unpack("<" .. ("d"):rep(width), content, at) }
      at = table.remove(rows[y]) -- string.unpack gives where it stopped
    end
    return dn.tensor({ rows }, "float")
  end
end

local count, pictureOf = readArray(path)
local nSaved = { train = 0, val = 0 }
for i = 1, count do
  local class, split = i <= count // 2 and "face" or "background", i % 4 == 0 and "val" or "train"
  local folder = ("%s/%s/%s"):format(directory, split, class)
  if not os.execute(("mkdir -p '%s'"):format(folder)) then os.exit(1) end
  assert(dn.image.save(("%s/%03d.png"):format(folder, i), pictureOf(i)))
  nSaved[split] = nSaved[split] + 1
end
print(("%d pictures to train on and %d to test on in %s"):format(nSaved.train, nSaved.val, directory))

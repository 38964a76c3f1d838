--- torchvision's tiny DenseNet and its photo (spec/golden/make_pretrained.py).
local dn = require "densenet"

local pretrained = { photo = "spec/golden/images/cat_359x270.jpg" }

--- Does this build lack the library for the photo, or for PNG?
function pretrained.lacksFormats()
  for _, path in ipairs { pretrained.photo, "spec/golden/images/rgb8.png" } do
    local _, _, code = dn.image.load(path)
    if code == "unsupported" then return true end
  end
  return false
end

--- One of the file's tensors.
function pretrained.tensor(name)
  return (assert(dn.safetensors.load("spec/golden/pretrained_says.safetensors")))[name]
end

--- The network's state, under torchvision's names.
function pretrained.state()
  return (assert(dn.safetensors.load("spec/golden/pretrained.safetensors")))
end

--- Saves it into a directory.
-- @return the path
function pretrained.save(directory)
  local path = directory .. "/tiny.safetensors"
  assert(dn.safetensors.save(path, pretrained.state(), { format = "pt" }))
  return path
end

--- Raises unless no number differs by more than a share of the largest expected one.
function pretrained.assertClose(expected, actual, share)
  assert(table.concat(expected:size(), "x") == table.concat(actual:size(), "x"), "sizes differ")
  local difference, largest = (actual:double() - expected:double()):abs():max(), expected:double():abs():max()
  assert(difference <= share * largest, ("differs by %g of %g"):format(difference, largest))
end

return pretrained

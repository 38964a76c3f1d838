--- Comparison of tensors, and every tolerance of the specs.
-- An error is relative: the norm of the difference over the norm of what is right, in double. So
-- one figure serves any size and scale, and NaN anywhere makes the error NaN, which is never near.

local core = require "densenet.core"

local compare = {}

--- Allowed relative error of one operation's result in each dtype, against double.
-- float: a thousand terms, each off by half of 2^-24, summed in any order, stay below 2e-6.
-- half and bfloat16 are rounded once on the way out: 2^-11 and 2^-8 at most, and their inputs are
-- exact; long and byte have to be equal.
compare.tolerance = { double = 1e-13, float = 2e-6, half = 2 ^ -11, bfloat16 = 2 ^ -8, long = 0, byte = 0 }

--- float where factors of products are rounded to TF32: two factors, each off by 2^-11 at most.
compare.tf32 = 2 ^ -10

--- Central differences in double: the step squared (1e-4) times a third derivative of order 1, and
-- rounding over the step, 1e-16/1e-4.
compare.finite_difference = 1e-7

--- A contiguous copy in another dtype (by default the tensor's own).
function compare.clone(tensor, dtype)
  local copy = core.tensor_new(tensor:device(), dtype or tensor:dtype(), tensor:size())
  core.copy(copy, tensor)
  return copy
end

--- The tensor itself when it is on the CPU, else a copy there.
function compare.on_cpu(tensor)
  if tensor:device() == "cpu" then return tensor end
  local copy = core.tensor_new("cpu", tensor:dtype(), tensor:size())
  core.copy(copy, tensor)
  return copy
end

local function norm(tensor)
  local ones = {}
  for d = 1, tensor:dim() do ones[d] = 1 end
  local result = core.tensor_new("cpu", "double", ones)
  core.reduce(result, tensor, "norm", 2)
  return result:item()
end

local function check_same_size(a, b, what)
  local size_a, size_b = table.concat(a:size(), "x"), table.concat(b:size(), "x")
  if size_a ~= size_b then error(("%s: %s is compared with %s"):format(what, size_a, size_b), 0) end
end

--- |a - b| / |b|, or |a| where b is all zeros.
function compare.norm_error(a, b)
  check_same_size(a, b, "norm_error")
  local difference, right = compare.clone(compare.on_cpu(a), "double"), compare.clone(compare.on_cpu(b), "double")
  core.binary(difference, difference, right, "sub")
  local scale = norm(right)
  return norm(difference) / (scale > 0 and scale or 1)
end

--- Raises, with the figure, unless norm_error(a, b) is at most `tolerance`.
function compare.near(a, b, tolerance, what)
  check_same_size(a, b, what)
  local found = compare.norm_error(a, b)
  if found ~= found or found > tolerance then
    error(("%s: relative error %.3g, allowed %.3g"):format(what, found, tolerance), 0)
  end
end

local function flatten(nested, list)
  if type(nested) ~= "table" then
    list[#list + 1] = nested
  else
    for _, part in ipairs(nested) do flatten(part, list) end
  end
  return list
end

local function same_number(a, b, tolerance)
  if a ~= a or b ~= b then return a ~= a and b ~= b end
  if a == b then return true end
  return math.abs(a - b) <= tolerance * math.max(1, math.abs(b))
end

--- Every element within `tolerance` of a nested table of numbers, relative to numbers above 1.
-- NaN is equal to NaN here, and infinities to themselves.
function compare.values(tensor, expected, tolerance, what)
  local got, right = flatten(tensor:totable(), {}), flatten(expected, {})
  if #got ~= #right then
    error(("%s: %d elements, expected %d"):format(what, #got, #right), 0)
  end
  for i = 1, #right do
    if not same_number(got[i], right[i], tolerance) then
      error(("%s: element %d is %.17g, expected %.17g"):format(what, i, got[i], right[i]), 0)
    end
  end
end

--- Every element equal, without any tolerance.
function compare.identical(a, b, what)
  check_same_size(a, b, what)
  if a:nElement() == 0 then return end
  a, b = compare.on_cpu(a), compare.on_cpu(b)
  local ones = {}
  for d = 1, a:dim() do ones[d] = 1 end
  local differs, most = core.tensor_new("cpu", "byte", a:size()), core.tensor_new("cpu", "byte", ones)
  core.compare(differs, a, b, "ne")
  core.reduce(most, differs, "max")
  -- NaN differs from itself, so a difference is looked at again, one element at a time.
  if most:item() ~= 0 then compare.values(a, b:totable(), 0, what) end
end

return compare

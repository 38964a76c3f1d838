-- Random fills: the same numbers for any dtype, layout and number of threads. What the numbers are
-- like is asked in random_spec.

local operation = require "spec.support.operation"
local output = operation.output
local lists = operation.lists()
local case, wrong = lists.typed_case, lists.wrong

-- The words that Random123 publishes for philox4x32-10 with a key and counter of zeros.
local function fraction(high, low) return ((high << 32 | low) >> 11) * 2.0 ^ -53 end
local zeros = { fraction(0x6627e8d5, 0xe169c58d), fraction(0xbc57ac4c, 0x9b00dbd8) }

case("random_uniform", "published words", { output { 2 }, 0, 1, 0, 0, 0 }, { "double", "float" }, { zeros })
case("random_uniform", "published words, scaled", { output { 2 }, -1, 3, 0, 0, 0 }, { "double" },
  { { 4 * zeros[1] - 1, 4 * zeros[2] - 1 } })

-- Box-Muller, radius from the first uniform and angle from the second.
local radius, angle = math.sqrt(-2 * math.log(1 - zeros[1])), 2 * math.pi * zeros[2]
case("random_normal", "published words", { output { 2 }, 0, 1, 0, 0, 0 }, { "double", "float" },
  { { radius * math.cos(angle), radius * math.sin(angle) } })
case("random_normal", "published words, scaled", { output { 2 }, 10, 2, 0, 0, 0 }, { "double" },
  { { 10 + 2 * radius * math.cos(angle), 10 + 2 * radius * math.sin(angle) } })

for _, op in ipairs { "random_uniform", "random_normal" } do
  for _, n in ipairs { 1, 31, 32, 33, 70001 } do
    case(op, "length " .. n, { output { n }, 0.5, 2, 7, 3, 1000 })
  end
  for _, layout in ipairs { "channels", "gaps", "transposed", "images" } do
    case(op, layout, { output { 3, 5, 7, 11, layout = layout }, 0.5, 2, 7, 3, 2 ^ 40 | 0 })
  end
  case(op, "stored in few bits", { output { 33, 3 }, 0.5, 2, 7, 3, 0 }, { "half", "bfloat16" })
  case(op, "nothing", { output { 0 }, 0, 1, 1, 1, 1 })
  wrong(op, 1, { "y is long", "float, double, half or bfloat16" }, { output { 3, dtype = "long" }, 0, 1, 1, 1, 1 })
end
case("random_normal", "no deviation", { output { 3 }, 2, 0, 1, 0, 0 }, nil, { { 2, 2, 2 } })

wrong("random_uniform", 3, { "high is 1", "2 or more" }, { output { 3 }, 2, 1, 1, 1, 1 })
wrong("random_uniform", 2, { "low is %-?nan", "finite" }, { output { 3 }, 0 / 0, 1, 1, 1, 1 })
wrong("random_normal", 3, { "deviation is %-1", "0 or more" }, { output { 3 }, 0, -1, 1, 1, 1 })
wrong("random_normal", 2, { "mean is inf", "finite" }, { output { 3 }, math.huge, 1, 1, 1, 1 })

for _, n in ipairs { 2, 33, 40000 } do
  case("random_permutation", "of " .. n, { output { n, dtype = "long" }, 5, 6, 7 }, { "float" })
end
case("random_permutation", "of one", { output { 1, dtype = "long" }, 5, 6, 7 }, { "float" }, { { 1 } })
case("random_permutation", "of none", { output { 0, dtype = "long" }, 5, 6, 7 }, { "float" }, { {} })

wrong("random_permutation", 1, { "y is float", "expected long" }, { output { 3 }, 1, 1, 1 })
wrong("random_permutation", 1, { "y is 3x2", "1 dimension" }, { output { 3, 2, dtype = "long" }, 1, 1, 1 })

return lists

--- A data set of one's own: grey images of spirals, to be told apart by how many arms they have.
--
--    lua5.4 main.lua -dataset examples.spirals -netType preresnet -depth 8 -nEpochs 5
--
-- The module returns the set's definition (densenet.data.definitions has every field); main.lua finds it by
-- the name that `require` knows it by, so it may lie anywhere in package.path. This set has no files: each image
-- is drawn when it is asked for, by whichever thread loads it. A set that fits in memory would return an
-- ImageSet instead (lua/densenet/data/mnist.lua).
local dn = require "densenet"
local random = require "densenet.random"

local SIZE, N_ARMS, TURNS = 24, { 1, 2, 3 }, 2.5
local N_IMAGES = { train = 3000, test = 600 }
local SEED = { train = 1, test = 2 }

local Spirals = {}
Spirals.__index = Spirals

function Spirals:size() return N_IMAGES[self.split] end

-- Image i depends on the split and on i alone, so threads and runs see the same ones.
function Spirals:get(i)
  local generator = random.generator(SEED[self.split], i)
  local label = (i - 1) % #N_ARMS + 1
  local phase, turns = generator:uniform(0, 2 * math.pi), TURNS * generator:uniform(0.8, 1.2)
  local rows = {}
  for y = 1, SIZE do
    rows[y] = {}
    for x = 1, SIZE do
      local dx, dy = x - (SIZE + 1) / 2, y - (SIZE + 1) / 2
      local radius, angle = math.sqrt(dx * dx + dy * dy) / (SIZE / 2), math.atan(dy, dx)
      local wave = math.cos(N_ARMS[label] * angle + turns * math.pi * radius + phase)
      rows[y][x] = math.floor(127.5 + 97.5 * wave + generator:uniform(-30, 30))
    end
  end
  return { input = dn.tensor({ rows }, "byte"), target = label }
end

return {
  classes = { "one arm", "two arms", "three arms" },
  channels = 1, height = SIZE, width = SIZE,
  family = "cifar", -- flips and random crops
  epochs = 10,
  mean = { 127 }, std = { 71 },
  open = function(_, options) return setmetatable({ split = options.split }, Spirals) end,
}

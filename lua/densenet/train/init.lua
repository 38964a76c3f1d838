--- The training run, piece by piece; main.lua is their table of contents.
-- @module densenet.train

local argument = require "densenet.argument"

return argument.closed({
  claim = require "densenet.train.claim",
  capturing = require "densenet.train.capturing",
  checkpoint = require "densenet.train.checkpoint",
  criterion = require "densenet.train.criterion",
  Console = require "densenet.train.console",
  device = require "densenet.train.device",
  Feed = require "densenet.train.feed",
  generationRun = require "densenet.train.generation_run",
  launch = require "densenet.train.launch",
  Log = require "densenet.train.log",
  memory = require "densenet.train.memory",
  meters = require "densenet.train.meters",
  nextSteps = require "densenet.train.next_steps",
  network = require "densenet.train.network",
  options = require "densenet.train.options",
  origin = require "densenet.train.origin",
  program = require "densenet.train.program",
  ranks = require "densenet.train.ranks",
  Run = require "densenet.train.run",
  sources = require "densenet.train.sources",
  Trainer = require "densenet.train.trainer",
}, "dn.train")

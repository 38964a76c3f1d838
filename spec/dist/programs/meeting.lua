-- All ranks, as torchrun would start them: they meet at MASTER_ADDR by TCP, and each writes what it got into the file
-- met.RANK. Arguments: the options that all have to share, and a timeout.
local root = arg[0]:match "^(.*)/spec/" or "."
dofile(root .. "/scripts/setup.lua")
local ranks = require "densenet.dist.ranks"
local rendezvous = require "densenet.dist.rendezvous"

local place = assert(ranks.find())
local address, port = rendezvous.address(os.getenv)
local bytes, message = rendezvous.meet { address = assert(address, port), port = port, rank = place.rank,
  size = place.size, timeout = tonumber(arg[2]), seat = 0, options = arg[1]:gsub(";", "\n"),
  bytes = place.rank == 0 and ("of rank 0 "):rep(12) or nil }

local file = assert(io.open("met." .. place.rank, "w"))
file:write(bytes or message, "\n")
file:close()
os.exit(bytes and 0 or 1)

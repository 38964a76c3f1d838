-- Ranks that meet at an address: all of them in this process, each a little at a time.
local core = require "densenet.core"
local rendezvous = require "densenet.dist.rendezvous"

-- A port that nobody listens at now.
local port = 20000 + core.process_id() % 10000

local function nextPort()
  port = port + 1
  return port
end

local function open(rank, size, more)
  local wanted = { address = "127.0.0.1", port = port, rank = rank, size = size, timeout = 20, seat = 0,
    options = "growthRate 12\n", bytes = rank == 0 and ("id"):rep(64) or nil }
  for name, value in pairs(more or {}) do wanted[name] = value end
  return core.rendezvous_open(wanted)
end

-- Steps all until each has come to something: its results in a list each.
local function finish(all, seconds)
  local results, deadline = {}, core.clock() + (seconds or 20)
  while true do
    local nLeft = 0
    for i, each in ipairs(all) do
      if not results[i] then
        local result = table.pack(each:step(0.01))
        if result[1] == "waits" then nLeft = nLeft + 1 else results[i] = result end
        if result[1] == "differs" then each:close() end
      end
    end
    if nLeft == 0 then break end
    assert(core.clock() < deadline, "they do not come to an end")
  end
  for _, each in ipairs(all) do each:close() end
  return results
end

local function messages(results)
  local list = {}
  for i, result in ipairs(results) do list[i] = result[1] == nil and result[2] or result[1] end
  return list
end

-- Another program's connection, from a shell with bash's or perl's sockets: sends bytes and stays for some seconds.
local function stranger(bytes, seconds)
  return assert(core.process_spawn({ "perl", "-MIO::Socket::INET", "-e",
    [=[$s = IO::Socket::INET->new("127.0.0.1:$ARGV[0]") or die; syswrite $s, $ARGV[1]; sleep $ARGV[2]]=],
    tostring(port), bytes, tostring(seconds) }, { parentSignal = 9, errors = "null" }))
end

describe("a rendezvous", function()
  before_each(nextPort)

  it("gives rank 0's bytes to all", function()
    for _, size in ipairs { 2, 5 } do
      nextPort()
      local all = { assert(open(0, size)) }
      for rank = 1, size - 1 do all[rank + 1] = assert(open(rank, size)) end
      for _, result in ipairs(finish(all)) do assert.same({ "done", ("id"):rep(64) }, { result[1], result[2] }) end
    end
  end)

  it("waits for a rank 0 that comes late, and takes bytes of any kind", function()
    local bytes = ("\0\255\n"):rep(1000)
    local guest = assert(open(1, 2))
    for _ = 1, 30 do assert.equal("waits", (guest:step(0.02))) end
    local results = finish { assert(open(0, 2, { bytes = bytes })), guest }
    assert.same({ "done", bytes }, { results[2][1], results[2][2] })
  end)

  it("listens at the address it is told, and at no other", function()
    local host = assert(open(0, 2))
    local found = io.popen("cat /proc/net/tcp /proc/net/tcp6")
    local text = found:read "a"
    found:close()
    local listening = {}
    for address in text:gmatch((" (%%x+):%04X %%x+:0000 0A "):format(port)) do listening[#listening + 1] = address end
    host:close()
    assert.same({ "0100007F" }, listening)
  end)

  it("tells both sides which option differs", function()
    local guest = assert(open(1, 2, { options = "growthRate 24\n" }))
    local host = assert(open(0, 2))
    local deadline, state, text = core.clock() + 10, "waits", nil
    while state == "waits" and core.clock() < deadline do
      host:step(0.01)
      state, text = guest:step(0.01)
    end
    assert.same({ "differs", "growthRate 12\n" }, { state, text })
    local sentence = rendezvous.difference("growthRate 24\n", text, 1)
    assert.equal("rank 1 trains with -growthRate 24, rank 0 with 12", sentence)
    guest:complain(sentence)
    assert.same({ sentence }, messages(finish { host }))
    guest:close()
  end)

  it("ends with a sentence where a rank does not say what differs, and for the other ranks", function()
    local all = { assert(open(0, 3)), assert(open(1, 3, { options = "other 1\n" })), assert(open(2, 3)) }
    assert.same({ "rank 1 has other options than rank 0", "differs",
      "rank 2 of 3: rank 0 has ended the run: rank 1 has other options than rank 0" }, messages(finish(all)))
  end)

  it("names a rank that does not come", function()
    local all = { assert(open(0, 4, { timeout = 0.5 })), assert(open(2, 4)) }
    assert.same({ ("rank 0 of 4: ranks 1, 3 have not come to 127.0.0.1, port %d, within 0.5 s"):format(port),
      ("rank 2 of 4: rank 0 has ended the run: rank 0 of 4: ranks 1, 3 have not come to 127.0.0.1, port %d, "
        .. "within 0.5 s"):format(port) }, messages(finish(all)))
  end)

  it("refuses ranks that do not fit together", function()
    local results = messages(finish { assert(open(0, 2)), assert(open(1, 3)) })
    assert.equal("rank 1 says that there are 3 ranks, rank 0 says 2", results[1])
    assert.equal("rank 1 of 3: rank 0 has ended the run: " .. results[1], results[2])
    nextPort()
    results = messages(finish { assert(open(0, 3)), assert(open(1, 3)), assert(open(1, 3)) })
    assert.equal("two processes are rank 1 of 3", results[1])
    nextPort()
    local seat = { seat = 7 }
    results = messages(finish { assert(open(0, 3)), assert(open(1, 3, seat)), assert(open(2, 3, seat)) })
    assert.matches("^ranks 1 and 2 compute on one GPU of one machine: each needs its own", results[1])
    nextPort()
    results = messages(finish { assert(open(0, 2, { seat = 5 })), assert(open(1, 2, { seat = 5 })) })
    assert.matches("^ranks 0 and 1 compute on one GPU", results[1])
  end)

  it("is not disturbed by foreign bytes, by silence or by half a hello", function()
    local host = assert(open(0, 2))
    local strangers = { stranger("GET / HTTP/1.0\r\n\r\n", 1), stranger("", 30), stranger("dnrank?\n", 30),
      stranger(("x"):rep(5000), 30) }
    local since = core.clock()
    while core.clock() - since < 1 do assert.equal("waits", (host:step(0.05))) end
    local results = messages(finish({ host, assert(open(1, 2)) }, 3))
    assert.same({ "done", "done" }, results)
    for _, each in ipairs(strangers) do
      each:signal(9)
      repeat core.process_wait({}, 0.01) until each:look() ~= "runs"
    end
  end)

  it("counts connections that were no rank's", function()
    local host = assert(open(0, 2, { timeout = 1 }))
    local one = stranger("GET / HTTP/1.0\r\n\r\n", 0)
    assert.same({ ("rank 0 of 2: rank 1 has not come to 127.0.0.1, port %d, within 1 s; 1 connection was no rank's")
      :format(port) }, messages(finish { host }))
    repeat core.process_wait({}, 0.01) until one:look() ~= "runs"
  end)

  it("takes a rank that went and came again", function()
    local host = assert(open(0, 3))
    local first = assert(open(1, 3))
    for _ = 1, 40 do
      host:step(0.01)
      first:step(0.01)
    end
    first:close()
    for _ = 1, 10 do host:step(0.01) end
    assert.same({ "done", "done", "done" }, messages(finish { host, assert(open(1, 3)), assert(open(2, 3)) }))
  end)

  it("says what is wrong with an address or a port", function()
    local host <close> = assert(open(0, 2)) -- luacheck: ignore
    assert.same({ nil, ("rank 0 of 2: port %d of 127.0.0.1 is in use, perhaps by another run: choose another "
      .. "MASTER_PORT"):format(port), "io" }, { open(0, 2) })
    local _, message = open(0, 2, { address = "192.0.2.77" })
    assert.equal("rank 0 of 2: MASTER_ADDR 192.0.2.77 is no address of this machine, and rank 0 listens there", message)
    _, message = open(1, 2, { address = "no such name.invalid" })
    assert.matches("^no address is known of MASTER_ADDR 'no such name.invalid': ", message)
    nextPort()
    local silent = assert(open(1, 2, { timeout = 0.6 }))
    assert.same({ ("rank 1 of 2: rank 0 is not found at 127.0.0.1, port %d, within 0.6 s (Connection refused): is "
      .. "MASTER_ADDR the machine of rank 0, and does it run?"):format(port) }, messages(finish { silent }))
  end)

  it("does not take another program for rank 0", function()
    local program = assert(core.process_spawn({ "perl", "-MIO::Socket::INET", "-e",
      [[$l = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1:$ARGV[0]", ReuseAddr => 1) or die;
        $c = $l->accept; syswrite $c, "SSH-2.0-OpenSSH_9.2\r\n"; sleep 30]], tostring(port) }, { parentSignal = 9 }))
    assert.same({ ("rank 1 of 2: what answers at 127.0.0.1, port %d, is not rank 0 of densenet: is MASTER_PORT right?")
      :format(port) }, messages(finish { assert(open(1, 2)) }))
    program:signal(9)
    repeat core.process_wait({}, 0.01) until program:look() ~= "runs"
  end)
end)

describe("the address of a rendezvous", function()
  local function address(values) return rendezvous.address(function(name) return values[name] end) end

  it("is MASTER_ADDR and MASTER_PORT", function()
    assert.same({ "node1", 29500 }, { address { MASTER_ADDR = "node1" } })
    assert.same({ "10.0.0.1", 1234 }, { address { MASTER_ADDR = "10.0.0.1", MASTER_PORT = "1234" } })
    for _, text in ipairs { "0", "65536", "http", "-1", "99999999" } do
      assert.same({ nil, ("MASTER_PORT: expected 1 to 65535, got '%s'"):format(text), "usage" },
        { address { MASTER_ADDR = "a", MASTER_PORT = text } })
    end
    assert.same({ nil, "MASTER_ADDR is not set: the address of rank 0's machine, where the other ranks find it",
      "usage" }, { address {} })
  end)

  it("is the first machine of Slurm's list where MASTER_ADDR is not set", function()
    assert.equal("gpu03", address { SLURM_STEP_NODELIST = "gpu[03-07,09],other" })
    assert.equal("a1", address { SLURM_STEP_NODELIST = "a1,a2" })
    assert.equal("n", address { MASTER_ADDR = "n", SLURM_STEP_NODELIST = "a1" })
  end)
end)

describe("ranks' options", function()
  it("that differ are named", function()
    local difference = rendezvous.difference
    assert.equal("rank 3 trains with -LR 0.2, rank 0 with 0.1; rank 3 trains without -x, rank 0 with -x 4",
      difference("LR 0.2\na 1\n", "LR 0.1\na 1\nx 4\n", 3))
    assert.equal("rank 1 trains with -y 5, rank 0 without", difference("y 5\n", "", 1))
  end)
end)

describe("a rank's seat", function()
  local function seat(device, visible)
    return rendezvous.seat(device, function() return visible end)
  end

  it("is its GPU's, whatever its number is", function()
    assert.equal(0, seat "cpu")
    assert.equal(seat "cuda:1", seat("cuda:0", "1"))
    assert.equal(seat("cuda:1", "3,GPU-7"), seat("cuda:0", "GPU-7"))
    assert.not_equal(seat "cuda:0", seat "cuda:1")
  end)
end)

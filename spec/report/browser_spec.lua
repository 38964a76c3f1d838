-- The page in a browser: headless Chromium shows it without a complaint.
local core = require "densenet.core"
local report = require "densenet.report"
local smallRun = require "spec.support.small_run"
local temporary = require "spec.support.temporary"

local function find(...)
  for _, name in ipairs { ... } do
    local pipe = io.popen("command -v " .. name)
    local path = pipe:read "l"
    pipe:close()
    if path then return path end
  end
end

local browser = find("chromium", "chromium-browser", "google-chrome")

describe("the page of a report, in a browser", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  it("is shown, with its texts and pictures and without a complaint", function()
    if not browser then return pending "Chromium is not installed (apt-get install chromium)" end
    local path = directory .. "/run"
    assert(smallRun.go(smallRun.line .. path))
    assert(core.file_write(directory .. "/page.html", assert(report.page { path }), {}))
    local command = ("%s --headless --no-sandbox --disable-gpu --user-data-dir=%s/profile --enable-logging=stderr "
      .. "--virtual-time-budget=2000 --window-size=1280,2400 "):format(browser, directory)
    local pipe = assert(io.popen(("%s --dump-dom file://%s/page.html 2> %s/log"):format(command, directory, directory)))
    local dom = pipe:read "a"
    pipe:close()
    for _, words in ipairs { "Run run", "Error (top 1)", "what lives when", "Feature reuse", "</svg>" } do
      assert.is_truthy(dom:find(words, 1, true), words)
    end
    assert.is_nil(temporary.read(directory .. "/log"):find("CONSOLE", 1, true))
    os.execute(("%s --screenshot=%s/page.png file://%s/page.html 2> %s/log"):format(command, directory, directory,
      directory))
    local dn = require "densenet"
    local shot = assert(dn.image.load(directory .. "/page.png"))
    assert.same({ 3, 2400, 1280 }, shot:size())
    assert.is_true(shot:type("double"):std() > 5) -- something is drawn
  end)
end)

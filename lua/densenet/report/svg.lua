--- Drawings as SVG: elements written one after the other, and colours by name, which a light and a dark page give.
-- @module densenet.report.svg

local core = require "densenet.core"

local svg = {}

--- Colours and text of drawings, as CSS: s1 to s8 tell series apart, and differ in lightness where hues are alike.
svg.style = [[
:root{--ground:#fff;--ink:#1c2430;--quiet:#5b6675;--line:#d9dee5;--panel:#f6f7f9;
--s1:#1f6fb2;--s2:#c8521c;--s3:#2b8a4b;--s4:#8a4fbf;--s5:#97730f;--s6:#b5336f;--s7:#0f8a8a;--s8:#6b7280;
--low:#eef3f8;--high:#0b3d6e;--onHigh:#fff}
@media (prefers-color-scheme:dark){:root{--ground:#14181e;--ink:#e6e9ee;--quiet:#9aa5b4;--line:#333b46;--panel:#1b2129;
--s1:#6cb2f0;--s2:#f09a68;--s3:#6cc98a;--s4:#c49bf0;--s5:#d9bd5c;--s6:#f08ab8;--s7:#5ccfcf;--s8:#a3adba;
--low:#1d2733;--high:#8cc4f5;--onHigh:#0d1420}}
svg{font:13px system-ui,sans-serif;fill:var(--ink);max-width:100%;height:auto}
svg .title{font-size:15px;font-weight:600}svg .quiet{fill:var(--quiet)}svg .grid{stroke:var(--line);fill:none}
svg .axis{stroke:var(--quiet);fill:none}svg .series{fill:none;stroke-width:2;stroke-linejoin:round}]]

--- Text for an element or an attribute.
function svg.escape(text)
  return (tostring(text):gsub('[&<>"]', { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

--- The colour of the n-th series.
function svg.seriesColour(n) return ("var(--s%d)"):format((n - 1) % 8 + 1) end

local Drawing = {}
Drawing.__index = Drawing

--- Begins a drawing.
-- @tparam number width in CSS pixels
-- @tparam number height in CSS pixels
-- @tparam string title what it shows, for those who do not see it
function svg.drawing(width, height, title)
  return setmetatable({ width = width, height = height, title = title, parts = {} }, Drawing)
end

--- Adds an element as it stands, by a format of core.format.
function Drawing:add(format, ...) self.parts[#self.parts + 1] = core.format(format, ...) end

--- Adds text. anchor: "start", "middle", "end"; more: further attributes.
function Drawing:text(x, y, anchor, words, more)
  self:add('<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>', x, y, anchor, more and " " .. more or "",
    svg.escape(words))
end

--- Adds a rectangle with a text that shows when it is pointed at.
function Drawing:box(x, y, width, height, fill, words, more)
  self:add('<rect x="%.2f" y="%.2f" width="%.2f" height="%.2f" fill="%s"%s><title>%s</title></rect>', x, y, width,
    height, fill, more and " " .. more or "", svg.escape(words))
end

--- The element. @tparam[opt] boolean isDocument true: a file by itself, with its colours
function Drawing:element(isDocument)
  local open = core.format('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" '
    .. 'role="img" aria-label="%s">', self.width, self.height, self.width, self.height, svg.escape(self.title))
  local style = isDocument and { "<style>" .. svg.style .. "</style>",
    '<rect width="100%" height="100%" style="fill:var(--ground)"/>' } or {}
  return open .. "\n" .. table.concat(style, "\n") .. table.concat(self.parts, "\n") .. "\n</svg>\n"
end

return svg

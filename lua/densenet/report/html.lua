--- Pieces of HTML, and the frame of a page that needs nothing from elsewhere.
-- @module densenet.report.html

local core = require "densenet.core"
local svg = require "densenet.report.svg"

local html = { escape = svg.escape }

local style = svg.style .. [[

*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 24px 60px}h1{font-size:26px;margin:0 0 4px}
h2{font-size:19px;margin:40px 0 10px;padding-top:14px;border-top:1px solid var(--line)}
p{max-width:80ch;margin:8px 0}.quiet,caption{color:var(--quiet)}
.charts{display:flex;flex-wrap:wrap;gap:18px 26px;align-items:flex-start}.scroll{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
caption{text-align:left;padding-bottom:6px;white-space:nowrap}
th,td{padding:5px 12px 5px 0;text-align:left;vertical-align:top}
th{font-weight:600;border-bottom:1px solid var(--line);white-space:nowrap}
td{border-bottom:1px solid var(--line)}td.number,th.number{text-align:right}
.swatch{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:7px;vertical-align:-1px}
.cards{display:flex;flex-wrap:wrap;gap:12px;margin:16px 0}
.card{background:var(--panel);border-radius:8px;padding:10px 16px;min-width:120px}
.card b{display:block;font-size:22px;font-weight:600;font-variant-numeric:tabular-nums}
.card span{color:var(--quiet);font-size:13px}.list{columns:260px;list-style:none;padding:0;margin:0}
.list span{color:var(--quiet);display:inline-block;min-width:130px}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(104px,1fr));gap:12px}figure{margin:0}
figure img{width:100%;image-rendering:pixelated;border-radius:6px;background:var(--panel);display:block}
figcaption{font-size:12px;line-height:1.35;margin-top:4px}
@media print{body{font-size:11px}main{max-width:none;
padding:0}h2{break-after:avoid}svg,figure,tr,.card{break-inside:avoid}.scroll{overflow:visible}}]]

--- A table. columns: list of { name, isNumber }; rows: lists of cells, HTML each; caption: text or nil.
function html.table(columns, rows, caption)
  local lines = { '<div class="scroll"><table>' }
  if caption then lines[2] = "<caption>" .. svg.escape(caption) .. "</caption>" end
  local function line(cells, tag)
    local words = {}
    for i, column in ipairs(columns) do
      words[i] = ("<%s%s>%s</%s>"):format(tag, column[2] and ' class="number"' or "", cells[i] or "", tag)
    end
    lines[#lines + 1] = "<tr>" .. table.concat(words) .. "</tr>"
  end
  local head = {}
  for i, column in ipairs(columns) do head[i] = svg.escape(column[1]) end
  line(head, "th")
  for _, row in ipairs(rows) do line(row, "td") end
  lines[#lines + 1] = "</table></div>"
  return table.concat(lines, "\n")
end

--- Names with values, in columns. rows: lists { name, value }, HTML each.
function html.list(rows)
  local lines = {}
  for i, row in ipairs(rows) do lines[i] = ("<li><span>%s</span> %s</li>"):format(row[1], row[2]) end
  return '<ul class="list">\n' .. table.concat(lines, "\n") .. "\n</ul>"
end

--- A figure in large type with what it is.
function html.card(figure, words)
  return ('<div class="card"><b>%s</b><span>%s</span></div>'):format(svg.escape(figure), svg.escape(words))
end

--- A square in a series' colour.
function html.swatch(n) return ('<span class="swatch" style="background:%s"></span>'):format(svg.seriesColour(n)) end

--- Drawings side by side.
function html.charts(drawings)
  local elements = {}
  for i, drawing in ipairs(drawings) do elements[i] = drawing:element() end
  return '<div class="charts">\n' .. table.concat(elements) .. "</div>"
end

local base64Letters = {}
for letter in ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"):gmatch "." do
  base64Letters[#base64Letters + 1] = letter
end

--- Bytes in base 64.
function html.base64(bytes)
  local words = {}
  for i = 1, #bytes, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local n = a << 16 | (b or 0) << 8 | (c or 0)
    words[#words + 1] = base64Letters[(n >> 18) + 1] .. base64Letters[(n >> 12 & 63) + 1]
      .. (b and base64Letters[(n >> 6 & 63) + 1] or "=") .. (c and base64Letters[(n & 63) + 1] or "=")
  end
  return table.concat(words)
end

--- The whole page.
-- @param title text
-- @param body HTML
function html.page(title, body)
  return core.format([[<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>%s</title>
<style>
%s
</style>
</head>
<body>
<main>
%s
</main>
</body>
</html>
]], svg.escape(title), style, body)
end

return html

--- A locale that writes numbers with a comma, made for a test: German, from the system's sources.
local temporary = require "spec.support.temporary"

local locale = {}

--- What stands before a command that may then call os.setlocale(locale.name); nil where it cannot be made.
-- @param directory where it is made
function locale.environment(directory)
  local made = os.execute(("localedef -i de_DE -f UTF-8 '%s/%s' >/dev/null 2>&1"):format(directory, locale.name))
  if not made then return nil end
  local environment = ("LOCPATH='%s'"):format(directory)
  local output = temporary.output(("print(os.setlocale(%q), ('%%g'):format(0.5))"):format(locale.name), environment)
  return output:find("\t0,5\n$") and environment or nil
end

locale.name = "de_DE.UTF-8"

return locale

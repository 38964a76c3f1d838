--- What a data set says of an image that cannot be read: an error that is a sentence for people and no fault of a
-- program, so it needs no traceback. tostring gives the sentence.
local Failure = {}
Failure.__index = Failure
Failure.__name = "densenet.data.Failure"
Failure.__tostring = function(self) return self.message end

local failure = {}

--- Raises one.
-- @param message the sentence, which names the file
-- @param code "format", "io" or "unsupported"
function failure.raise(message, code) error(setmetatable({ message = message, code = code }, Failure), 0) end

--- Is the value one?
function failure.is(value) return getmetatable(value) == Failure end

return failure

--- A text as one word of the shell.
return function(text) return "'" .. tostring(text):gsub("'", "'\\''") .. "'" end

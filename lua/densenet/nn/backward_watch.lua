--- Tells who asks which of a container's children have all of their parameters' gradients, while the backward pass goes
-- on with those before. nn.Sequential and nn.DenseBlock tell; for densenet.dist, whose all-reduce begins then.
-- @module densenet.nn.backward_watch

local backwardWatch = {}

local watchers = setmetatable({}, { __mode = "k" }) -- container → function(child); copies are not watched

--- @param container nn.Sequential or nn.DenseBlock
-- @tparam ?function watcher function(child), called when the child's gradients have been added to; nil: nobody any more
function backwardWatch.set(container, watcher) watchers[container] = watcher end

--- For the container: this child has added to the gradients of its parameters.
function backwardWatch.tell(container, child)
  local watcher = watchers[container]
  if watcher then watcher(child) end
end

return backwardWatch

--- Module trees by the names of their parts, as nn.state_dict gives them.
-- @module densenet.mlg.tree

local tree = {}

--- Calls visit(module, path, container, i) for every module of a tree, once each, in order; `path` ends with a dot
-- unless it is empty, and the module is the container's i-th, nil for the root.
function tree.walk(root, visit)
  local seen = {}
  local function inside(module, path, container, i)
    if not seen[module] then
      seen[module] = true
      visit(module, path, container, i)
      for k, child in ipairs(module.modules or {}) do
        local name = module:childName(k)
        inside(child, name == "" and path or path .. name .. ".", module, k)
      end
    end
  end
  inside(root, "", nil, nil)
end

return tree

local function range(n)
  local items = {}
  for i = 0, n - 1 do items[#items + 1] = i end
  return items
end

local function filter(keep, items)
  local kept = {}
  for i = 1, #items do
    local x = items[i]
    if keep(x) then kept[#kept + 1] = x end
  end
  return kept
end

local function map(f, items)
  local mapped = {}
  for i = 1, #items do mapped[i] = f(items[i]) end
  return mapped
end

local function reduce(f, result, items)
  for i = 1, #items do result = f(result, items[i]) end
  return result
end

return function()
  local even = filter(function(x) return x % 2 == 0 end, range(1000000))
  return reduce(function(a, b) return a + b end, 0, map(function(x) return x * 3 end, even))
end

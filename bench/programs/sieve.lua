return function()
  local n = 1000000
  local flags = {}
  for i = 0, n - 1 do flags[i] = true end
  local found = 0
  for i = 2, n - 1 do
    if flags[i] then
      found = found + 1
      for j = i * i, n - 1, i do flags[j] = false end
    end
  end
  return found
end

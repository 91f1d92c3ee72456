return function()
  local parts = {}
  for i = 0, 99999 do parts[#parts + 1] = tostring(i) end
  return #table.concat(parts, ",")
end

local function safe(row, queens)
  local distance = 1
  while queens do
    local queen = queens[1]
    if queen == row or queen == row + distance or queen == row - distance then return false end
    distance = distance + 1
    queens = queens[2]
  end
  return true
end

local function solutions(size, queens, placed)
  if placed == size then return 1 end
  local found = 0
  for row = 1, size do
    if safe(row, queens) then found = found + solutions(size, {row, queens}, placed + 1) end
  end
  return found
end

return function()
  local sum = 0
  for _ = 1, 10 do sum = sum + solutions(8, nil, 0) end
  return sum
end
